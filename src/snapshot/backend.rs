//! Backends as they run. A [`Backend`] is part of a generation and immutable; its [`BackendState`] and its
//! endpoints' [`EndpointState`]s outlive generations, so that nothing an edit did not touch is forgotten.

use crate::model::route::{BackendSpec, EndpointSpec};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// One backend of one generation.
#[derive(Debug)]
pub struct Backend {
    /// What is wanted.
    pub spec: BackendSpec,
    /// Its endpoints, as `spec.endpoints`.
    pub endpoints: Box<[Endpoint]>,
    /// What outlives this generation.
    pub state: Arc<BackendState>,
}

/// One endpoint of one generation.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What is wanted.
    pub spec: EndpointSpec,
    /// What outlives this generation.
    pub state: Arc<EndpointState>,
}

/// A backend's memory.
#[derive(Debug, Default)]
pub struct BackendState {
    /// Picks made so far: the round robin's position.
    turn: AtomicU64,
    /// Requests answered with 503 because no endpoint was there.
    pub unavailable: AtomicU64,
}

/// An endpoint's memory, keyed by backend and address.
#[derive(Debug)]
pub struct EndpointState {
    /// Unique in the process: what connection pools are keyed by.
    pub id: u64,
    /// Where.
    pub address: SocketAddr,
    /// Requests on their way.
    pub in_flight: AtomicU32,
    /// Requests sent.
    pub requests: AtomicU64,
    /// Connects that failed and connections that broke.
    pub failures: AtomicU64,
    /// Moving average of the time to the response's head, in microseconds; 0 before the first.
    ewma_us: AtomicU64,
}

impl EndpointState {
    /// A new endpoint without a past.
    pub fn new(id: u64, address: SocketAddr) -> Self {
        Self {
            id,
            address,
            in_flight: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            ewma_us: AtomicU64::new(0),
        }
    }

    /// Takes a response time into the average (weight 1/8). Workers may race; a lost sample does not matter.
    pub fn observe(&self, latency_us: u64) {
        let before = self.ewma_us.load(Ordering::Relaxed);
        let now = if before == 0 { latency_us.max(1) } else { before - before / 8 + latency_us / 8 };
        self.ewma_us.store(now, Ordering::Relaxed);
    }

    /// The moving average in milliseconds.
    pub fn ewma_ms(&self) -> f64 {
        self.ewma_us.load(Ordering::Relaxed) as f64 / 1_000.0
    }
}

impl Backend {
    /// The next endpoint in turn, passing over those that `tried` (a bit per endpoint, the first 64) names.
    pub fn pick(&self, tried: u64) -> Option<(usize, &Endpoint)> {
        let count = self.endpoints.len();
        if count == 0 {
            return None;
        }
        let turn = self.state.turn.fetch_add(1, Ordering::Relaxed) as usize;
        (0..count)
            .map(|offset| (turn.wrapping_add(offset)) % count)
            .find(|index| *index >= 64 || tried & (1 << index) == 0)
            .and_then(|index| self.endpoints.get(index).map(|endpoint| (index, endpoint)))
    }
}
