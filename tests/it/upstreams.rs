//! Hostile upstreams: what can be understood in two ways is a 502, and its connection is never used again.

use crate::support::{PATIENCE, Proxy, Upstream};
use std::sync::mpsc::channel;

/// Each answers any request.
const HOSTILE: &[(&str, &str)] = &[
    (
        "a length and an encoding",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi"),
    ("a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi"),
    ("a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi"),
    ("a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nhi"),
    ("an unknown encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("an encoding twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("an encoding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a folded field", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
    ("a NUL", "HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 0\r\n\r\n"),
    ("a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("a bare CR", "HTTP/1.1 200 OK\r\nX-A: b\rX-B: c\r\nContent-Length: 0\r\n\r\n"),
    ("a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
    ("an empty name", "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n"),
    ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n"),
    ("another version", "HTTP/2.0 200 OK\r\n\r\n"),
    ("a status that is none", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("an upgrade that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
];

#[test]
fn a_hostile_response_is_a_502_and_its_connection_is_not_used_again() {
    for &(what, response) in HOSTILE {
        let upstream = Upstream::answering(response);
        let proxy = Proxy::to(&[upstream.address]);
        let mut client = proxy.client();
        for connections in 1..=2 {
            let answer = client.get("h.io", "/");
            assert_eq!((answer.status, answer.text()), (502, "502 Bad Gateway\n"), "{what}");
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{what}");
            assert_eq!(upstream.connections(), connections, "{what}");
        }
    }
}

#[test]
fn a_flood_of_interim_responses_is_a_502() {
    let upstream = Upstream::scripted(|peer| {
        while peer.head().is_some() {
            while peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") {}
        }
    });
    let proxy = Proxy::to(&[upstream.address]);
    assert_eq!(proxy.client().get("h.io", "/").status, 502);
}

#[test]
fn a_head_without_end_is_a_502() {
    let upstream = Upstream::scripted(|peer| {
        while peer.head().is_some() {
            peer.send("HTTP/1.1 200 OK\r\n");
            while peer.send("X-A: 0123456789abcdef0123456789abcdef\r\n") {}
        }
    });
    let proxy = Proxy::to(&[upstream.address]);
    assert_eq!(proxy.client().get("h.io", "/").status, 502);
}

#[test]
fn a_head_that_is_cut_is_a_502() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-");
    });
    let proxy = Proxy::to(&[upstream.address]);
    let answer = proxy.client().get("h.io", "/");
    assert_eq!((answer.status, upstream.connections()), (502, 1));
}

#[test]
fn bytes_behind_a_response_never_become_the_answer_to_the_next_request() {
    const SPLIT: &str =
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let upstream = Upstream::answering(SPLIT);
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for connections in 1..=3 {
        assert_eq!(client.get("h.io", "/").text(), "mine");
        assert_eq!(upstream.connections(), connections);
    }
}

#[test]
fn bytes_that_come_unasked_end_an_idle_connection() {
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine");
        if peer.index == 0 {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            tell.send(peer.head()).unwrap();
        }
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    assert_eq!(client.get("h.io", "/").text(), "mine");
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), None, "the connection is let go, without a request");
    assert_eq!((client.get("h.io", "/").text(), upstream.connections()), ("mine", 2));
}

#[test]
fn a_body_that_is_cut_or_garbage_cuts_the_clients_connection() {
    for rest in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nZZ\r\n"] {
        let upstream = Upstream::scripted(move |peer| {
            peer.head();
            peer.send("HTTP/1.1 200 OK\r\n");
            peer.send(rest);
        });
        let proxy = Proxy::to(&[upstream.address]);
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nHost: h.io\r\n\r\n");
        let all = String::from_utf8(client.rest()).unwrap();
        assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.contains("half"), "{all}");
        assert!(!all.ends_with("0\r\n\r\n"), "the cut must show: {all}");
    }
}
