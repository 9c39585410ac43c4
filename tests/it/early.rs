//! Answers that do not wait for the request's end: expectations, early hints, early answers.

use crate::support::{Proxy, Upstream, assert_error, pattern};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LARGE: usize = 5 << 20;

#[test]
fn the_upstream_decides_whether_to_continue() {
    let upstream = Upstream::scripted(|peer| {
        let head = peer.head().unwrap();
        assert!(head.contains("expect: 100-continue\r\n"), "{head}");
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = peer.body(&head).unwrap();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        peer.send(body);
        peer.head();
        peer.send(OK);
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.head(), (100, Vec::new()));
    client.send("hello");
    let (status, headers) = client.head();
    assert_eq!((status, client.exactly(5)), (200, b"hello".to_vec()), "{headers:?}");
    assert_eq!(client.get("h", "/").text(), "ok");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_refused_expectation_ends_the_connection_without_a_100() {
    for status in ["417 Expectation Failed", "403 Forbidden"] {
        let upstream = Upstream::scripted(move |peer| {
            peer.head();
            peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno"));
            peer.closed();
        });
        let proxy = Proxy::to(&[upstream.address]);
        let mut client = proxy.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        let (code, headers) = client.head();
        assert_eq!(code.to_string(), status[..3]);
        assert!(headers.contains(&("connection".into(), "close".into())), "{headers:?}");
        assert_eq!(client.rest(), b"no");
    }
}

#[test]
fn our_own_answer_to_an_expectation_ends_the_connection() {
    let proxy = Proxy::builder().start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let (status, headers) = client.head();
    assert_eq!(status, 404);
    assert!(headers.contains(&("connection".into(), "close".into())), "{headers:?}");
    client.rest();
}

#[test]
fn early_hints_are_passed_on() {
    let upstream = Upstream::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.head(), (103, vec![("link".into(), "</a.css>".into())]));
    assert_eq!(client.head(), (103, vec![("link".into(), "</b.css>".into())]));
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn interim_responses_are_kept_from_http_1_0() {
    let upstream = Upstream::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.0\r\nHost: h\r\n\r\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.rest(), b"ok");
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.exactly(1_000);
        peer.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig");
        peer.closed();
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client
        .send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {LARGE}\r\n\r\n"))
        .send(pattern(1_000));
    let (status, headers) = client.head();
    assert_eq!((status, client.exactly(3)), (413, b"big".to_vec()));
    assert!(headers.contains(&("connection".into(), "close".into())), "{headers:?}");
    // What is still on its way is taken for a while: no reset overtakes the answer.
    client.send(pattern(100_000));
    assert!(client.is_closed());
}

#[test]
fn an_early_answer_with_a_small_rest_keeps_the_connection() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send(OK);
        peer.closed();
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    client.send(pattern(1_000));
    assert_eq!(client.get("h", "/").text(), "ok");
    // The first upstream connection still waits for a body that nobody sends: it is not used again.
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn the_body_of_an_unanswerable_request_is_discarded() {
    let proxy = Proxy::builder().start();
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n").send(pattern(100_000));
        let response = client.response();
        assert_error(&response, 404);
        assert_eq!(response.header("connection"), None);
        client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
        assert_error(&client.response(), 404);
    }
}

#[test]
fn a_body_too_large_to_discard_ends_the_connection() {
    let proxy = Proxy::builder().start();
    let mut client = proxy.client();
    client
        .send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {LARGE}\r\n\r\n"))
        .send(pattern(LARGE));
    let response = client.response();
    assert_error(&response, 404);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
}
