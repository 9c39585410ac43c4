//! The access log of the binary, as a reader of its standard output gets it.

use crate::support::binary::Binary;
use crate::support::{Client, Upstream, eventually, ingress, ingress_with};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// alice:password
const CREDENTIALS: &str = "YWxpY2U6cGFzc3dvcmQ=";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: { name: staff }\nstringData:\n  auth: \"alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\"\n";

/// What the log says of: a request with credentials, a denied one, one that no route answers, one whose upstream is
/// down, and one that was refused unread.
fn log(format: &str) -> (Upstream, Vec<String>) {
    let upstream = Upstream::answering(HELLO);
    let folder = tempfile::tempdir().unwrap();
    let auth = [("ingress.kubernetes.io/auth-type", "basic"), ("ingress.kubernetes.io/auth-secret", "staff")];
    for (name, text) in [
        ("web.yaml", ingress_with("web", "a.io", "/", &[upstream.address], &auth)),
        ("down.yaml", ingress("down", "b.io", "/", &[Upstream::nobody()])),
        ("secret.yaml", SECRET.to_owned()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let binary = Binary::serve(&["--manifests", folder.path().to_str().unwrap(), "--access-log", format]);
    // Until it is synced; without a request, so that every line below has a place of its own.
    eventually("the first sync", || {
        let mut admin = Client::connect(binary.admin);
        (admin.get("localhost", "/ping").status == 200).then_some(())
    });
    let mut client = Client::connect(binary.address);
    client.send(format!(
        "GET /in?q=\"1 HTTP/1.1\r\nHost: a.io\r\nAuthorization: Basic {CREDENTIALS}\r\nCookie: session=tasty\r\nUser-Agent: test\"\r\nReferer: http://r/\r\n\r\n"
    ));
    assert_eq!(client.response().status, 200);
    client.send("POST /denied HTTP/1.1\r\nHost: a.io\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(client.response().status, 401);
    assert_eq!(client.get("nobody.io", "/").status, 404);
    assert_eq!(client.get("b.io", "/down").status, 502);
    client.send("GET / HTTP/1.1\r\nHost: a.io\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.response().status, 400);
    let text = binary.finish();
    assert!(!text.contains(CREDENTIALS) && !text.contains("password") && !text.contains("tasty"), "{text}");
    (upstream, text.lines().map(str::to_owned).collect())
}

#[test]
fn json_lines_say_what_became_of_every_request_even_of_refused_ones() {
    let (upstream, lines) = log("json");
    let lines: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 401, 404, 502, 400]);
    let answered = &lines[0];
    for (key, want) in [
        ("client_ip", "127.0.0.1"),
        ("entrypoint", "http"),
        ("method", "GET"),
        ("host", "a.io"),
        ("version", "HTTP/1.1"),
        ("route", "default/web/a.io/"),
        ("ingress", "default/web"),
        ("backend", "default/web:80"),
        ("user", "alice"),
        ("user_agent", "test\""),
        ("referer", "http://r/"),
        ("upstream", &upstream.address.to_string()),
    ] {
        assert_eq!(answered[key], want, "{key}: {answered}");
    }
    assert_eq!((answered["bytes_out"].as_u64(), answered["attempts"].as_u64()), (Some(5), Some(1)));
    assert_eq!((&lines[1]["reason"], &lines[1]["method"]), (&"basic-auth".into(), &"POST".into()));
    assert_eq!(lines[2]["reason"], "no route");
    assert_eq!(lines[3]["reason"], "connect error");
    assert_eq!(lines[4]["entrypoint"], "http");
    assert!(lines[4]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{}", lines[4]);
}

#[test]
fn common_lines_are_those_of_traefik() {
    let (upstream, lines) = log("common");
    // Behind the request, which is quoted and has no quote of its own.
    let status = |line: &String| line.split("\" ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let statuses: Vec<String> = lines.iter().map(status).collect();
    assert_eq!(statuses, ["200", "401", "404", "502", "400"], "{lines:#?}");
    let first = &lines[0];
    assert!(first.starts_with("127.0.0.1 - alice ["), "{first}");
    let upstream = format!("\"http://{}\"", upstream.address);
    for part in
        ["\"GET /in?q=", " HTTP/1.1\" 200 5 \"http://r/\" \"test", " 1 \"default/web/a.io/\" ", &upstream]
    {
        assert!(first.contains(part), "{part}: {first}");
    }
    assert!(lines[4].starts_with("127.0.0.1 - - ["), "{}", lines[4]);
}
