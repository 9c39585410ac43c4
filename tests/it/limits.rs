//! Timeouts and sizes. What is limited is set to a few hundred milliseconds; no test looks at a clock.

use crate::support::{Builder, PATIENCE, Proxy, Upstream, assert_error, eventually, ingress_with};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(250);
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Lets a test's Ingress set what otherwise takes a minute.
const TUNE: &str = r#"return plugin {
  name = "tune",
  doc = "Times and sizes for tests.",
  stage = "route",
  annotations = {
    response = { type = "duration", names = { "test/response-timeout" } },
    read = { type = "duration", names = { "test/read-timeout" } },
    connect = { type = "duration", names = { "test/connect-timeout" } },
    body = { type = "size", names = { "test/body-limit" } },
    retries = { type = "int", names = { "test/retries" } },
  },
  configure = function(opts, ctx)
    if opts.response then ctx.route.response_timeout = opts.response end
    if opts.read then ctx.route.read_timeout = opts.read end
    if opts.connect then ctx.backend.connect_timeout = opts.connect end
    if opts.body then ctx.route.body_limit = opts.body end
    if opts.retries then ctx.route.retries = opts.retries end
  end,
}
"#;

/// One Ingress for everything with such annotations.
fn tuned(endpoints: &[SocketAddr], annotations: &[(&str, &str)]) -> Builder {
    Proxy::builder()
        .plugin("tune.lua", TUNE)
        .manifest("web.yaml", &ingress_with("web", "", "/", endpoints, annotations))
}

/// Waits until so many requests were refused for `reason`.
fn refused(proxy: &Proxy, reason: &str, count: u64) {
    proxy.counts(&format!("moongate_proxy_requests_refused_total{{reason=\"{reason}\"}}"), count);
}

#[test]
fn a_head_that_does_not_end_times_out() {
    let proxy = Proxy::builder().limits(|limits| limits.header_timeout = SHORT).start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: ");
    let response = client.response();
    assert_error(&response, 408);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
    refused(&proxy, "header-timeout", 1);
}

#[test]
fn a_second_head_that_does_not_end_times_out() {
    let upstream = Upstream::answering(HELLO);
    let proxy = tuned(&[upstream.address], &[]).limits(|limits| limits.header_timeout = SHORT).start();
    let mut client = proxy.client();
    assert_eq!(client.get("h", "/").status, 200);
    client.send("GET / HTTP/1.1\r\n");
    assert_error(&client.response(), 408);
    assert!(client.is_closed());
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let upstream = Upstream::answering(HELLO);
    let proxy = tuned(&[upstream.address], &[]).limits(|limits| limits.idle_timeout = SHORT).start();
    let (mut fresh, mut used) = (proxy.client(), proxy.client());
    assert_eq!(used.get("h", "/").status, 200);
    assert!(fresh.is_closed());
    assert!(used.is_closed());
    proxy.counts("moongate_proxy_requests_refused_total", 0);
}

#[test]
fn an_idle_connection_ends_with_a_drain() {
    let upstream = Upstream::answering(HELLO);
    let proxy = tuned(&[upstream.address], &[]).start();
    let (mut fresh, mut used) = (proxy.client(), proxy.client());
    assert_eq!(used.get("h", "/").status, 200);
    proxy.running().drain();
    assert!(used.is_closed());
    assert!(fresh.is_closed());
    eventually("the end of the drain", || proxy.running().is_drained().then_some(()));
}

#[test]
fn an_idle_connection_outlives_the_header_timeout() {
    let upstream = Upstream::answering(HELLO);
    let proxy = tuned(&[upstream.address], &[])
        .limits(|limits| limits.header_timeout = Duration::from_millis(100))
        .start();
    let mut client = proxy.client();
    assert_eq!(client.get("h", "/").status, 200);
    // Another connection's idle time tells that enough of it has passed.
    let mut other = proxy.client();
    other.send("GET");
    assert_eq!(other.response().status, 408);
    assert_eq!(client.get("h", "/").status, 200);
}

#[test]
fn a_body_that_does_not_go_on_times_out() {
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        let head = peer.head().unwrap();
        tell.send(peer.body(&head).is_some()).unwrap();
    });
    let proxy = tuned(&[upstream.address], &[]).limits(|limits| limits.body_timeout = SHORT).start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    let response = client.response();
    assert_error(&response, 408);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(told.recv_timeout(PATIENCE), Ok(false));
    refused(&proxy, "body-timeout", 1);
}

#[test]
fn a_response_that_does_not_come_times_out() {
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        if peer.index == 0 {
            peer.head();
            peer.closed();
            tell.send("closed").unwrap();
        }
        while peer.head().is_some() {
            peer.send(HELLO);
        }
    });
    let proxy = tuned(&[upstream.address], &[("test/response-timeout", "250ms")]).start();
    let mut client = proxy.client();
    let response = client.get("h", "/");
    assert_error(&response, 504);
    assert_eq!(response.header("connection"), None);
    assert_eq!(told.recv_timeout(PATIENCE), Ok("closed"));
    assert_eq!(client.get("h", "/").text(), "hello");
}

#[test]
fn a_timeout_on_a_kept_connection_is_the_endpoint_s_fault() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send(HELLO);
        peer.closed();
    });
    let proxy = tuned(&[upstream.address], &[("test/response-timeout", "250ms")]).start();
    let mut client = proxy.client();
    assert_eq!(client.get("h", "/").status, 200);
    proxy.counts("moongate_upstream_endpoint_failures_total", 0);
    assert_eq!(client.get("h", "/").status, 504);
    assert_eq!(upstream.connections(), 1);
    proxy.counts("moongate_upstream_endpoint_failures_total", 1);
}

#[test]
fn a_route_says_how_many_other_endpoints_are_tried() {
    let upstream = Upstream::answering(HELLO);
    let endpoints = [Upstream::nobody(), upstream.address];
    for (retries, statuses) in [("0", [200, 502]), ("1", [200, 200])] {
        let proxy = tuned(&endpoints, &[("test/retries", retries)]).start();
        let mut got = [proxy.client().get("h", "/").status, proxy.client().get("h", "/").status];
        got.sort_unstable();
        assert_eq!(got, statuses, "{retries} retries");
    }
}

#[test]
fn an_answer_to_an_upload_survives_a_drain() {
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        peer.head();
        tell.send(()).unwrap();
        peer.exactly(10);
        peer.send(HELLO);
        peer.closed();
    });
    let proxy = tuned(&[upstream.address], &[]).start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 400000\r\n\r\n");
    told.recv_timeout(PATIENCE).unwrap();
    proxy.running().drain();
    client.send(vec![b'x'; 10]);
    let (status, headers) = client.head();
    assert_eq!(status, 200);
    assert!(headers.contains(&("connection".into(), "close".into())), "{headers:?}");
    client.send(vec![b'x'; 399_990]);
    assert_eq!(client.rest(), b"hello");
}

#[test]
fn the_time_for_a_response_begins_behind_a_slow_upload() {
    let upstream = Upstream::scripted(|peer| {
        while let Some((head, body)) = peer.request() {
            if head.starts_with("GET") {
                return peer.closed();
            }
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.send(body);
        }
    });
    let proxy = tuned(&[upstream.address], &[("test/response-timeout", "100ms")]).start();
    let mut slow = proxy.client();
    slow.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
    for byte in ["a", "b", "c"] {
        // A request that times out tells that the time has passed.
        assert_eq!(proxy.client().get("h", "/").status, 504);
        slow.send(byte);
    }
    assert_eq!(slow.response().text(), "abc");
}

#[test]
fn an_upstream_that_takes_no_more_of_a_body_times_out() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::scripted(move |peer| {
        peer.head();
        let _over = wait.lock().unwrap().recv_timeout(PATIENCE);
    });
    let proxy = tuned(&[upstream.address], &[("test/response-timeout", "250ms")]).start();
    let mut client = proxy.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 64 << 20));
    let mut writer = client.writer();
    let writing = std::thread::spawn(move || (0..64).all(|_| writer.try_send(vec![0; 1 << 20])));
    let response = client.response();
    assert_error(&response, 504);
    assert_eq!(response.header("connection"), Some("close"));
    drop((go, client));
    let _all_sent = writing.join().unwrap();
}

#[test]
fn a_slow_100_is_waited_for_as_long_as_for_a_response() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::scripted(move |peer| {
        let head = peer.head().unwrap();
        if head.contains("expect") {
            wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        if let Some(body) = peer.body(&head) {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.send(body);
        }
    });
    let proxy = tuned(&[upstream.address], &[]).limits(|limits| limits.body_timeout = SHORT).start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    // A client that really is late tells that the time has passed.
    let mut late = proxy.client();
    late.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(late.response().status, 408);
    go.send(()).unwrap();
    assert_eq!(client.head().0, 100);
    client.send("hello");
    assert_eq!(client.response().text(), "hello");
}

#[test]
fn a_response_that_does_not_go_on_is_cut() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        peer.closed();
    });
    let proxy = tuned(&[upstream.address], &[("test/read-timeout", "250ms")]).start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.rest(), b"5\r\nhello\r\n");
}

#[test]
fn an_endpoint_that_nobody_listens_on_is_a_bad_gateway() {
    let proxy = tuned(&[Upstream::nobody()], &[]).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        assert_error(&client.get("h", "/"), 502);
    }
    proxy.counts("moongate_upstream_connect_failures_total", 2);
}

#[test]
fn heads_have_their_limits() {
    let upstream = Upstream::answering(HELLO);
    let proxy = tuned(&[upstream.address], &[])
        .limits(|limits| {
            limits.head_size = 1_000;
            limits.head_fields = 5;
            limits.target_size = 100;
        })
        .start();
    let long = "x".repeat(1_000);
    for (request, status, reason) in [
        (format!("GET / HTTP/1.1\r\nHost: h\r\nA: {long}\r\n\r\n"), 431, "head-too-large"),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(5)), 431, "too-many-fields"),
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", &long[..100]), 414, "target-too-long"),
    ] {
        let mut client = proxy.client();
        client.send(request);
        assert_error(&client.response(), status);
        assert!(client.is_closed());
        refused(&proxy, reason, 1);
    }
    let mut client = proxy.client();
    client.send(format!("GET /{} HTTP/1.1\r\nHost: h\r\n{}\r\n", &long[..99], "A: b\r\n".repeat(4)));
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_body_that_announces_too_much_is_refused_unread() {
    let upstream = Upstream::answering(HELLO);
    let proxy = tuned(&[upstream.address], &[("test/body-limit", "10")]).start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n");
    let response = client.response();
    assert_error(&response, 413);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(upstream.connections(), 0);
    refused(&proxy, "body-too-large", 1);
}

#[test]
fn a_chunked_body_is_refused_where_it_passes_the_limit() {
    let (tell, told) = channel();
    let upstream = Upstream::scripted(move |peer| {
        // Kept open: what comes next comes on this connection, or it ends.
        while let Some((_, body)) = peer.request() {
            tell.send(Some(body.len())).unwrap();
            peer.send(HELLO);
        }
        tell.send(None).unwrap();
    });
    let proxy = tuned(&[upstream.address], &[("test/body-limit", "10")]).start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "hello");
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Some(10)));
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n");
    let response = client.response();
    assert_error(&response, 413);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(told.recv_timeout(PATIENCE), Ok(None));
    refused(&proxy, "body-too-large", 1);
}

#[test]
fn a_connection_too_many_waits_for_another_to_close() {
    let upstream = Upstream::answering(HELLO);
    let proxy = tuned(&[upstream.address], &[]).limits(|limits| limits.connections = 2).start();
    let (mut first, mut second) = (proxy.client(), proxy.client());
    assert_eq!((first.get("h", "/").status, second.get("h", "/").status), (200, 200));
    let mut third = proxy.client();
    third.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(first.get("h", "/").status, 200);
    assert!(third.is_silent(), "a third connection is served");
    drop(first);
    assert_eq!(third.response().status, 200);
    let open = "moongate_listener_connections_open{entrypoint=\"http\"}";
    proxy.counts(open, 2);
}
