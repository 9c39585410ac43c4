//! Changes while clients are connected: they act at once, and nobody notices but by what is answered.

use crate::support::{Client, Proxy, Upstream, eventually, ingress, ingress_with};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

const RED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nred";
const BLUE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nblue";
const STAMP: (&str, &str) = ("test.io/stamp", "on");
/// alice:password and alice:secret
const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: { name: staff }\nstringData:\n  auth: \"alice:{SHA}HASH\"\n";
const PASSWORD: &str = "W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
const OTHER_PASSWORD: &str = "5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// Stamps requests and answers of the routes that carry its annotation with its version.
fn stamp(version: &str) -> String {
    format!(
        "return plugin {{\n  name = \"stamp\",\n  doc = \"Says which version of it ran.\",\n  stage = \"rewrite\",\n  \
         annotations = {{ on = {{ type = \"string\", required = true, names = {{ \"test.io/stamp\" }} }} }},\n  \
         configure = function() return \"{version}\" end,\n  \
         on_request = function(req, version) req.headers[\"X-Began\"] = version end,\n  \
         on_response = function(res, version) res.headers[\"X-Ended\"] = version end,\n}}\n"
    )
}

/// Answers `/slow` when it is told to, and everything else at once.
fn patient() -> (Upstream, Sender<()>) {
    let (tell, told): (Sender<()>, Receiver<()>) = channel();
    let told = Mutex::new(told);
    let upstream = Upstream::scripted(move |peer| {
        while let Some(head) = peer.head() {
            if head.starts_with("GET /slow ") {
                told.lock().unwrap().recv().unwrap();
            }
            peer.send(RED);
        }
    });
    (upstream, tell)
}

fn login(client: &mut Client, user_and_password: &str) -> u16 {
    use base64::Engine as _;
    let credentials = base64::engine::general_purpose::STANDARD.encode(user_and_password);
    client.send(format!("GET / HTTP/1.1\r\nHost: h.io\r\nAuthorization: Basic {credentials}\r\n\r\n"));
    client.response().status
}

#[test]
fn a_manifest_an_endpoint_a_secret_and_a_plugin_change_under_a_kept_connection() {
    let (red, blue) = (Upstream::answering(RED), Upstream::answering(BLUE));
    let auth = [("ingress.kubernetes.io/auth-type", "basic"), ("ingress.kubernetes.io/auth-secret", "staff")];
    let proxy = Proxy::builder()
        .manifest("plain.yaml", &ingress_with("plain", "a.io", "/", &[red.address], &[STAMP]))
        .manifest("closed.yaml", &ingress_with("closed", "h.io", "/", &[red.address], &auth))
        .manifest("secret.yaml", &SECRET.replace("HASH", PASSWORD))
        .plugin("stamp.lua", &stamp("1"))
        .start();
    let mut client = proxy.client();
    let response = client.get("a.io", "/");
    assert_eq!((response.text(), response.header("x-ended")), ("red", Some("1")));
    assert_eq!(login(&mut client, "alice:password"), 200);

    // Endpoints.
    proxy.edit(
        &proxy.manifests().join("plain.yaml"),
        &ingress_with("plain", "a.io", "/", &[blue.address], &[STAMP]),
    );
    assert_eq!(client.get("a.io", "/").text(), "blue");
    // The Ingress.
    proxy.edit(
        &proxy.manifests().join("plain.yaml"),
        &ingress_with("plain", "b.io", "/", &[blue.address], &[STAMP]),
    );
    assert_eq!((client.get("a.io", "/").status, client.get("b.io", "/").text()), (404, "blue"));
    // The Secret.
    proxy.edit(&proxy.manifests().join("secret.yaml"), &SECRET.replace("HASH", OTHER_PASSWORD));
    assert_eq!((login(&mut client, "alice:password"), login(&mut client, "alice:secret")), (401, 200));
    // The plugin.
    proxy.edit(&proxy.plugins().join("stamp.lua"), &stamp("2"));
    assert_eq!(client.get("b.io", "/").header("x-ended"), Some("2"));
    assert!((proxy.metric("moongate_listener_connections_accepted_total") - 1.0).abs() < 0.5);
}

#[test]
fn a_request_in_flight_ends_on_the_generation_that_it_began_with() {
    let (upstream, tell) = patient();
    let proxy = Proxy::builder()
        .manifest("web.yaml", &ingress_with("web", "", "/", &[upstream.address], &[STAMP]))
        .plugin("stamp.lua", &stamp("1"))
        .start();
    let mut slow = proxy.client();
    slow.send("GET /slow HTTP/1.1\r\nHost: h.io\r\n\r\n");
    eventually("the request at the upstream", || (!upstream.heads().is_empty()).then_some(()));

    proxy.edit(&proxy.plugins().join("stamp.lua"), &stamp("2"));
    assert_eq!(proxy.client().get("h.io", "/").header("x-ended"), Some("2"));
    assert!(upstream.last_head().contains("x-began: 2\r\n"), "{}", upstream.last_head());
    // Even the route itself goes.
    std::fs::remove_file(proxy.manifests().join("web.yaml")).unwrap();
    eventually("the route to go", || (proxy.client().get("h.io", "/").status == 404).then_some(()));

    tell.send(()).unwrap();
    let response = slow.response();
    assert_eq!((response.text(), response.header("x-ended")), ("red", Some("1")));
    assert_eq!(slow.get("h.io", "/").status, 404, "the connection lives on, with what is there now");
}

#[test]
fn a_broken_manifest_keeps_the_last_good_version_and_says_where_it_is_broken() {
    let upstream = Upstream::answering(RED);
    let text = ingress("web", "a.io", "/", &[upstream.address]);
    let proxy = Proxy::builder().manifest("web.yaml", &text).start();
    let file = proxy.manifests().join("web.yaml");
    proxy.save(&file, &text.replace("pathType: ImplementationSpecific", "pathType: Perfix"));
    let problem = eventually("the problem", || proxy.problems().pop());
    let line = text.lines().position(|line| line.contains("pathType:")).unwrap() + 1;
    assert!(problem.contains(&format!("web.yaml:{line}:19: ")), "{problem}");
    assert_eq!(proxy.client().get("a.io", "/").text(), "red");

    // YAML that cannot be read at all.
    proxy.save(&file, &text.replacen("kind: Ingress", "kind: [Ingress", 1));
    eventually("the other problem", || {
        proxy.problems().pop().filter(|other| *other != problem && other.contains("web.yaml:"))
    });
    assert_eq!(proxy.client().get("a.io", "/").text(), "red");

    proxy.save(&file, &text);
    eventually("no problem", || proxy.problems().is_empty().then_some(()));
}

#[test]
fn a_broken_plugin_keeps_the_last_good_version_and_says_where_it_is_broken() {
    let upstream = Upstream::answering(RED);
    let proxy = Proxy::builder()
        .manifest("web.yaml", &ingress_with("web", "", "/", &[upstream.address], &[STAMP]))
        .plugin("stamp.lua", &stamp("1"))
        .start();
    let file = proxy.plugins().join("stamp.lua");
    for (broken, place) in [
        (stamp("2").replace("doc =", "dok ="), "stamp.lua:3:3: unknown key 'dok'"),
        (stamp("2").replace("configure = function()", "configure = function("), "stamp.lua:6:"),
    ] {
        proxy.save(&file, &broken);
        let is_it = |problem: &String| problem.contains(place);
        eventually(place, || proxy.problems().into_iter().find(is_it));
        assert_eq!(proxy.client().get("h.io", "/").header("x-ended"), Some("1"), "{place}");
        let plugins = proxy.json("/api/plugins");
        let stamp = plugins.as_array().unwrap().iter().find(|plugin| plugin["name"] == "stamp").unwrap();
        assert_eq!(stamp["state"], "last-good");
    }
    proxy.edit(&file, &stamp("3"));
    assert_eq!(proxy.client().get("h.io", "/").header("x-ended"), Some("3"));
    assert_eq!(proxy.problems(), [""; 0]);
}

#[test]
fn a_rewrite_with_equal_content_makes_no_generation() {
    let upstream = Upstream::answering(RED);
    let text = ingress_with("web", "", "/", &[upstream.address], &[STAMP]);
    let proxy = Proxy::builder().manifest("web.yaml", &text).plugin("stamp.lua", &stamp("1")).start();
    let before = proxy.generation();
    proxy.save(&proxy.manifests().join("web.yaml"), &text);
    proxy.save(&proxy.plugins().join("stamp.lua"), &stamp("1"));
    // A reload reads everything, so that nothing is left to come afterwards.
    let report = proxy.reload("");
    assert_eq!(report["generation"], before);
    assert_eq!(report["changed"], serde_json::json!({ "plugins": [], "routes": [] }));
    assert_eq!(proxy.generation(), before);
}

/// A file behind the watcher's back: changed through a second name outside of the watched folder.
struct Hidden {
    _folder: tempfile::TempDir,
    name: std::path::PathBuf,
}

impl Hidden {
    fn link(file: &std::path::Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("second-name");
        std::fs::hard_link(file, &name).unwrap();
        Self { _folder: folder, name }
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.name, text).unwrap();
    }
}

#[test]
fn a_dry_run_says_what_a_reload_would_change_and_changes_nothing() {
    let (red, blue) = (Upstream::answering(RED), Upstream::answering(BLUE));
    let proxy = Proxy::builder()
        .manifest("web.yaml", &ingress_with("web", "", "/", &[red.address], &[STAMP]))
        .manifest("other.yaml", &ingress("other", "other.io", "/", &[blue.address]))
        .plugin("stamp.lua", &stamp("1"))
        .start();
    let manifest = Hidden::link(&proxy.manifests().join("other.yaml"));
    let plugin = Hidden::link(&proxy.plugins().join("stamp.lua"));
    let before = proxy.generation();
    manifest.write(&ingress("other", "other.io", "/new", &[blue.address]));
    plugin.write(&stamp("2"));

    let dry = proxy.reload("?dry_run=true");
    assert_eq!((dry["ok"].as_bool(), dry["generation"].as_u64()), (Some(true), Some(before + 1)));
    assert_eq!(dry["changed"]["plugins"], serde_json::json!(["stamp"]));
    let routes =
        serde_json::json!(["default/other/other.io/", "default/other/other.io/new", "default/web//"]);
    assert_eq!(dry["changed"]["routes"], routes);
    assert_eq!(proxy.generation(), before);
    assert_eq!(proxy.client().get("h.io", "/").header("x-ended"), Some("1"));
    assert_eq!(proxy.client().get("other.io", "/").text(), "blue");

    let mut real = proxy.reload("");
    assert_eq!(proxy.generation(), before + 1);
    assert_eq!(real["changed"].take(), dry["changed"]);
    assert_eq!(proxy.client().get("h.io", "/").header("x-ended"), Some("2"));
    assert_eq!(proxy.client().get("other.io", "/").status, 404);
    assert_eq!(proxy.client().get("other.io", "/new").text(), "blue");
}

#[test]
fn a_dry_run_says_what_is_wrong_and_a_reload_keeps_the_last_good_version() {
    let upstream = Upstream::answering(RED);
    let proxy = Proxy::builder()
        .manifest("web.yaml", &ingress_with("web", "", "/", &[upstream.address], &[STAMP]))
        .plugin("stamp.lua", &stamp("1"))
        .start();
    let plugin = Hidden::link(&proxy.plugins().join("stamp.lua"));
    plugin.write("return plugin {");
    for query in ["?dry_run=true", ""] {
        let report = proxy.reload(query);
        assert_eq!(report["ok"], false);
        assert!(report["problems"][0]["at"].as_str().unwrap().contains("stamp.lua:1:"), "{report}");
        assert_eq!(proxy.problems().len(), usize::from(query.is_empty()));
        assert_eq!(proxy.client().get("h.io", "/").header("x-ended"), Some("1"));
    }
}

#[test]
fn the_loser_of_a_conflict_takes_over_when_the_winner_goes() {
    let (red, blue) = (Upstream::answering(RED), Upstream::answering(BLUE));
    let proxy = Proxy::builder()
        .manifest("a.yaml", &ingress("a", "h.io", "/", &[red.address]))
        .manifest("b.yaml", &ingress("b", "h.io", "/", &[blue.address]))
        .start();
    let mut client = proxy.client();
    assert_eq!(client.get("h.io", "/").text(), "red");
    let problems = proxy.json("/api/problems");
    assert_eq!(problems[0]["subject"], "Ingress default/b");
    std::fs::remove_file(proxy.manifests().join("a.yaml")).unwrap();
    eventually("the loser's turn", || (client.get("h.io", "/").text() == "blue").then_some(()));
    eventually("no conflict", || proxy.problems().is_empty().then_some(()));
    std::fs::remove_file(proxy.manifests().join("b.yaml")).unwrap();
    eventually("no route", || (client.get("h.io", "/").status == 404).then_some(()));
}

#[test]
fn a_typo_in_a_whitelist_closes_its_route_and_is_reported() {
    let upstream = Upstream::answering(RED);
    let with = |ranges| {
        let annotations = [("ingress.kubernetes.io/whitelist-source-range", ranges)];
        ingress_with("web", "a.io", "/", &[upstream.address], &annotations)
    };
    let proxy = Proxy::builder()
        .manifest("web.yaml", &with("127.0.0.0/8"))
        .manifest("other.yaml", &ingress("other", "b.io", "/", &[upstream.address]))
        .start();
    let mut client = proxy.client();
    assert_eq!(client.get("a.io", "/").status, 200);
    proxy.edit(&proxy.manifests().join("web.yaml"), &with("127.0.0.0/80"));
    assert_eq!(client.get("a.io", "/").status, 503);
    assert_eq!(client.get("b.io", "/").status, 200);
    let problems = proxy.json("/api/problems");
    assert_eq!(problems[0]["field"], "annotation ingress.kubernetes.io/whitelist-source-range");
    assert!(problems[0]["at"].as_str().unwrap().ends_with("web.yaml:7:51"), "{problems}");
    proxy.edit(&proxy.manifests().join("web.yaml"), &with("127.0.0.0/8"));
    assert_eq!(client.get("a.io", "/").status, 200);
}

#[test]
fn a_guard_that_was_never_good_closes_its_routes() {
    let upstream = Upstream::answering(RED);
    let proxy = Proxy::builder()
        .manifest("web.yaml", &ingress_with("web", "a.io", "/", &[upstream.address], &[STAMP]))
        .manifest("other.yaml", &ingress("other", "b.io", "/", &[upstream.address]))
        .plugin("stamp.lua", &stamp("1").replace("\"rewrite\"", "\"guard\"").replace("configure", "configur"))
        .start();
    let mut client = proxy.client();
    assert_eq!(client.get("a.io", "/").status, 503);
    assert_eq!(client.get("b.io", "/").status, 200);
    let problems = proxy.problems();
    assert!(problems.iter().any(|problem| problem.contains("stamp.lua:6:3: ")), "{problems:?}");
    proxy.edit(&proxy.plugins().join("stamp.lua"), &stamp("1").replace("\"rewrite\"", "\"guard\""));
    assert_eq!(client.get("a.io", "/").status, 200);
}

#[test]
fn two_hundred_edits_under_load_fail_no_request_and_close_no_connection() {
    let (red, blue) = (Upstream::answering(RED), Upstream::answering(BLUE));
    let web = |endpoint, note: usize| {
        let note = note.to_string();
        ingress_with("web", "", "/", &[endpoint], &[STAMP, ("test.io/note", note.as_str())])
    };
    let proxy = Proxy::builder()
        .settings(|settings| settings.workers = 2)
        .manifest("web.yaml", &web(red.address, 0))
        .plugin("stamp.lua", &stamp("0"))
        .start();
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, done, answered) = (proxy.client(), done.clone(), answered.clone());
            // A closed connection is a panic of the client.
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let response = client.get("h.io", "/");
                    assert_eq!(response.status, 200, "{response:?}");
                    assert!(matches!(response.text(), "red" | "blue"));
                    assert!(response.header("x-ended").is_some());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=200 {
        let last = answered.load(Ordering::Relaxed);
        match round % 4 {
            0 => proxy.save(&proxy.plugins().join("stamp.lua"), &stamp(&round.to_string())),
            1 => proxy.save(&proxy.plugins().join("stamp.lua"), &format!("broken {round}")),
            2 => proxy.save(&proxy.manifests().join("web.yaml"), &web(blue.address, round)),
            _ => proxy.save(&proxy.manifests().join("web.yaml"), &web(red.address, round)),
        }
        proxy.reload("");
        eventually("requests in between", || (answered.load(Ordering::Relaxed) > last + 4).then_some(()));
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert!(proxy.generation() > 150, "{}", proxy.generation());
    assert!((proxy.metric("moongate_listener_connections_accepted_total") - 4.0).abs() < 0.5);
    assert!(proxy.metric("moongate_plugin_errors_total").abs() < 0.5);
}
