//! The binary as a person or a script meets it: words, exit codes, and where each text goes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

fn moongate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moongate"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = moongate(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn version_is_one_line() {
    let (code, out, err) = run(&["version"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let rest = out.strip_prefix(concat!("moongate ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    assert!(rest.ends_with(")\n"), "{out}");
}

#[test]
fn help_is_good_and_teaches() {
    for (args, part) in [
        (&["--help"][..], "Exit codes: 0 good"),
        (&["serve", "--help"], "moongate serve --manifests ./deploy"),
        (&["check", "--help"], "--format github"),
        (&["explain", "--help"], "http://shop.example/cart"),
        (&["demo", "--help"], "deploy/quickstart"),
        (&["whoami", "--help"], "?status=503"),
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
        assert!(out.contains(part), "{args:?}: {out}");
        assert!(!out.contains('\x1b'), "no colour where nobody sees it");
    }
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_to_do() {
    for (args, part) in [
        (&[][..], "Usage: moongate"),
        (&["sreve"], "serve"),
        (&["serve", "--manifets", "x"], "--manifests"),
        (&["serve"], "say where routes come from: --manifests DIR, or --to HOST:PORT"),
        (&["serve", "--to", "127.0.0.1:1", "--manifests", "."], "--to is one route for everything"),
        (&["serve", "--to", "localhost"], "--to: 'localhost': an upstream is written HOST:PORT"),
        (&["serve", "--kubernetes"], "--kubernetes: routes from a cluster arrive with a later version"),
        (&["serve", "--vip", "10.0.0.1/32@eth0"], "--vip: virtual IPs arrive with a later version"),
        (&["check"], "say which manifests"),
        (&["check", "--manifests", ".", "--format", "xml"], "github"),
        (&["check", "--manifests", "/nowhere"], "--manifests: '/nowhere': there is no such file or folder"),
        (&["explain", "--manifests", "."], "<URL>"),
        (&["whoami"], "--listen"),
        (&["whoami", "--listen", "nowhere"], "--listen"),
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(part), "{args:?}: {err}");
    }
}

#[test]
fn the_environment_is_read_and_checked() {
    let output = moongate(&["serve"]).env("MOONGATE_WORKRES", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(err, "error: MOONGATE_WORKRES: unknown name: did you mean 'MOONGATE_WORKERS'?\n");
}

#[test]
fn an_address_that_is_taken_is_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, _, err) = run(&["whoami", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(code, 1);
    assert!(err.starts_with("error: "), "{err}");
}

#[test]
fn whoami_answers_until_it_is_told_to_stop() {
    let mut child = moongate(&["whoami", "--listen", "127.0.0.1:0", "--name", "red"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("whoami 'red' on http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"target\": \"/a\""), "{answer}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A folder with one manifest whose whitelist has a typo.
fn with_a_typo() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n    \
                ingress.kubernetes.io/whitelist-source-range: 10.0.0.0/80\nspec:\n  rules:\n  - host: h.io\n    http:\n      \
                paths:\n      - path: /\n        pathType: Prefix\n        backend: { service: { name: web, port: { number: 80 } } }\n---\n\
                apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { ports: [{ port: 80 }] }\n---\n\
                apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: web-1, labels: { kubernetes.io/service-name: web } }\n\
                addressType: IPv4\nports: [{ port: 9000 }]\nendpoints: [{ addresses: [127.0.0.1] }]\n";
    std::fs::write(folder.path().join("web.yaml"), text).unwrap();
    folder
}

#[test]
fn check_is_0_where_all_is_well_and_1_with_every_problem_otherwise() {
    let good = ["check", "--manifests", "deploy/quickstart", "--plugins", "deploy/quickstart/plugins"];
    for (format, want) in [
        ("text", "no problem found\n"),
        ("json", "{\n  \"ok\": true,\n  \"problems\": []\n}\n"),
        ("github", ""),
    ] {
        let (code, out, err) = run(&[&good[..], &["--format", format]].concat());
        assert_eq!((code, out.as_str(), err.as_str()), (0, want, ""), "{format}");
    }
    let folder = with_a_typo();
    let name = folder.path().to_str().unwrap();
    for (format, parts) in [
        (
            "text",
            &["web.yaml:6:51: error: Ingress default/web: annotation ingress.kubernetes.io/", "1 error\n"][..],
        ),
        ("json", &["\"ok\": false", "\"severity\": \"error\"", "web.yaml:6:51\""]),
        ("github", &["::error file=", "web.yaml,line=6,col=51::Ingress default/web: "]),
    ] {
        let (code, out, err) = run(&["check", "--manifests", name, "--format", format]);
        assert_eq!((code, err.as_str()), (1, ""), "{format}");
        for part in parts {
            assert!(out.contains(part), "{format}: {part}: {out}");
        }
    }
    let json = run(&["check", "--manifests", name, "--format", "json"]).1;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 1);
}

#[test]
fn explain_says_who_answers_and_is_1_where_nobody_does() {
    let explain = |url: &str, format: &str| {
        let plugins = "deploy/quickstart/plugins";
        run(&["explain", "--manifests", "deploy/quickstart", "--plugins", plugins, "--format", format, url])
    };
    for (url, parts) in [
        (
            "http://test.localhost/locust/swarm",
            &[
                "route       default/traefik-ingress/test.localhost/locust\n",
                "plugins     rule-type\n",
                "127.0.0.1:9001\n",
            ][..],
        ),
        (
            "http://blue.localhost:8000/a?b",
            &["default/blue/blue.localhost/\n", "plugins     stamp\n", "default/blue:80"],
        ),
        ("moon.localhost", &["plugins     basic-auth\n"]),
    ] {
        let (code, out, err) = explain(url, "text");
        assert_eq!((code, err.as_str()), (0, ""), "{url}");
        for part in parts {
            assert!(out.contains(part), "{url}: {part}: {out}");
        }
    }
    let (code, out, _) = explain("http://office.localhost/", "json");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["route"]), (0, &"default/office/office.localhost/".into()));
    assert_eq!(json["plugins"], serde_json::json!(["whitelist"]));
    let (code, out, _) = explain("http://nobody.localhost/", "text");
    assert_eq!(code, 1);
    assert!(out.contains("none: 404"), "{out}");
    let (code, out, err) = explain("ftp://red.localhost/", "text");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: "), "{err}");
}

#[test]
fn serve_to_needs_no_manifest() {
    let backend = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = backend.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut stream = backend.accept().unwrap().0;
        let _request = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
    });
    let args =
        ["serve", "--to", &to, "--entrypoint", "web=127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1"];
    let mut child = moongate(&args).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut addresses =
        lines.filter_map(|line| line.split_once("address=").map(|(_, address)| address.to_owned()));
    let (web, admin) = (addresses.next().unwrap(), addresses.next().unwrap());
    let ask = |address: &str, path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !ask(&admin, "/ping").starts_with("HTTP/1.1 200 ") {
        assert!(std::time::Instant::now() < end);
    }
    assert!(ask(&web, "/any/where").ends_with("\r\n\r\nhi"));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_port_in_use_is_exit_code_1_and_says_which() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let entrypoint = format!("web={taken}");
    for (args, want) in [
        (
            ["--entrypoint", &entrypoint, "--admin", "127.0.0.1:0"],
            format!("error: entrypoint web: cannot listen on {taken}: "),
        ),
        (
            ["--entrypoint", "web=127.0.0.1:0", "--admin", &taken],
            format!("error: cannot listen on the admin address {taken}: "),
        ),
    ] {
        let (code, out, err) = run(&[&["serve", "--to", "127.0.0.1:1"][..], &args[..]].concat());
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(&want) && err.contains("in use"), "{err}");
    }
}
