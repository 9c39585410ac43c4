//! The next generation, made of the last one: what a change did not touch is shared with it, and what it did
//! touch keeps its memory by key.

use super::backends::{Backends, Gather, ProblemsDiff};
use super::contest::Candidate;
use crate::ground::names::{EntryPoints, HostPattern, ObjectName};
use crate::model::chain::Hooks;
use crate::model::plugins::PluginSet;
use crate::model::route::{BackendId, Route, RouteTarget};
use crate::router::{Rule, Slot};
use crate::snapshot::{LiveRoute, RouteTally, Snapshot};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Makes generations.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// The last generation, and the next one as far as it is made.
    next: Snapshot,
    backends: Backends,
    /// The routes that answer, by slot.
    live: HashMap<Slot, Vec<Arc<LiveRoute>>>,
    workers: usize,
    changed: bool,
    changed_routes: BTreeSet<Arc<str>>,
}

impl Publisher {
    /// Starts from nothing, for tallies of `workers`.
    pub fn new(workers: usize) -> Self {
        Self {
            next: Snapshot::empty(),
            backends: Backends::default(),
            live: HashMap::new(),
            workers,
            changed: false,
            changed_routes: BTreeSet::new(),
        }
    }

    /// Gives slots to those that won them.
    pub fn set_slots(
        &mut self,
        won: Vec<(Slot, Vec<Candidate>)>,
        gather: &Gather<'_>,
        diff: &mut ProblemsDiff,
    ) {
        let won: Vec<_> = won.into_iter().filter(|(slot, winners)| !self.stands(slot, winners)).collect();
        if won.is_empty() {
            return;
        }
        self.changed = true;
        // A route may move from one slot to another in one change: first all go, then all come, and what they
        // remember is looked up in the last generation.
        let last = self.next.routes.clone();
        let mut gone = Vec::new();
        for (slot, _) in &won {
            for live in self.live.remove(slot).unwrap_or_default() {
                self.next.routes.remove(&live.route.key);
                gone.push(live);
            }
        }
        for (slot, winners) in won {
            let mut lives = Vec::with_capacity(winners.len());
            let mut rules = Vec::with_capacity(winners.len());
            for Candidate { rank, route, .. } in winners {
                let live = self.live(&route, last.get(&route.key), gather, diff);
                rules.push(Rule { rank, entrypoints: route.entrypoints, value: live.clone() });
                self.next.routes.insert(route.key.clone(), live.clone());
                lives.push(live);
            }
            self.next.router.set(&slot, rules);
            if !lives.is_empty() {
                self.live.insert(slot, lives);
            }
        }
        let ids: Vec<&BackendId> = gone.iter().filter_map(|live| backend_of(&live.route)).collect();
        for id in &ids {
            self.backends.release(id);
        }
        for id in &ids {
            self.backends.sweep(id, &mut self.next.backends, diff);
        }
        let gone = gone
            .iter()
            .filter(|old| self.next.routes.get(&old.route.key).is_none_or(|now| !Arc::ptr_eq(now, old)));
        self.changed_routes.extend(gone.map(|live| live.route.key.clone()));
    }

    /// Whether exactly these hold `slot` already.
    fn stands(&self, slot: &Slot, winners: &[Candidate]) -> bool {
        let lives = self.live.get(slot).map(Vec::as_slice).unwrap_or_default();
        lives.len() == winners.len()
            && lives.iter().zip(winners).all(|(live, winner)| live.route == *winner.route)
    }

    /// A route as it runs: the same as in the last generation if nothing about it changed.
    fn live(
        &mut self,
        route: &Arc<Route>,
        last: Option<&Arc<LiveRoute>>,
        gather: &Gather<'_>,
        diff: &mut ProblemsDiff,
    ) -> Arc<LiveRoute> {
        let backend =
            backend_of(route).map(|id| self.backends.acquire(id, &mut self.next.backends, gather, diff));
        if let Some(last) = last.filter(|last| last.route == **route && last.backend == backend) {
            return last.clone();
        }
        self.changed_routes.insert(route.key.clone());
        let hooks = route.chain.steps.iter().fold(Hooks(0), |hooks, step| hooks.union(step.hooks));
        let tally = last.map_or_else(|| Arc::new(RouteTally::new(self.workers)), |last| last.tally.clone());
        Arc::new(LiveRoute { route: Route::clone(route), backend, hooks, tally })
    }

    /// Says whether `host` stands in a rule without paths.
    pub fn set_bare(&mut self, host: &HostPattern, is_bare: bool) {
        let entrypoints = if is_bare { EntryPoints::ALL } else { EntryPoints::NONE };
        self.next.router.set_bare(host, entrypoints);
        self.changed = true;
    }

    /// Gathers the endpoints of these Services again.
    pub fn refresh<'a>(
        &mut self,
        services: impl Iterator<Item = &'a ObjectName>,
        gather: &Gather<'_>,
        diff: &mut ProblemsDiff,
    ) {
        for service in services {
            self.changed |= self.backends.refresh(service, &mut self.next.backends, gather, diff);
        }
    }

    /// Takes another set of plugins.
    pub fn set_plugins(&mut self, plugins: Arc<PluginSet>) {
        self.next.plugins = plugins;
        self.changed = true;
    }

    /// Ends a change: the generation, if anything changed in effect, and the keys of the routes that did.
    pub fn finish(&mut self) -> (Option<Snapshot>, Vec<Arc<str>>) {
        let routes = std::mem::take(&mut self.changed_routes).into_iter().collect();
        let changed = std::mem::take(&mut self.changed);
        self.next.generation += u64::from(changed);
        (changed.then(|| self.next.clone()), routes)
    }

    /// The current generation.
    pub fn current(&self) -> &Snapshot {
        &self.next
    }

    /// The backends in use.
    pub fn backends(&self) -> &Backends {
        &self.backends
    }
}

fn backend_of(route: &Route) -> Option<&BackendId> {
    match &route.target {
        RouteTarget::Backend(id) => Some(id),
        RouteTarget::Nowhere(_) => None,
    }
}
