//! The bundled plugins and a few hostile ones, through the whole proxy.

use crate::support::{Client, Proxy, Response, Upstream, eventually, ingress, ingress_with};
use base64::Engine as _;
use moongate::model::settings::EntryPoint;
use std::net::SocketAddr;
use std::sync::Arc;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Powered-By: PHP\r\n\r\nhello";

/// One Ingress at `path` with these annotations.
fn annotated(path: &str, annotations: &[(&str, &str)]) -> (Upstream, Proxy) {
    let upstream = Upstream::answering(HELLO);
    let text = ingress_with("web", "", path, &[upstream.address], annotations);
    let proxy = Proxy::builder().manifest("web.yaml", &text).start();
    assert_eq!(proxy.problems(), [""; 0]);
    (upstream, proxy)
}

fn ask(client: &mut Client, path: &str, headers: &str) -> Response {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: h.io\r\n{headers}\r\n"));
    client.response()
}

/// A plugin for the annotation `test.io/it` with these lines.
fn plugin(stage: &str, lines: &str) -> String {
    format!(
        "local seen = 0\nreturn plugin {{\n  name = \"it\",\n  doc = \"A test's.\",\n  stage = \"{stage}\",\n  annotations = {{ \
         text = {{ type = \"string\", required = true, names = {{ \"test.io/it\" }} }} }},\n{lines}\n}}\n"
    )
}

/// `a.io` with that plugin and `b.io` without, to the same upstream.
fn with_plugin(stage: &str, lines: &str) -> (Upstream, Proxy) {
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::builder()
        .manifest("a.yaml", &ingress_with("a", "a.io", "/", &[upstream.address], &[("test.io/it", "on")]))
        .manifest("b.yaml", &ingress("b", "b.io", "/", &[upstream.address]))
        .plugin("it.lua", &plugin(stage, lines))
        .start();
    assert_eq!(proxy.problems(), [""; 0]);
    (upstream, proxy)
}

#[test]
fn path_prefix_strip_takes_whole_elements_off() {
    let (upstream, proxy) = annotated("/locust", &[("traefik.frontend.rule.type", "PathPrefixStrip")]);
    let mut client = proxy.client();
    for (path, want) in [
        ("/locust/swarm?a=/locust", "/swarm?a=/locust"),
        ("/locust", "/"),
        ("/locust/", "/"),
        ("/%6cocust/%2F", "/%2F"),
    ] {
        assert_eq!(ask(&mut client, path, "X-Forwarded-Prefix: /evil\r\n").status, 200, "{path}");
        let head = upstream.last_head();
        assert!(head.starts_with(&format!("GET {want} HTTP/1.1\r\n")), "{path}: {head}");
        assert!(head.contains("x-forwarded-prefix: /locust\r\n") && !head.contains("evil"), "{head}");
    }
    assert_eq!(client.get("h.io", "/locusts").status, 404);
}

#[test]
fn a_whitelist_lets_in_whom_it_names() {
    const RANGES: &str = "ingress.kubernetes.io/whitelist-source-range";
    for (ranges, forwarded, want) in [
        ("127.0.0.0/8", "", 200),
        ("192.0.2.0/24", "", 403),
        ("192.0.2.0/24, 127.0.0.1", "", 200),
        // Anybody can write a header.
        ("192.0.2.0/24", "X-Forwarded-For: 192.0.2.1\r\nX-Real-Ip: 192.0.2.1\r\n", 403),
    ] {
        let (upstream, proxy) = annotated("/", &[(RANGES, ranges)]);
        let response = ask(&mut proxy.client(), "/", forwarded);
        assert_eq!(response.status, want, "{ranges} {forwarded}");
        assert_eq!(upstream.connections(), usize::from(want == 200));
    }
    // Unless the peer is a proxy of ours.
    let upstream = Upstream::answering(HELLO);
    let proxy = Proxy::builder()
        .manifest("web.yaml", &ingress_with("web", "", "/", &[upstream.address], &[(RANGES, "192.0.2.0/24")]))
        .settings(|settings| {
            settings.entrypoints[0].trusted_proxies = Arc::new("127.0.0.0/8".parse().unwrap());
        })
        .start();
    let mut client = proxy.client();
    assert_eq!(ask(&mut client, "/", "X-Forwarded-For: 192.0.2.1\r\n").status, 200);
    assert_eq!(ask(&mut client, "/", "X-Forwarded-For: 192.0.2.1, 198.51.100.1\r\n").status, 403);
}

#[test]
fn basic_auth_asks_for_a_password_of_its_secret() {
    let bcrypt = bcrypt::hash("moon", 4).unwrap();
    let upstream = Upstream::answering(HELLO);
    let annotations = [
        ("ingress.kubernetes.io/auth-type", "basic"),
        ("ingress.kubernetes.io/auth-secret", "staff"),
        ("ingress.kubernetes.io/auth-remove-header", "true"),
        ("ingress.kubernetes.io/auth-header-field", "X-User"),
    ];
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: staff }}\nstringData:\n  auth: |\n    alice:{bcrypt}\n    \
         bob:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"
    );
    let proxy = Proxy::builder()
        .manifest("web.yaml", &ingress_with("web", "", "/", &[upstream.address], &annotations))
        .manifest("secret.yaml", &secret)
        .start();
    assert_eq!(proxy.problems(), [""; 0]);
    let mut client = proxy.client();
    for (credentials, want) in [
        ("alice:moon", 200),
        ("bob:password", 200),
        // Answered from memory now.
        ("alice:moon", 200),
        ("alice:sun", 401),
        ("bob:moon", 401),
        ("carol:moon", 401),
        ("alice:", 401),
    ] {
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        // A field of the client's must not stand for the user.
        let response = ask(&mut client, "/", &format!("Authorization: Basic {encoded}\r\nX-User: root\r\n"));
        assert_eq!(response.status, want, "{credentials}");
        if want == 200 {
            let (head, user) = (upstream.last_head(), credentials.split(':').next().unwrap());
            assert!(head.contains(&format!("x-user: {user}\r\n")) && !head.contains("root"), "{head}");
            assert!(!head.contains("authorization"), "{head}");
        } else {
            assert_eq!(response.header("www-authenticate"), Some("Basic realm=\"traefik\""));
        }
    }
    assert_eq!(ask(&mut client, "/", "").status, 401);
    assert_eq!(ask(&mut client, "/", "Authorization: Basic ???\r\n").status, 401);
    assert_eq!(upstream.heads().len(), 3, "nothing else came through");
}

#[test]
fn custom_headers_are_set_and_deleted_both_ways() {
    let (upstream, proxy) = annotated(
        "/",
        &[
            ("ingress.kubernetes.io/custom-request-headers", "X-Env:edge||X-Gone:"),
            ("ingress.kubernetes.io/custom-response-headers", "X-Frame-Options:DENY||X-Powered-By:"),
        ],
    );
    let response = ask(&mut proxy.client(), "/", "X-Gone: 1\r\nX-Env: mine\r\nX-Env: too\r\n");
    let head = upstream.last_head();
    assert!(head.contains("x-env: edge\r\n") && !head.contains("mine") && !head.contains("too"), "{head}");
    assert!(!head.contains("x-gone"), "{head}");
    assert_eq!(response.header("x-frame-options"), Some("DENY"));
    assert_eq!(response.header("x-powered-by"), None);
}

#[test]
fn the_upstream_gets_the_clients_host_or_its_own() {
    for (pass, own) in [("true", false), ("false", true)] {
        let (upstream, proxy) = annotated("/", &[("traefik.frontend.passHostHeader", pass)]);
        assert_eq!(proxy.client().get("h.io", "/").status, 200);
        let host = if own { upstream.address.to_string() } else { "h.io".into() };
        let head = upstream.last_head();
        assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{pass}: {head}");
        assert!(head.contains("x-forwarded-host: h.io\r\n"), "{head}");
    }
}

#[test]
fn a_priority_comes_before_a_longer_path() {
    const LOW: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nlow";
    let (high, low) = (Upstream::answering(HELLO), Upstream::answering(LOW));
    let proxy = Proxy::builder()
        .manifest(
            "high.yaml",
            &ingress_with("high", "", "/", &[high.address], &[("traefik.frontend.priority", "5")]),
        )
        .manifest("low.yaml", &ingress("low", "", "/long/path", &[low.address]))
        .start();
    assert_eq!(proxy.client().get("h.io", "/long/path").text(), "hello");
}

#[test]
fn a_route_answers_on_its_entrypoints_only() {
    let upstream = Upstream::answering(HELLO);
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let only = ("traefik.frontend.entryPoints", "inside");
    let proxy = Proxy::builder()
        .settings(|settings| settings.entrypoints.push(EntryPoint::new("inside", anywhere)))
        .manifest("web.yaml", &ingress_with("web", "", "/", &[upstream.address], &[only]))
        .start();
    assert_eq!(proxy.client().get("h.io", "/").status, 404);
    let inside = proxy.running().entrypoints()[1].1;
    assert_eq!(Client::connect(inside).get("h.io", "/").status, 200);
}

#[test]
fn an_endless_loop_costs_its_own_route_and_no_other() {
    let (upstream, proxy) = with_plugin("guard", "  on_request = function() while true do end end,");
    let mut client = proxy.client();
    for _ in 0..5 {
        let response = client.get("a.io", "/");
        assert_eq!(response.status, 503);
        assert_eq!(client.get("b.io", "/").text(), "hello");
    }
    assert_eq!(upstream.heads().len(), 5);
    assert!((proxy.metric("moongate_plugin_errors_total{plugin=\"it\",kind=\"cpu\"}") - 5.0).abs() < 0.5);
}

#[test]
fn a_plugin_that_guards_nothing_fails_open() {
    let lines =
        "  on_request = function(req) req.headers[\"X-Half\"] = \"done\"; error(\"secret detail\") end,";
    let (upstream, proxy) = with_plugin("rewrite", lines);
    assert_eq!(proxy.client().get("a.io", "/").text(), "hello");
    assert!(!upstream.last_head().contains("x-half"), "{}", upstream.last_head());
    let (_upstream, proxy) = with_plugin("auth", lines);
    let response = proxy.client().get("a.io", "/");
    assert_eq!(response.status, 503);
    assert!(!response.text().contains("secret"), "{response:?}");
}

#[test]
fn memory_is_limited_and_the_worker_lives_on() {
    let lines = "  on_request = function() local t = {} while true do t[#t + 1] = string.rep(\"x\", 65536) .. #t end end,";
    let (_upstream, proxy) = with_plugin("guard", lines);
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.get("a.io", "/").status, 503);
        assert_eq!(client.get("b.io", "/").text(), "hello");
    }
}

#[test]
fn a_log_hook_runs_after_each_request() {
    let lines = "  on_response = function(res) res.headers[\"X-Seen\"] = tostring(seen) end,\n  \
                 on_log = function(log) if log.status == 200 then seen = seen + 1 end end,";
    let (_upstream, proxy) = with_plugin("observe", lines);
    let mut client = proxy.client();
    for seen in ["0", "1", "2"] {
        assert_eq!(client.get("a.io", "/").header("x-seen"), Some(seen));
    }
    // What fails there fails alone, after the answer.
    let (_upstream, proxy) = with_plugin("observe", "  on_log = function() error(\"no\") end,");
    assert_eq!(proxy.client().get("a.io", "/").status, 200);
    eventually("the error to be counted", || {
        (proxy.metric("moongate_plugin_errors_total{plugin=\"it\"") > 0.5).then_some(())
    });
}

#[test]
fn a_plugin_answers_and_redirects_itself() {
    let lines = "  on_request = function(req)\n    if req.path == \"/old\" then return redirect(\"http://\" .. req.host .. \"/new\", 301) end\n    \
                 if req.path == \"/tea\" then return respond { status = 418, body = \"short and stout\\n\", headers = { [\"X-Pot\"] = \"1\" } } end\n  end,";
    let (upstream, proxy) = with_plugin("redirect", lines);
    let mut client = proxy.client();
    let response = client.get("a.io", "/old");
    assert_eq!((response.status, response.header("location")), (301, Some("http://a.io/new")));
    let response = client.get("a.io", "/tea");
    assert_eq!(
        (response.status, response.text(), response.header("x-pot")),
        (418, "short and stout\n", Some("1"))
    );
    assert_eq!(upstream.connections(), 0);
    assert_eq!(client.get("a.io", "/").text(), "hello");
    // HEAD gets the head only.
    client.send("HEAD /tea HTTP/1.1\r\nHost: a.io\r\n\r\n");
    assert_eq!(client.head().0, 418);
    assert_eq!(client.get("a.io", "/").text(), "hello");
}

#[test]
fn a_denied_upload_is_answered_without_reading_it_all() {
    let (upstream, proxy) =
        annotated("/", &[("ingress.kubernetes.io/whitelist-source-range", "192.0.2.0/24")]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h.io\r\nContent-Length: 1000000000\r\n\r\nstart");
    assert_eq!(client.response().status, 403);
    client.half_close();
    assert!(client.is_closed());
    assert_eq!(upstream.connections(), 0);
}
