//! Plain requests: methods, forms of the target, keep-alive, pipelining, clients that go.

use crate::support::{Client, Proxy, Upstream, assert_error, eventually, ingress};
use std::sync::mpsc;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Answers each request with its target and body.
fn echo() -> Upstream {
    Upstream::scripted(|peer| {
        while let Some((head, body)) = peer.request() {
            let path = head.split(' ').nth(1).unwrap();
            let body = [path.as_bytes(), b" ", &body].concat();
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.send(body);
        }
    })
}

#[test]
fn a_request_goes_to_its_service_and_back() {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::to(&[upstream.address]);
    let response = proxy.client().get("h.io", "/a?b=c");
    assert_eq!((response.status, response.text()), (200, "hello"));
    assert!(response.header("date").is_some());
    assert_eq!(response.header("server"), Some("moongate"));
    assert!(upstream.last_head().starts_with("GET /a?b=c HTTP/1.1\r\nhost: h.io\r\n"));
}

#[test]
fn a_client_s_connection_is_kept() {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for _ in 0..3 {
        let response = client.get("h", "/");
        assert_eq!((response.status, response.header("connection")), (200, None));
    }
    proxy.counts("moongate_listener_connections_accepted_total{entrypoint=\"http\"}", 1);
}

#[test]
fn an_upstream_s_connection_is_shared_by_clients() {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::to(&[upstream.address]);
    for _ in 0..3 {
        assert_eq!(proxy.client().get("h", "/").status, 200);
    }
    assert_eq!(upstream.connections(), 1);
    proxy.counts("moongate_upstream_reuses_total", 2);
}

#[test]
fn a_kept_connection_that_the_upstream_closes_meanwhile_costs_nobody_anything() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send(HELLO);
        // The next request comes, and is not answered: its connection's idle time was just over.
        peer.head();
        while peer.index > 0 && peer.send(HELLO) && peer.head().is_some() {}
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    assert_eq!(client.get("h", "/").status, 200);
    assert_eq!(client.get("h", "/").status, 200);
    assert_eq!(upstream.connections(), 2);
    proxy.counts("moongate_upstream_endpoint_failures_total", 0);
}

#[test]
fn an_upstream_that_says_close_is_not_asked_again() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for _ in 0..2 {
        let response = client.get("h", "/");
        assert_eq!((response.text(), response.header("connection")), ("hello", None));
    }
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_client_that_says_close_is_obeyed() {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let response = client.response();
    assert_eq!((response.text(), response.header("connection")), ("hello", Some("close")));
    assert!(client.is_closed());
    assert!(!upstream.last_head().contains("connection"));
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let upstream = echo();
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send(
        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\
         POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n\
         POST /4 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\nGET /5 HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    for answer in ["/1 ", "/2 abc", "/3 de", "/4 ", "/5 "] {
        assert_eq!(client.response().text(), answer);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let upstream = echo();
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for byte in b"POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "/slow abc");
}

#[test]
fn head_announces_a_length_and_has_no_body() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        let (status, headers) = client.head();
        assert_eq!(status, 200);
        assert!(headers.contains(&("content-length".to_owned(), "5".to_owned())), "{headers:?}");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn no_content_and_not_modified_have_no_body() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send("HTTP/1.1 204 No Content\r\n\r\n");
        peer.head();
        peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: \"x\"\r\n\r\n");
        peer.head();
        peer.send(HELLO);
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    let response = client.get("h", "/");
    assert_eq!((response.status, response.header("content-length")), (204, None));
    let response = client.get("h", "/");
    assert_eq!((response.status, response.header("content-length")), (304, Some("9")));
    assert_eq!(client.get("h", "/").text(), "hello");
}

#[test]
fn an_absolute_target_s_host_decides() {
    let (upstream, other) = (Upstream::answering(HELLO), Upstream::answering(HELLO));
    let proxy = Proxy::builder()
        .manifest("a.yaml", &ingress("a", "a.io", "/", &[upstream.address]))
        .manifest("b.yaml", &ingress("b", "b.io", "/", &[other.address]))
        .start();
    let mut client = proxy.client();
    client.send("GET http://A.io:80/x?y HTTP/1.1\r\nHost: a.io\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert!(
        upstream.last_head().starts_with("GET /x?y HTTP/1.1\r\nhost: A.io:80\r\n"),
        "{}",
        upstream.last_head()
    );
    client.send("GET http://a.io/ HTTP/1.1\r\nHost: b.io\r\n\r\n");
    assert_error(&client.response(), 400);
    assert_eq!(other.connections(), 0);
}

#[test]
fn options_of_the_server_are_answered_by_us() {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.header("content-length")), (200, Some("0")));
    assert_eq!(upstream.connections(), 0);
    assert_eq!(client.get("h", "/").status, 200);
}

#[test]
fn connect_is_not_allowed() {
    let proxy = Proxy::to(&[]);
    let mut client = proxy.client();
    client.send("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
    assert_error(&client.response(), 405);
    assert!(client.is_closed());
}

#[test]
fn http_1_0_closes_unless_it_asks_to_keep() {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!((response.text(), response.header("connection")), ("hello", Some("keep-alive")));
    client.send("GET / HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!((response.text(), response.header("connection")), ("hello", Some("close")));
    assert!(client.is_closed());
}

#[test]
fn http_1_0_without_host_takes_the_route_for_every_host() {
    let (named, any) = (Upstream::answering(HELLO), Upstream::answering(HELLO));
    let proxy = Proxy::builder()
        .manifest("named.yaml", &ingress("named", "h.io", "/", &[named.address]))
        .manifest("any.yaml", &ingress("any", "", "/", &[any.address]))
        .start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!((named.connections(), any.connections()), (0, 1));
    // The upstream speaks HTTP/1.1, which knows no request without a Host.
    assert!(any.last_head().starts_with(&format!("GET / HTTP/1.1\r\nhost: {}\r\n", any.address)));
}

#[test]
fn a_body_of_unknown_length_ends_with_the_connection_for_http_1_0() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!((response.header("connection"), response.header("transfer-encoding")), (Some("close"), None));
    assert_eq!(response.text(), "hello");
}

#[test]
fn what_no_route_answers_is_not_found() {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::builder().manifest("a.yaml", &ingress("a", "a.io", "/a", &[upstream.address])).start();
    let mut client = proxy.client();
    for (host, path) in [("a.io", "/b"), ("b.io", "/a"), ("a.io", "/ab")] {
        let response = client.get(host, path);
        assert_error(&response, 404);
        assert_eq!(response.header("connection"), None);
    }
    assert_eq!(client.get("a.io", "/a/b").status, 200);
    proxy.counts("moongate_proxy_requests_unrouted_total", 3);
}

#[test]
fn a_service_without_endpoints_is_unavailable() {
    let proxy = Proxy::to(&[]);
    let mut client = proxy.client();
    let response = client.get("h", "/");
    assert_error(&response, 503);
    assert_eq!(response.header("retry-after"), Some("1"));
    assert_error(&client.get("h", "/"), 503);
}

#[test]
fn the_upstream_sees_the_one_path_and_the_query_untouched() {
    let upstream = echo();
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for (sent, seen) in [
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b/.", "/b/"),
        ("/%41%7e%5f", "/A~_"),
        ("//a///b", "//a///b"),
        ("/a%2fb%5c", "/a%2Fb%5C"),
        ("/a\\b", "/a%5Cb"),
        ("/a;x=1/b;y", "/a;x=1/b;y"),
        ("/?a=%2f&b=../%41&c=%zz?//;", "/?a=%2f&b=../%41&c=%zz?//;"),
        ("/a?", "/a?"),
    ] {
        assert_eq!(client.get("h", sent).text(), format!("{seen} "), "{sent}");
    }
}

#[test]
fn methods_of_others_pass() {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    for method in ["PURGE", "M-SEARCH", "get"] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(client.response().status, 200);
        assert!(upstream.last_head().starts_with(&format!("{method} / ")));
    }
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let upstream = echo();
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n").half_close();
    assert_eq!(client.response().text(), "/1 ");
    assert_eq!(client.response().text(), "/2 ");
    assert!(client.is_closed());
}

#[test]
fn a_client_that_half_closes_while_the_upstream_thinks_gets_its_answer() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::scripted(move |peer| {
        peer.head();
        wait.lock().unwrap().recv().unwrap();
        peer.send(HELLO);
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    eventually("the request", || upstream.heads().pop());
    client.half_close();
    go.send(()).unwrap();
    assert_eq!(client.response().text(), "hello");
}

/// A request whose client resets while the upstream thinks about it: true once the upstream saw its own end.
fn reset_while_waiting(request: &str) -> Proxy {
    let (tell, told) = mpsc::channel();
    let upstream = Upstream::scripted(move |peer| {
        peer.request();
        tell.send("asked").unwrap();
        peer.closed();
        tell.send("closed").unwrap();
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client: Client = proxy.client();
    client.send(request);
    assert_eq!(told.recv().unwrap(), "asked");
    client.reset();
    assert_eq!(told.recv_timeout(crate::support::PATIENCE), Ok("closed"));
    proxy
}

#[test]
fn a_client_that_resets_frees_the_upstream_and_counts_as_499() {
    let proxy = reset_while_waiting("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    proxy.counts("moongate_proxy_requests_total{route=\"default/web//\",code=\"499\"}", 1);
    proxy.counts("moongate_proxy_requests_in_flight", 0);
}

#[test]
fn a_client_that_resets_after_its_upload_frees_the_upstream() {
    reset_while_waiting("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
}
