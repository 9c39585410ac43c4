//! Bodies in both directions: framing, size, streaming, trailers.

use crate::support::{PATIENCE, Proxy, Upstream, pattern, say};
use std::io::Write;
use std::sync::mpsc::channel;
use std::time::Duration;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LARGE: usize = 5 << 20;

/// Sends each request back: its head's framing fields and its body.
fn echo() -> Upstream {
    Upstream::scripted(|peer| {
        while let Some((_, body)) = peer.request() {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.send(body);
        }
    })
}

#[test]
fn an_upload_with_a_length_keeps_it() {
    let upstream = echo();
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response().text(), "hello");
    let head = upstream.last_head();
    assert!(head.contains("content-length: 5\r\n") && !head.contains("transfer-encoding"), "{head}");
}

#[test]
fn a_chunked_upload_stays_chunked() {
    let upstream = echo();
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "hello");
    let head = upstream.last_head();
    assert!(head.contains("transfer-encoding: chunked\r\n") && !head.contains("content-length"), "{head}");
    assert_eq!(client.get("h", "/").status, 200);
}

#[test]
fn an_empty_upload_is_said_to_be_empty() {
    let upstream = echo();
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert!(upstream.last_head().contains("content-length: 0\r\n"));
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_chunked_response_stays_chunked() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    );
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for _ in 0..2 {
        let response = client.get("h", "/");
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
        assert_eq!(response.text(), "hello");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_large_upload_arrives_whole() {
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        while let Some((_, body)) = peer.request() {
            say(&tell, if body == pattern(LARGE) { "whole" } else { "broken" });
            peer.send(OK);
        }
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client
        .send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {LARGE}\r\n\r\n"))
        .send(pattern(LARGE));
    assert_eq!(client.response().text(), "ok");
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in pattern(LARGE).chunks(50_000) {
        client.send(format!("{:x}\r\n", chunk.len())).send(chunk).send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    assert_eq!(told.iter().take(2).collect::<Vec<_>>(), ["whole", "whole"]);
    assert_eq!(upstream.connections(), 1);
    proxy.counts("moongate_proxy_received_bytes_total", 2 * LARGE as u64);
}

#[test]
fn a_large_response_arrives_whole() {
    let upstream = Upstream::scripted(move |peer| {
        peer.head();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
        peer.send(pattern(LARGE));
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for chunk in pattern(LARGE).chunks(70_000) {
            peer.send(format!("{:x}\r\n", chunk.len()));
            peer.send(chunk);
            peer.send("\r\n");
        }
        peer.send("0\r\n\r\n");
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    assert!(client.get("h", "/").body == pattern(LARGE));
    assert!(client.get("h", "/").body == pattern(LARGE));
    assert_eq!(upstream.connections(), 1);
    proxy.counts("moongate_proxy_sent_bytes_total", 2 * LARGE as u64);
}

#[test]
fn what_a_slow_reader_does_not_take_stays_with_the_upstream() {
    const PIECES: usize = 64;
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        peer.head();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PIECES << 20));
        let mut sent = 0;
        let patient = Some(Duration::from_millis(300));
        peer.stream.set_write_timeout(patient).unwrap();
        let piece = pattern(1 << 20);
        while sent < PIECES << 20 {
            match peer.stream.write(&piece[sent % piece.len()..]) {
                Ok(written) => sent += written,
                Err(_blocked) => {
                    say(&tell, "blocked");
                    peer.stream.set_write_timeout(None).unwrap();
                }
            }
        }
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.until(b"\r\n\r\n");
    // The kernel's buffers hold a part of it, the proxy no more than a piece.
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "blocked");
    for _ in 0..PIECES {
        assert!(client.exactly(1 << 20) == pattern(1 << 20));
    }
}

#[test]
fn both_directions_stream_at_once() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while let Some(chunk) = peer.chunk() {
            peer.send(format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(&chunk).unwrap()));
            if chunk.is_empty() {
                peer.until(b"\r\n");
                break;
            }
        }
        peer.head();
        peer.send(OK);
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().0, 200);
    for round in 0..50 {
        let text = format!("round {round}");
        client.send(format!("{:x}\r\n{text}\r\n", text.len()));
        assert_eq!(client.chunk(), text.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), b"");
    client.until(b"\r\n");
    assert_eq!(client.get("h", "/").status, 200);
}

#[test]
fn a_large_echo_does_not_lock_up_when_the_client_reads_late() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 20));
        for _ in 0..16 {
            let Some(piece) = peer.exactly(64 << 10) else { return };
            peer.send(piece);
        }
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 1 << 20));
    client.send(pattern(1 << 20));
    assert!(client.response().body == pattern(1 << 20));
}

#[test]
fn trailers_pass_both_ways() {
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        let _head = peer.head();
        while !peer.chunk().unwrap().is_empty() {}
        say(&tell, peer.until(b"\r\n\r\n").unwrap());
        peer.send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\nContent-Length: 3\r\n\r\n");
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: h\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n\
         0\r\nX-A: 1\r\nX-Forwarded-For: 6.6.6.6\r\nAuthorization: x\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(told.recv().unwrap(), b"x-a: 1\r\n\r\n");
    assert!(upstream.last_head().contains("trailer: X-A\r\n"));
    assert_eq!(response.header("trailer"), Some("X-Sum"));
    assert_eq!(response.trailers, [("x-sum".to_owned(), "9".to_owned())]);
}

#[test]
fn a_response_may_end_with_the_upstream_s_connection() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\n\r\nhello ");
        peer.send("world");
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for _ in 0..2 {
        let response = client.get("h", "/");
        assert_eq!((response.text(), response.header("transfer-encoding")), ("hello world", Some("chunked")));
    }
    assert_eq!(upstream.connections(), 2);
}
