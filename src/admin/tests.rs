//! The admin address over real sockets.

use super::*;
use crate::ground::problem::{Pos, Problem, Source};
use crate::model::plugins::{Origin, PluginState, PluginStatus, Stage};
use crate::snapshot::view::{Changed, ReloadReport, ReloadRequest, Reloads, View};
use crate::telemetry::fixture;
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

struct Admin {
    address: SocketAddr,
    health: Arc<Health>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn view() -> View {
    let source = Source { file: "web.yaml".into() };
    let problem = Problem::error("Ingress default/web", "prefix length is 0..32")
        .field("annotation x/y")
        .value("</script><b>")
        .at(&source, Pos { line: 12, column: 7 });
    let plugin = PluginStatus {
        name: "whitelist".into(),
        file: "whitelist.lua".into(),
        source: Origin::Bundled,
        hash: "ab12".into(),
        state: PluginState::LastGood,
        claims: vec!["x/y".into()],
        stage: Some(Stage::Guard),
        problems: Vec::new(),
    };
    View {
        synced: true,
        problems: vec![problem].into(),
        plugins: vec![plugin].into(),
        reloads: Reloads::default(),
    }
}

fn reload(request: ReloadRequest) -> bool {
    let generation = if request.dry_run { 41 } else { 42 };
    let changed = Changed { plugins: vec!["stamp".into()], routes: Vec::new() };
    (request.reply)(ReloadReport { generation, changed, problems: Vec::new(), ok: true });
    true
}

fn start(token: Option<&str>, view: View, reload: Reloader) -> Admin {
    let health = Health::new();
    let state = AdminState {
        entrypoints: Arc::new(["http".into()]),
        token: token.map(Token::new),
        snapshot: Arc::new(SnapshotCell::new(fixture::snapshot())),
        view: Arc::new(ArcSwap::from_pointee(view)),
        reload,
        metrics: Metrics::new(2),
        health: Arc::clone(&health),
        plugin_errors: Arc::new(Vec::new),
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = serve(listener, state, async {
        let _dropped = stopped.await;
    });
    Admin { address, health, stop: Some(stop), thread: Some(thread.unwrap()) }
}

fn ready() -> Admin {
    let admin = start(None, view(), Arc::new(reload));
    admin.health.listening(vec![("http".into(), SocketAddr::from(([127, 0, 0, 1], 8000)))]);
    admin
}

impl Admin {
    /// Sends `head` (its lines without line ends) and reads until the connection is closed.
    fn send(&self, head: &[&str], body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let text = format!("{}\r\nConnection: close\r\n\r\n{body}", head.join("\r\n"));
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn ask(&self, line: &str) -> (u16, String, String) {
        self.send(&[&format!("{line} HTTP/1.1"), "Host: localhost"], "")
    }

    fn json(&self, path: &str) -> Value {
        let (status, head, body) = self.ask(&format!("GET {path}"));
        assert_eq!(status, 200, "{path}");
        assert!(head.contains("content-type: application/json"), "{head}");
        serde_json::from_str(&body).unwrap()
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn ping_says_ok_only_while_everything_is_there() {
    let unsynced = start(None, View { synced: false, ..view() }, Arc::new(reload));
    let (status, _, body) = unsynced.ask("GET /ping");
    assert_eq!((status, &*body), (503, "starting: the first sync is not complete\n"));

    let admin = start(None, view(), Arc::new(reload));
    let (status, _, body) = admin.ask("GET /ping");
    assert_eq!((status, &*body), (503, "starting: not every listener is up\n"));
    admin.health.listening(Vec::new());
    let (status, _, body) = admin.ask("GET /ping");
    assert_eq!((status, &*body), (200, "OK"));
    admin.health.drain();
    let (status, _, body) = admin.ask("GET /ping");
    assert_eq!((status, &*body), (503, "draining: this process is about to end\n"));
    assert_eq!(admin.json("/health")["status"], "draining");
}

#[test]
fn health_says_how_we_are_and_where() {
    let admin = ready();
    let health = admin.json("/health");
    assert_eq!(
        keys(&health),
        ["admin", "entrypoints", "generation", "problems", "status", "uptime_s", "workers"]
    );
    assert_eq!(health["status"], "ready");
    assert_eq!((&health["generation"], &health["workers"]), (&json!(41), &json!(2)));
    assert_eq!(health["entrypoints"], json!({ "http": "127.0.0.1:8000" }));
    assert_eq!(health["admin"], admin.address.to_string());
    assert_eq!(health["problems"], json!({ "errors": 1, "warnings": 0 }));
}

#[test]
fn what_runs_has_the_keys_of_the_design() {
    let admin = ready();
    assert_eq!(admin.json("/api/version"), json!({ "version": "0.1.0", "commit": telemetry_commit() }));
    assert_eq!(
        admin.json("/api/routes")[0],
        json!({
            "key": "default/web/h.io/", "entrypoints": ["http"], "host": "h.io", "path": "/",
            "path_type": "Prefix", "default": false, "priority": 0, "ingress": "default/web",
            "plugins": ["rule-type", "whitelist"], "backend": "default/web:80", "unavailable": null,
            "problems": [],
        })
    );
    let closed = &admin.json("/api/routes")[1];
    assert_eq!((&closed["backend"], &closed["unavailable"]), (&Value::Null, &json!("whitelist: no range")));
    assert_eq!(closed["problems"][0]["text"], "no range");
    let backend = &admin.json("/api/backends")[0];
    assert_eq!((&backend["key"], &backend["balance"]), (&json!("default/web:80"), &json!("wrr")));
    assert_eq!(
        backend["endpoints"][0],
        json!({
            "address": "10.0.0.5:8080", "state": "up", "reason": "", "weight": 1, "in_flight": 0,
            "requests": 0, "failures": 0, "ewma_ms": 0.0,
        })
    );
    assert_eq!(backend["endpoints"][1]["state"], "draining");
    let plugin = &admin.json("/api/plugins")[0];
    for (key, want) in [
        ("name", json!("whitelist")),
        ("source", json!("bundled")),
        ("hash", json!("ab12")),
        ("state", json!("last-good")),
        ("claims", json!(["x/y"])),
        ("stage", json!("guard")),
        ("problems", json!([])),
    ] {
        assert_eq!(plugin[key], want, "{key}");
    }
    assert_eq!(
        admin.json("/api/problems"),
        json!([{
            "subject": "Ingress default/web", "field": "annotation x/y", "value": "</script><b>",
            "text": "prefix length is 0..32", "severity": "error", "at": "web.yaml:12:7",
        }])
    );
}

fn telemetry_commit() -> &'static str {
    crate::telemetry::process::COMMIT
}

#[test]
fn other_pages_and_methods() {
    let admin = ready();
    let (status, head, body) = admin.ask("GET /metrics");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(body.contains("\nmoongate_control_generation 41\n"), "{body}");

    let (status, head, body) = admin.ask("HEAD /api/routes");
    assert_eq!((status, &*body), (200, ""));
    assert!(head.contains("content-length: "), "{head}");

    for (line, status, part) in [
        ("GET /api/vip", 404, "no VIP is configured"),
        ("GET /api/nothing", 404, "/api/routes"),
        ("GET /ping/", 404, ""),
        ("POST /api/routes", 405, "GET, HEAD only"),
        ("DELETE /ping", 405, ""),
        ("GET /api/reload", 405, "POST only"),
        ("OPTIONS /api/reload", 405, ""),
    ] {
        let (got, head, body) = admin.ask(line);
        assert_eq!(got, status, "{line}");
        assert!(body.contains(part), "{line}: {body}");
        assert_eq!(status == 405, head.contains("\r\nallow: "), "{line}: {head}");
    }
    for line in ["GET /", "GET /dashboard"] {
        let (status, head, _) = admin.ask(line);
        assert_eq!(status, 302);
        assert!(head.contains("\r\nlocation: dashboard/\r\n"), "{head}");
    }
}

#[test]
fn the_dashboard_allows_its_own_script_and_style_and_nothing_else() {
    let (status, head, body) = ready().ask("GET /dashboard/");
    assert_eq!(status, 200);
    assert!(body.starts_with("<!doctype html>"));
    let policy = head.split("content-security-policy: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for part in ["style-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    assert!(head.contains("x-content-type-options: nosniff"));
}

#[test]
fn a_reload_answers_what_changed() {
    let admin = ready();
    for (target, generation) in
        [("/api/reload", 42), ("/api/reload?dry_run=true", 41), ("/api/reload?dry_run=false", 42)]
    {
        let (status, _, body) = admin.ask(&format!("POST {target}"));
        assert_eq!(status, 200);
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            json!({
                "generation": generation, "changed": { "plugins": ["stamp"], "routes": [] },
                "problems": [], "ok": true,
            })
        );
    }
    let (status, _, body) = admin.ask("POST /api/reload?dryrun=true");
    assert_eq!((status, &*body), (400, "unknown parameter 'dryrun': did you mean 'dry_run'?\n"));
}

#[test]
fn a_reload_that_nobody_takes_or_answers_is_503() {
    let busy = start(None, view(), Arc::new(|_| false));
    assert_eq!(busy.ask("POST /api/reload").0, 503);
    let ending = start(None, view(), Arc::new(|_| true));
    assert_eq!(ending.ask("POST /api/reload").0, 503);
}

#[test]
fn a_reload_is_guarded() {
    let line = "POST /api/reload HTTP/1.1";
    let open = ready();
    for fields in [
        &["Host: evil.example"][..],
        &["Host: localhost", "Origin: http://localhost"],
        &["Host: localhost", "X-Forwarded-For: 127.0.0.1"],
        &["Host: localhost", "Via: 1.1 moongate"],
    ] {
        let (status, _, body) = open.send(&[&[line], fields].concat(), "");
        assert_eq!(status, 403, "{fields:?}");
        assert!(body.contains("--admin-token-file"), "{body}");
    }
    let guarded = start(Some("sesame"), view(), Arc::new(reload));
    let (status, head, body) = guarded.send(&[line, "Host: h.io"], "");
    assert_eq!(status, 401);
    assert!(head.contains("www-authenticate: bearer"), "{head}");
    assert!(!body.contains("sesame"), "{body}");
    assert_eq!(guarded.send(&[line, "Host: h.io", "Authorization: Bearer no"], "").0, 401);
    assert_eq!(guarded.send(&[line, "Host: h.io", "Authorization: Bearer sesame"], "").0, 200);
}

#[test]
fn heads_and_bodies_are_bounded() {
    let admin = ready();
    let body = "x".repeat(70_000);
    let length = format!("Content-Length: {}", body.len());
    let (status, _, _) = admin.send(&["POST /api/reload HTTP/1.1", "Host: localhost", &length], &body);
    assert_eq!(status, 413);
    let long = format!("X-Long: {}", "y".repeat(400_000));
    let mut stream = TcpStream::connect(admin.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let text = format!("GET /ping HTTP/1.1\r\nHost: localhost\r\n{long}\r\n\r\n");
    // It may close while we still write.
    let _closed_early = stream.write_all(text.as_bytes());
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    // The refusal may be lost in the reset, but it is never an answer.
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn one_connection_takes_many_questions_and_a_stop_ends_it() {
    let admin = ready();
    let mut stream = TcpStream::connect(admin.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\nOK") {
            assert_eq!(stream.read(&mut byte).unwrap(), 1);
            answer.push(byte[0]);
        }
    }
    drop(admin); // joins its thread
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}
