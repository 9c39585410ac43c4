//! Kept connections of one worker, by endpoint. Last in, first out: what was used last is the least likely to have
//! been closed, and what is not needed grows old and is swept.

use super::body::ResponseBody;
use super::conn::Conn;
use crate::clock::{Clock, ticks};
use crate::snapshot::EndpointState;
use bytes::Bytes;
use http_body::Body;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

/// Sizes and times of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// A connection is closed when it was idle for so long.
    pub idle_timeout: Duration,
}

/// Idle connections by [`EndpointState::id`].
pub struct Pool<B> {
    idle: RefCell<HashMap<u64, Kept<B>, foldhash::fast::FixedState>>,
    clock: Clock,
    limits: PoolLimits,
}

/// Connections to one endpoint, for as long as anybody else knows the endpoint.
struct Kept<B> {
    endpoint: Weak<EndpointState>,
    conns: Vec<Box<Conn<B>>>,
}

impl<B> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Pool<B> {
    /// An empty one.
    pub fn new(clock: Clock, limits: PoolLimits) -> Self {
        Self { idle: RefCell::default(), clock, limits }
    }

    /// A connection to the endpoint that is still open, as far as one can know.
    pub fn take(&self, endpoint: &EndpointState, cx: &mut Context<'_>) -> Option<Box<Conn<B>>> {
        let mut idle = self.idle.borrow_mut();
        let kept = idle.get_mut(&endpoint.id)?;
        while let Some(conn) = kept.conns.pop() {
            if conn.is_usable(cx) {
                return Some(conn);
            }
        }
        None
    }

    /// Takes a connection back when its response was read to the end, unless `most` are kept already.
    pub fn give(&self, endpoint: &Arc<EndpointState>, body: ResponseBody<B>, most: u32) {
        let Some(mut conn) = body.into_idle() else { return };
        conn.idle_since = self.clock.ticks();
        let mut idle = self.idle.borrow_mut();
        let kept = idle
            .entry(endpoint.id)
            .or_insert_with(|| Kept { endpoint: Arc::downgrade(endpoint), conns: Vec::new() });
        if kept.conns.len() < most as usize {
            kept.conns.push(conn);
        }
    }

    /// Closes what is too old or closed by the other side, and what leads to endpoints that are no more.
    pub fn sweep(&self) {
        let now = self.clock.ticks();
        let patience = ticks(self.limits.idle_timeout);
        let mut cx = Context::from_waker(Waker::noop());
        self.idle.borrow_mut().retain(|_, kept| {
            if kept.endpoint.strong_count() == 0 {
                return false;
            }
            kept.conns.retain(|conn| now - conn.idle_since < patience && conn.is_usable(&mut cx));
            !kept.conns.is_empty()
        });
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.idle.borrow().values().map(|kept| kept.conns.len()).sum()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
