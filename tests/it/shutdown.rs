//! The end: what is in flight is finished, what is idle goes at once, and nothing new comes in.

use crate::support::binary::Binary;
use crate::support::{Client, PATIENCE, Proxy, Upstream, eventually, ingress};
use rustix::process::Signal;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Answers `/slow` half, and the rest when it is told to.
fn patient() -> (Upstream, Sender<()>) {
    let (tell, told) = channel();
    let told = Mutex::new(told);
    let upstream = Upstream::scripted(move |peer| {
        while let Some(head) = peer.head() {
            match head.split(' ').nth(1).unwrap() {
                "/slow" => {
                    // The test may be over.
                    let _told = told.lock().unwrap().recv();
                    peer.send(HELLO);
                }
                "/half" => {
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
                    let _told = told.lock().unwrap().recv();
                    peer.send("world");
                }
                _ => {
                    peer.send(HELLO);
                }
            }
        }
    });
    (upstream, tell)
}

fn begin(client: &mut Client, path: &str) {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: h.io\r\n\r\n"));
}

fn arrived(upstream: &Upstream, path: &str) {
    eventually("the request at the upstream", || {
        upstream.heads().iter().any(|head| head.contains(path)).then_some(())
    });
}

#[test]
fn a_drain_finishes_what_is_in_flight_and_closes_what_is_idle() {
    let (upstream, tell) = patient();
    let proxy = Proxy::builder()
        .settings(|settings| settings.workers = 2)
        .manifest("web.yaml", &ingress("web", "", "/", &[upstream.address]))
        .start();
    assert_eq!(proxy.admin("/ping"), (200, "OK".into()));
    let (mut idle, mut fresh, mut slow) = (proxy.client(), proxy.client(), proxy.client());
    assert_eq!(idle.get("h.io", "/").text(), "hello");
    begin(&mut slow, "/slow");
    arrived(&upstream, "/slow");

    proxy.running().drain();
    assert!(idle.is_closed() && fresh.is_closed());
    let address = proxy.address();
    eventually("connections to be refused", || TcpStream::connect(address).is_err().then_some(()));
    let (status, reason) = proxy.admin("/ping");
    assert!(status == 503 && reason.contains("drain"), "{reason}");
    assert_eq!(proxy.json("/health")["status"], "draining");
    assert!(!proxy.running().is_drained());

    tell.send(()).unwrap();
    let response = slow.response();
    assert_eq!((response.text(), response.header("connection")), ("hello", Some("close")));
    assert!(slow.is_closed());
    eventually("the end of every worker", || proxy.running().is_drained().then_some(()));
}

#[test]
fn a_response_that_was_begun_is_finished_and_then_its_connection_closes() {
    let (upstream, tell) = patient();
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    begin(&mut client, "/half");
    assert!(client.until(b"hello").starts_with(b"HTTP/1.1 200 OK\r\n"));
    proxy.running().drain();
    tell.send(()).unwrap();
    assert_eq!(client.until(b"world"), b"world");
    assert!(client.is_closed());
    eventually("the end of every worker", || proxy.running().is_drained().then_some(()));
}

#[test]
fn an_upload_that_was_begun_is_finished() {
    let upstream = Upstream::scripted(|peer| {
        peer.head();
        assert_eq!(peer.exactly(8).as_deref(), Some(&b"halfhalf"[..]));
        peer.send(HELLO);
    });
    let proxy = Proxy::to(&[upstream.address]);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: h.io\r\nContent-Length: 8\r\n\r\nhalf");
    arrived(&upstream, "POST");
    proxy.running().drain();
    client.send("half");
    let response = client.response();
    assert_eq!((response.text(), response.header("connection")), ("hello", Some("close")));
    assert!(client.is_closed());
}

#[test]
fn a_stop_ends_what_is_in_flight() {
    let (upstream, _tell) = patient();
    let proxy = Proxy::to(&[upstream.address]);
    let mut slow = proxy.client();
    begin(&mut slow, "/slow");
    arrived(&upstream, "/slow");
    drop(proxy);
    assert!(slow.is_closed());
}

#[test]
fn an_idle_process_ends_well_on_sigterm_and_on_sigint() {
    let upstream = Upstream::answering(HELLO);
    for signal in [Signal::TERM, Signal::INT] {
        let mut binary = Binary::serve(&["--to", &upstream.address.to_string()]);
        let mut client = Client::connect(binary.address);
        eventually("the first answer", || (client.get("h.io", "/").status == 200).then_some(()));
        binary.signal(signal);
        assert_eq!(binary.end().code(), Some(0));
        assert!(client.is_closed());
    }
}

#[test]
fn a_process_that_waits_for_a_silent_name_server_ends_at_once() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let server = silent.local_addr().unwrap().to_string();
    let mut binary = Binary::serve(&["--to", "name.test:80", "--nameserver", &server]);
    silent.recv_from(&mut [0; 512]).unwrap();
    assert_eq!(Client::connect(binary.address).get("h.io", "/").status, 503);
    binary.signal(Signal::TERM);
    assert_eq!(binary.end().code(), Some(0));
}

#[test]
fn sigterm_lets_a_request_finish() {
    let (upstream, tell) = patient();
    let mut binary = Binary::serve(&["--to", &upstream.address.to_string()]);
    let mut client = Client::connect(binary.address);
    eventually("the first answer", || (client.get("h.io", "/").status == 200).then_some(()));
    begin(&mut client, "/slow");
    arrived(&upstream, "/slow");
    binary.signal(Signal::TERM);
    binary.says("draining");
    let address = binary.address;
    eventually("connections to be refused", || TcpStream::connect(address).is_err().then_some(()));
    assert!(binary.is_running());
    // A reload that comes now is no reason to die.
    binary.signal(Signal::HUP);
    tell.send(()).unwrap();
    let response = client.response();
    assert_eq!((response.text(), response.header("connection")), ("hello", Some("close")));
    assert_eq!(binary.end().code(), Some(0));
}

#[test]
fn a_second_sigterm_ends_at_once_and_so_does_the_end_of_the_grace_time() {
    for (grace, second) in [("1h", true), ("1s", false)] {
        let (upstream, _tell) = patient();
        let mut binary = Binary::serve(&["--to", &upstream.address.to_string(), "--grace", grace]);
        let mut client = Client::connect(binary.address);
        eventually("the first answer", || (client.get("h.io", "/").status == 200).then_some(()));
        begin(&mut client, "/slow");
        arrived(&upstream, "/slow");
        binary.signal(Signal::TERM);
        binary.says("draining");
        assert!(binary.is_running());
        if second {
            binary.signal(Signal::TERM);
        }
        assert_eq!(binary.end().code(), Some(0));
        assert!(client.is_closed());
    }
}

#[test]
fn sighup_reads_everything_again() {
    let upstream = Upstream::answering(HELLO);
    let (folder, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, second_name) = (folder.path().join("web.yaml"), aside.path().join("web.yaml"));
    std::fs::write(&file, ingress("web", "a.io", "/", &[upstream.address])).unwrap();
    // Behind the watcher's back: through another name of the file.
    std::fs::hard_link(&file, &second_name).unwrap();
    let binary = Binary::serve(&["--manifests", folder.path().to_str().unwrap()]);
    let mut client = Client::connect(binary.address);
    eventually("the first answer", || (client.get("a.io", "/").status == 200).then_some(()));
    std::fs::write(&second_name, ingress("web", "b.io", "/", &[upstream.address])).unwrap();
    assert_eq!(client.get("a.io", "/").status, 200);
    binary.signal(Signal::HUP);
    binary.says("reloaded");
    assert_eq!((client.get("a.io", "/").status, client.get("b.io", "/").status), (404, 200));
}
