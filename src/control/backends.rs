//! The backends of a generation: a slot each for as long as any route uses it, and the memory of backends and
//! endpoints, which outlives every change that does not concern it.

use super::index::Index;
use crate::ground::names::{BackendKey, ObjectName};
use crate::ground::problem::Problem;
use crate::model::route::{BackendId, BackendSpec, EndpointSpec};
use crate::snapshot::{Backend, BackendSlot, BackendState, Endpoint, EndpointState};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a snapshot holds of them.
pub type Slots = imbl::Vector<Option<Arc<Backend>>>;
/// Gathers a backend's endpoints, and what is wrong with them.
pub type Gather<'a> = dyn Fn(&BackendId) -> (BackendSpec, Vec<Problem>) + 'a;

/// Who is where.
#[derive(Clone, Debug, Default)]
pub struct Backends {
    used: HashMap<BackendId, Used>,
    /// Backends that differ only in their settings share their memory: it is theirs by Service and port.
    by_service: Index<ObjectName, BackendId>,
    free: Vec<BackendSlot>,
    endpoints_made: u64,
}

#[derive(Clone, Debug)]
struct Used {
    slot: BackendSlot,
    routes: usize,
    problems: Vec<Problem>,
}

/// Problems that went and came.
#[derive(Debug, Default)]
pub struct ProblemsDiff {
    /// No longer.
    pub gone: Vec<Problem>,
    /// From now on.
    pub new: Vec<Problem>,
}

impl Backends {
    /// One more route uses `id`.
    pub fn acquire(
        &mut self,
        id: &BackendId,
        slots: &mut Slots,
        gather: &Gather<'_>,
        diff: &mut ProblemsDiff,
    ) -> BackendSlot {
        if let Some(used) = self.used.get_mut(id) {
            used.routes += 1;
            return used.slot;
        }
        let (spec, problems) = gather(id);
        let backend = Some(Arc::new(self.build(spec, slots)));
        let slot = if let Some(slot) = self.free.pop() {
            slots.set(slot.0 as usize, backend);
            slot
        } else {
            slots.push_back(backend);
            BackendSlot(slots.len() as u32 - 1)
        };
        diff.new.extend(problems.iter().cloned());
        self.by_service.link(id.key.service.clone(), id.clone());
        self.used.insert(id.clone(), Used { slot, routes: 1, problems });
        slot
    }

    /// One route fewer uses `id`. Its slot is freed by [`Backends::sweep`], so that what is acquired in the same
    /// change still finds its memory.
    pub fn release(&mut self, id: &BackendId) {
        if let Some(used) = self.used.get_mut(id) {
            used.routes = used.routes.saturating_sub(1);
        }
    }

    /// Frees `id` if no route uses it.
    pub fn sweep(&mut self, id: &BackendId, slots: &mut Slots, diff: &mut ProblemsDiff) {
        if self.used.get(id).is_some_and(|used| used.routes == 0)
            && let Some(used) = self.used.remove(id)
        {
            self.by_service.unlink(&id.key.service, id);
            slots.set(used.slot.0 as usize, None);
            self.free.push(used.slot);
            diff.gone.extend(used.problems);
        }
    }

    /// Gathers the endpoints of all backends of `service` again. True if any backend changed.
    pub fn refresh(
        &mut self,
        service: &ObjectName,
        slots: &mut Slots,
        gather: &Gather<'_>,
        diff: &mut ProblemsDiff,
    ) -> bool {
        let ids: Vec<BackendId> = self.by_service.of(service).cloned().collect();
        let mut changed = false;
        for id in ids {
            let Some(used) = self.used.get_mut(&id) else { continue };
            let slot = used.slot.0 as usize;
            let (spec, problems) = gather(&id);
            diff.new.extend(problems.iter().cloned());
            diff.gone.append(&mut std::mem::replace(&mut used.problems, problems));
            let before = slots.get(slot).and_then(Option::as_ref);
            if before.is_none_or(|before| before.spec != spec) {
                let backend = self.build(spec, slots);
                slots.set(slot, Some(Arc::new(backend)));
                changed = true;
            }
        }
        changed
    }

    /// Whether any route leads to `service`.
    pub fn uses(&self, service: &ObjectName) -> bool {
        self.by_service.of(service).next().is_some()
    }

    /// Puts a backend together from what is wanted and what is remembered.
    fn build(&mut self, spec: BackendSpec, slots: &Slots) -> Backend {
        let siblings: Vec<Arc<Backend>> = self.siblings(&spec.id.key, slots).cloned().collect();
        let state =
            siblings.first().map_or_else(|| Arc::new(BackendState::default()), |one| one.state.clone());
        let endpoints = spec
            .endpoints
            .iter()
            .map(|wanted| Endpoint { spec: wanted.clone(), state: self.endpoint(wanted, &siblings) })
            .collect();
        Backend { spec, endpoints, state }
    }

    fn endpoint(&mut self, wanted: &EndpointSpec, siblings: &[Arc<Backend>]) -> Arc<EndpointState> {
        let known = siblings.iter().find_map(|backend| find(&backend.endpoints, wanted.address));
        known.unwrap_or_else(|| {
            self.endpoints_made += 1;
            Arc::new(EndpointState::new(self.endpoints_made, wanted.address))
        })
    }

    /// The backends of a Service's port as they stand: itself, and those with other settings.
    fn siblings<'a>(
        &'a self,
        key: &'a BackendKey,
        slots: &'a Slots,
    ) -> impl Iterator<Item = &'a Arc<Backend>> {
        self.by_service
            .of(&key.service)
            .filter(move |id| id.key == *key)
            .filter_map(|id| self.used.get(id))
            .filter_map(|used| slots.get(used.slot.0 as usize).and_then(Option::as_ref))
    }
}

/// Endpoints are sorted by address.
fn find(endpoints: &[Endpoint], address: SocketAddr) -> Option<Arc<EndpointState>> {
    let index = endpoints.binary_search_by(|endpoint| endpoint.spec.address.cmp(&address)).ok()?;
    endpoints.get(index).map(|endpoint| endpoint.state.clone())
}
