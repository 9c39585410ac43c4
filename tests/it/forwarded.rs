//! What the upstream is told of the client, and header fields that end at our border.

use crate::support::{Proxy, Response, Upstream, ingress, ingress_with};
use moongate::model::settings::EntryPoint;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// The values of a field in a head, in their order.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(known, _)| *known == name).map(|(_, value)| value).collect()
}

/// The head that the upstream sees of a request with `fields` through an entrypoint so set.
fn seen(set: impl FnOnce(&mut EntryPoint), fields: &str) -> (String, Proxy) {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::builder()
        .manifest("web.yaml", &ingress("web", "", "/", &[upstream.address]))
        .settings(|settings| set(&mut settings.entrypoints[0]))
        .start();
    let mut client = proxy.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: H.io:8080\r\n{fields}\r\n"));
    assert_eq!(client.response().status, 200);
    (upstream.last_head(), proxy)
}

const CLAIMS: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n\
                      X-Forwarded-Host: other.io\r\nX-Forwarded-Port: 443\r\nX-Forwarded-User: root\r\n\
                      X-Real-Ip: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n";

#[test]
fn the_upstream_is_told_who_asked_and_how() {
    let (head, proxy) = seen(|_| {}, "");
    assert_eq!(values(&head, "host"), ["H.io:8080"]);
    assert_eq!(values(&head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&head, "x-real-ip"), ["127.0.0.1"]);
    assert_eq!(values(&head, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&head, "x-forwarded-host"), ["H.io:8080"]);
    assert_eq!(values(&head, "x-forwarded-port"), [proxy.address().port().to_string()]);
}

#[test]
fn claims_of_a_stranger_are_replaced() {
    let (head, _proxy) = seen(|_| {}, CLAIMS);
    assert_eq!(values(&head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&head, "x-real-ip"), ["127.0.0.1"]);
    assert_eq!(values(&head, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&head, "x-forwarded-host"), ["H.io:8080"]);
    assert!(!head.contains("x-forwarded-user") && !head.contains("\r\nforwarded"), "{head}");
    assert!(!head.contains("6.6.6.6") && !head.contains("443"), "{head}");
}

#[test]
fn claims_of_a_trusted_proxy_are_kept() {
    let trust = |entrypoint: &mut EntryPoint| {
        entrypoint.trusted_proxies = std::sync::Arc::new("127.0.0.0/8".parse().unwrap());
    };
    let (head, _proxy) = seen(trust, CLAIMS);
    assert_eq!(values(&head, "x-forwarded-for"), ["6.6.6.6, 7.7.7.7, 127.0.0.1"]);
    assert_eq!(values(&head, "x-real-ip"), ["7.7.7.7"]);
    assert_eq!(values(&head, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&head, "x-forwarded-host"), ["other.io"]);
    assert_eq!(values(&head, "x-forwarded-port"), ["443"]);
    assert_eq!(values(&head, "x-forwarded-user"), ["root"]);
}

#[test]
fn fields_of_the_client_s_connection_end_here() {
    let (head, _proxy) = seen(
        |_| {},
        "Connection: keep-alive, X-Secret, X-Forwarded-For, X-Real-Ip\r\nConnection: te\r\nX-Secret: 1\r\nTE: trailers\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-Kept: 1\r\n",
    );
    for gone in ["connection", "x-secret", "te", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(values(&head, gone).is_empty(), "{gone}: {head}");
    }
    assert_eq!(values(&head, "x-kept"), ["1"]);
    assert_eq!(values(&head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&head, "x-real-ip"), ["127.0.0.1"]);
}

fn answered(response: &'static str) -> Response {
    let upstream = Upstream::answering(response);
    let proxy = Proxy::to(&[upstream.address]);
    proxy.client().get("h", "/")
}

#[test]
fn fields_of_the_upstream_s_connection_end_here() {
    let response = answered(
        "HTTP/1.1 200 OK\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n\
         Proxy-Connection: close\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n",
    );
    for gone in ["connection", "x-secret", "keep-alive", "upgrade", "proxy-connection"] {
        assert_eq!(response.header(gone), None, "{gone}");
    }
    assert_eq!(response.header("x-kept"), Some("1"));
}

#[test]
fn the_upstream_s_own_server_and_date_stay() {
    let response = answered(
        "HTTP/1.1 200 OK\r\nServer: teapot\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
    );
    let all = |name: &str| response.headers.iter().filter(|(known, _)| known == name).count();
    assert_eq!((all("server"), all("date")), (1, 1));
    assert_eq!(response.header("server"), Some("teapot"));
    assert_eq!(response.header("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
}

#[test]
fn repeated_fields_stay_apart_and_in_order() {
    let response = answered(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX: y\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    );
    let cookies: Vec<_> = response
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

#[test]
fn names_with_underscores_are_dropped() {
    let (head, _proxy) = seen(|_| {}, "X_Forwarded_For: 6.6.6.6\r\nA_B: 1\r\nA-B: 2\r\n");
    assert!(!head.contains('_') && values(&head, "a-b") == ["2"], "{head}");
}

#[test]
fn names_with_underscores_are_kept_where_that_is_asked_for() {
    let (head, _proxy) = seen(|entrypoint| entrypoint.allow_underscores = true, "A_B: 1\r\n");
    assert_eq!(values(&head, "a_b"), ["1"]);
}

#[test]
fn an_underscore_makes_no_claim_of_a_stranger_believable() {
    let claims = "X_Forwarded_For: 6.6.6.6\r\nX_Real-Ip: 6.6.6.6\r\nX-Forwarded_User: root\r\n";
    let (head, _proxy) = seen(|entrypoint| entrypoint.allow_underscores = true, claims);
    assert!(!head.contains("6.6.6.6") && !head.contains("root"), "{head}");
}

#[test]
fn the_upstream_sees_its_own_address_as_host_where_that_is_asked_for() {
    let upstream = Upstream::answering(HELLO);
    let annotations = [("traefik.frontend.passHostHeader", "false")];
    let proxy = Proxy::builder()
        .manifest("web.yaml", &ingress_with("web", "", "/", &[upstream.address], &annotations))
        .start();
    assert_eq!(proxy.client().get("h.io", "/").status, 200);
    let head = upstream.last_head();
    assert_eq!(values(&head, "host"), [upstream.address.to_string()]);
    assert_eq!(values(&head, "x-forwarded-host"), ["h.io"]);
}
