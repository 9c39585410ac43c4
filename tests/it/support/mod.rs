//! A proxy in the test's own process, scripted upstreams and a raw client. Ports are always 0, nothing sleeps: what
//! has to come is waited for with a deadline.

pub mod binary;
mod client;
mod proxy;
mod upstream;

pub use client::{Client, Response};
pub use proxy::{Builder, Proxy, ingress, ingress_with};
pub use upstream::Upstream;

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How long anything may take that will come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until `probe` gives something.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A response in the one shape of our own errors.
pub fn assert_error(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(response.header("server"), Some("moongate"));
    assert!(response.header("date").is_some());
    assert_eq!(response.header("content-length"), Some(&*response.body.len().to_string()));
    assert!(response.text().starts_with(&status.to_string()) && response.text().len() < 64, "{response:?}");
}

/// Bytes of which no two neighbouring blocks are alike.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 7 + at * 31) as u8).collect()
}

/// Tells the test something; it may have stopped listening.
pub fn say<T>(tell: &Sender<T>, word: T) {
    let _nobody_listens = tell.send(word);
}
