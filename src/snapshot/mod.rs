//! What runs: one immutable generation, sharing with the last one everything that did not change.

mod backend;
mod tally;
pub mod view;

pub use backend::{Backend, BackendState, Endpoint, EndpointState};
pub use tally::{BUCKETS_US, RouteCounts, RouteTally};

use crate::model::plugins::PluginSet;
use crate::model::route::Route;
use crate::router::Router;
use arc_swap::ArcSwap;
use imbl::Vector;
use std::sync::Arc;

/// One generation.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Counts up with each published change.
    pub generation: u64,
    /// Finds the route of a request.
    pub router: Router<LiveRoute>,
    /// Every route that can answer, by key (losers of a conflict are not in it).
    pub routes: imbl::OrdMap<Arc<str>, Arc<LiveRoute>>,
    /// Backends by the slot that their routes name; a freed slot holds none.
    pub backends: Vector<Option<Arc<Backend>>>,
    /// The plugins that the routes' chains speak of.
    pub plugins: Arc<PluginSet>,
}

impl Snapshot {
    /// The generation before the first: nothing answers.
    pub fn empty() -> Self {
        Self {
            generation: 0,
            router: Router::default(),
            routes: imbl::OrdMap::new(),
            backends: Vector::new(),
            plugins: Arc::new(PluginSet { generation: 0, plugins: Vec::new() }),
        }
    }

    /// The backend that a route goes to.
    pub fn backend(&self, slot: BackendSlot) -> Option<&Arc<Backend>> {
        self.backends.get(slot.0 as usize).and_then(Option::as_ref)
    }
}

/// A backend's place in a [`Snapshot`]: stable while any route uses the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendSlot(pub u32);

/// A route as it runs.
#[derive(Debug)]
pub struct LiveRoute {
    /// What is wanted.
    pub route: Route,
    /// Where its backend is, for `RouteTarget::Backend`.
    pub backend: Option<BackendSlot>,
    /// Whether any step has a request, response or log hook: without one, Lua is never entered.
    pub hooks: crate::model::chain::Hooks,
    /// Its counters, which outlive generations.
    pub tally: Arc<RouteTally>,
}

/// The only mutable pointer in the data path.
#[derive(Debug)]
pub struct SnapshotCell(ArcSwap<Snapshot>);

impl SnapshotCell {
    /// With a first generation.
    pub fn new(snapshot: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(snapshot))
    }

    /// The generation that is current now.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Whether `snapshot` is the current generation. Cheaper than [`SnapshotCell::load`]: nothing is counted.
    pub fn is_current(&self, snapshot: &Arc<Snapshot>) -> bool {
        Arc::ptr_eq(&self.0.load(), snapshot)
    }

    /// Makes `snapshot` current. Only `control` publishes.
    pub fn publish(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
}
