//! What leaves room for two readings is refused, end to end: the answer arrives, the connection ends, no upstream
//! sees a whole request, and metrics say why.

use crate::support::{Proxy, Upstream, assert_error};
use bytes::BytesMut;
use moongate::http1::{HeadOptions, parse_request};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "../cases/smuggling.rs"]
mod cases;

/// A proxy, its upstream, and how many whole requests the upstream saw.
fn guarded() -> (Proxy, Upstream, Arc<AtomicUsize>) {
    let whole = Arc::new(AtomicUsize::new(0));
    let counter = whole.clone();
    let upstream = Upstream::scripted(move |peer| {
        while peer.request().is_some() {
            counter.fetch_add(1, Ordering::SeqCst);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (Proxy::to(&[upstream.address]), upstream, whole)
}

/// Whether the fault is in the head; otherwise it is in the body.
fn is_of_the_head(raw: &[u8]) -> bool {
    parse_request(&mut BytesMut::from(raw), &HeadOptions::default()).is_err()
}

/// Waits until so many requests were refused for `reason`.
fn refused(proxy: &Proxy, reason: &str, count: u64) {
    proxy.counts(&format!("moongate_proxy_requests_refused_total{{reason=\"{reason}\"}}"), count);
}

#[test]
fn every_ambiguous_request_is_refused() {
    let (proxy, upstream, whole) = guarded();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, raw, status, reason) in cases::CASES {
        let connections = upstream.connections();
        let mut client = proxy.client();
        client.send(raw);
        if name.ends_with("unfinished") {
            // A large head is only looked at now and then.
            client.send([b'a'; 4 << 10]);
        }
        let response = client.response();
        assert_eq!(response.status, *status, "{name}");
        assert_error(&response, *status);
        assert_eq!(response.header("connection"), Some("close"), "{name}");
        assert!(client.is_closed(), "{name}");
        let count = counts.entry(reason).or_default();
        *count += 1;
        refused(&proxy, reason, *count);
        if is_of_the_head(raw) {
            assert_eq!(upstream.connections(), connections, "{name}: the upstream was asked");
        }
    }
    assert_eq!(whole.load(Ordering::SeqCst), 0);
    proxy.counts("moongate_listener_connections_open{entrypoint=\"http\"}", 0);
}

#[test]
fn a_refused_request_is_not_followed_by_another() {
    let (proxy, _upstream, whole) = guarded();
    let mut client = proxy.client();
    client.send(
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    assert_error(&client.response(), 400);
    assert!(client.is_closed());
    assert_eq!(whole.load(Ordering::SeqCst), 0);
}

#[test]
fn requests_before_a_refused_one_are_answered() {
    let (proxy, _upstream, whole) = guarded();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\nHost: h\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_error(&client.response(), 400);
    assert!(client.is_closed());
    assert_eq!(whole.load(Ordering::SeqCst), 1);
}

/// Sends all of `head` and a mebibyte behind it before it reads the answer.
fn while_sending(head: &str, status: u16) {
    let (proxy, _upstream, whole) = guarded();
    let mut client = proxy.client();
    client.send(head);
    let body = vec![b'x'; 64 << 10];
    for _ in 0..16 {
        assert!(client.try_send(&body), "reset while sending");
    }
    assert_error(&client.response(), status);
    assert!(client.is_closed());
    assert_eq!(whole.load(Ordering::SeqCst), 0);
}

#[test]
fn a_refusal_arrives_while_the_client_still_sends() {
    while_sending(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\nContent-Length: 1048576\r\n\r\n",
        400,
    );
}

#[test]
fn a_refusal_of_a_chunk_arrives_while_the_client_still_sends() {
    while_sending("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", 400);
}
