//! What is sent again, and what never is.

use crate::support::{Proxy, Upstream, ingress};
use std::time::Instant;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nHost: h.io\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: h.io\r\nContent-Length: 4\r\n\r\nbody";
const EMPTY_POST: &str = "POST / HTTP/1.1\r\nHost: h.io\r\nContent-Length: 0\r\n\r\n";

/// Answers requests with their bodies read.
fn reading() -> Upstream {
    Upstream::scripted(|peer| {
        while let Some(head) = peer.head() {
            if head.starts_with("POST") && !head.contains("content-length: 0") {
                assert_eq!(peer.exactly(4).as_deref(), Some(&b"body"[..]));
            }
            peer.send(HELLO);
        }
    })
}

/// Takes a request and closes.
fn closing() -> Upstream {
    Upstream::scripted(|peer| {
        peer.head();
    })
}

#[test]
fn a_refused_endpoint_gives_way_to_the_next_whatever_the_method() {
    let good = reading();
    let proxy = Proxy::to(&[Upstream::nobody(), good.address]);
    let mut client = proxy.client();
    for request in [GET, POST, EMPTY_POST, POST, GET] {
        client.send(request);
        let response = client.response();
        assert_eq!((response.status, response.text()), (200, "hello"), "{request}");
    }
    assert_eq!(good.heads().len(), 5);
    assert!(proxy.metric("moongate_upstream_retries_total") >= 1.0);
    assert!(proxy.metric("moongate_upstream_connect_failures_total") >= 1.0);
}

#[test]
fn a_request_that_an_endpoint_took_is_sent_again_only_if_that_is_harmless() {
    for (request, want) in [
        (GET, 200),
        ("PUT / HTTP/1.1\r\nHost: h.io\r\nContent-Length: 0\r\n\r\n", 200),
        (POST, 502),
        (EMPTY_POST, 502),
    ] {
        let (bad, good) = (closing(), reading());
        let proxy = Proxy::to(&[bad.address, good.address]);
        // In turn: one of two begins with the endpoint that closes.
        let mut answers = Vec::new();
        for _ in 0..2 {
            let mut client = proxy.client();
            client.send(request);
            answers.push(client.response().status);
        }
        answers.sort_unstable();
        assert_eq!(answers, [200, want], "{request}");
        // A retry takes a turn too, so the second request may begin with the same endpoint.
        assert!(good.heads().len() <= 2 && !bad.heads().is_empty(), "{request}");
    }
}

#[test]
fn a_kept_connection_that_went_stale_is_replaced_unnoticed() {
    // Each connection answers once, takes the second request, and closes without a word.
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send(HELLO);
        peer.head();
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for _ in 0..4 {
        assert_eq!(client.get("h.io", "/").text(), "hello");
    }
    let backend = &proxy.json("/api/backends")[0];
    assert_eq!(backend["endpoints"][0]["failures"], 0, "a stale connection says nothing about its endpoint");
}

#[test]
fn endpoints_that_are_all_down_are_a_502_and_none_at_all_is_a_503() {
    let down = Proxy::to(&[Upstream::nobody(), Upstream::nobody(), Upstream::nobody()]);
    let response = down.client().get("h.io", "/");
    assert_eq!((response.status, response.text()), (502, "502 Bad Gateway\n"));
    assert_eq!(response.header("retry-after"), None);
    assert!(
        (down.metric("moongate_upstream_connect_failures_total") - 3.0).abs() < 0.5,
        "each is tried once"
    );

    let none = Proxy::to(&[]);
    let response = none.client().get("h.io", "/");
    assert_eq!((response.status, response.text()), (503, "503 Service Unavailable\n"));
    assert_eq!(response.header("retry-after"), Some("1"));
}

#[test]
fn nothing_is_sent_again_after_a_byte_of_a_response() {
    for begun in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let bad = Upstream::scripted(move |peer| {
            peer.head();
            peer.send(begun);
        });
        let good = reading();
        let proxy = Proxy::to(&[bad.address, good.address]);
        let mut answers: Vec<u16> = (0..2).map(|_| proxy.client().get("h.io", "/").status).collect();
        answers.sort_unstable();
        assert_eq!(answers, [200, 502], "{begun}");
        assert_eq!((bad.heads().len(), good.heads().len()), (1, 1), "{begun}");
    }
}

#[test]
fn retries_stay_within_their_budget() {
    let good = Upstream::answering(HELLO);
    let proxy = Proxy::to(&[Upstream::nobody(), good.address]);
    let begun = Instant::now();
    let mut client = proxy.client();
    let mut answers = [0_u32; 2];
    for _ in 0..200 {
        match client.get("h.io", "/").status {
            200 => answers[0] += 1,
            502 => answers[1] += 1,
            other => panic!("{other}"),
        }
    }
    let retries = proxy.metric("moongate_upstream_retries_total");
    // A fifth of the requests, and ten in each second that was touched.
    let seconds = begun.elapsed().as_secs() + 2;
    assert!(retries <= 40.0 + 10.0 * seconds as f64, "{retries} retries in {seconds} s");
    assert!(retries >= 10.0, "{retries}");
    assert_eq!(answers[0] + answers[1], 200);
}

#[test]
fn a_neighbour_keeps_answering_while_an_endpoint_is_silent() {
    let silent = Upstream::scripted(|peer| {
        peer.head();
        peer.head();
    });
    let good = Upstream::answering(HELLO);
    let proxy = Proxy::builder()
        .manifest("silent.yaml", &ingress("silent", "silent.io", "/", &[silent.address]))
        .manifest("good.yaml", &ingress("good", "good.io", "/", &[good.address]))
        .start();
    let mut waiting = proxy.client();
    waiting.send("GET / HTTP/1.1\r\nHost: silent.io\r\n\r\n");
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.get("good.io", "/").status, 200);
    }
}
