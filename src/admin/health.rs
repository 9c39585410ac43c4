//! Whether we are ready: set by `app` as parts come up and go down, read by `/ping` and `/health`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The process's readiness.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    draining: AtomicBool,
    listening: OnceLock<Vec<(Arc<str>, SocketAddr)>>,
    admin: OnceLock<SocketAddr>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            draining: AtomicBool::new(false),
            listening: OnceLock::new(),
            admin: OnceLock::new(),
        }
    }
}

impl Health {
    /// A process that begins now.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Every worker listens; these are the addresses that entrypoints are bound to. Only the first call counts.
    pub fn listening(&self, addresses: Vec<(Arc<str>, SocketAddr)>) {
        let _only_once = self.listening.set(addresses);
    }

    /// A stop has begun. There is no way back.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether a stop has begun.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// `ready`, or the status and the reason why not. `synced` is what control's view says.
    pub fn status(&self, synced: bool) -> Status {
        if self.is_draining() {
            Status { word: "draining", reason: Some("draining: this process is about to end") }
        } else if !synced {
            Status { word: "starting", reason: Some("starting: the first sync is not complete") }
        } else if self.listening.get().is_none() {
            Status { word: "starting", reason: Some("starting: not every listener is up") }
        } else {
            Status { word: "ready", reason: None }
        }
    }

    /// Entrypoints and the addresses they are bound to.
    pub fn addresses(&self) -> &[(Arc<str>, SocketAddr)] {
        self.listening.get().map_or(&[], Vec::as_slice)
    }

    /// The admin address as it is bound, once it is.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.get().copied()
    }

    /// Since the start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn admin_bound(&self, address: SocketAddr) {
        let _only_once = self.admin.set(address);
    }
}

/// How we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// `ready`, `starting` or `draining`.
    pub word: &'static str,
    /// Why not ready.
    pub reason: Option<&'static str>,
}
