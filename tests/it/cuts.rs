//! What happens to one side when the other stops in the midst of a body, or says what nobody can understand.

use crate::support::{PATIENCE, Proxy, Upstream, assert_error, say};
use std::sync::mpsc::channel;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn an_upload_that_the_client_breaks_off_poisons_nothing() {
    for reset in [true, false] {
        let (tell, told) = channel();
        let upstream = Upstream::scripted(move |peer| {
            let head = peer.head().unwrap();
            if head.starts_with("POST") {
                peer.exactly(5);
                say(&tell, "begun");
                say(&tell, if peer.body(&head).is_some() { "whole" } else { "cut" });
            } else {
                peer.send(OK);
            }
        });
        let proxy = Proxy::to(&[upstream.address]);
        let mut client = proxy.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhello");
        assert_eq!(told.recv().unwrap(), "begun");
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "cut");
        assert_eq!(proxy.client().get("h", "/").text(), "ok");
        assert_eq!(upstream.connections(), 2);
        // It was not the endpoint's fault.
        proxy.counts("moongate_upstream_endpoint_failures_total", 0);
        proxy.counts("moongate_proxy_requests_total{route=\"default/web//\",code=\"499\"}", 1);
    }
}

#[test]
fn an_upload_broken_off_behind_the_response_s_head_frees_the_upstream() {
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
        peer.closed();
        say(&tell, "closed");
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhello");
    assert_eq!((client.head().0, client.chunk()), (200, b"ok".to_vec()));
    drop(client);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "closed");
}

/// What a client gets of a response that breaks off after `response`.
fn broken_off(response: &'static str, request: &str, reset: bool) -> Result<Vec<u8>, std::io::Error> {
    let upstream = Upstream::scripted(move |peer| {
        peer.head();
        peer.send(response);
        if reset {
            peer.reset();
        }
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send(request);
    client.until(b"\r\n\r\n");
    client.end()
}

#[test]
fn a_response_cut_short_of_its_length_is_cut_for_the_client() {
    let got = broken_off(
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        false,
    );
    assert_eq!(got.unwrap(), b"hello");
}

#[test]
fn a_chunked_response_cut_short_never_gets_a_last_chunk() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let got = broken_off(response, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", false);
    assert_eq!(got.unwrap(), b"5\r\nhello\r\n");
}

#[test]
fn a_response_that_http_1_0_cannot_see_cut_ends_in_a_reset() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let got = broken_off(response, "GET / HTTP/1.0\r\nHost: h\r\n\r\n", false);
    assert_eq!(got.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_response_until_close_that_ends_in_a_reset_gets_no_clean_end() {
    let got = broken_off("HTTP/1.1 200 OK\r\n\r\nhello", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", true);
    assert!(got.map_or(true, |got| !got.ends_with(b"0\r\n\r\n")));
}

#[test]
fn an_upstream_that_dies_before_its_head_is_a_bad_gateway() {
    let upstream = Upstream::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-");
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    assert_error(&client.response(), 502);
}

#[test]
fn a_hostile_response_is_a_bad_gateway() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "nonsense\r\n\r\n",
    ] {
        let upstream = Upstream::answering(response);
        let proxy = Proxy::to(&[upstream.address]);
        let mut client = proxy.client();
        assert_error(&client.get("h", "/"), 502);
        assert_error(&client.get("h", "/"), 502);
    }
}

#[test]
fn a_chunk_that_breaks_the_rules_behind_the_response_s_head_cuts_the_connection() {
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
        peer.closed();
        say(&tell, "closed");
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!((client.head().0, client.chunk()), (200, b"ok".to_vec()));
    client.send("nonsense\r\n");
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "closed");
    assert!(!client.rest().ends_with(b"0\r\n\r\n"));
    proxy.counts("moongate_proxy_requests_refused_total{reason=\"chunk-size-malformed\"}", 1);
}
