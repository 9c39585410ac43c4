//! What runs, as JSON. The keys are part of the public surface (`design.md` 1).

use super::AdminState;
use crate::ground::names::EntryPoints;
use crate::ground::problem::{Problem, Severity};
use crate::model::route::{Route, RouteTarget};
use crate::snapshot::{Backend, Endpoint, LiveRoute, Snapshot};
use crate::telemetry::process::{COMMIT, VERSION};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// `GET /health`
pub(super) fn health(state: &AdminState) -> Value {
    let view = state.view.load();
    let status = state.health.status(view.synced);
    let addresses = state.health.addresses().iter();
    let entrypoints: Map<String, Value> =
        addresses.map(|(name, address)| (name.to_string(), address.to_string().into())).collect();
    let count = |severity| view.problems.iter().filter(|problem| problem.severity == severity).count();
    let mut health = json!({
        "status": status.word,
        "uptime_s": state.health.uptime().as_secs(),
        "generation": state.snapshot.load().generation,
        "workers": state.metrics.workers(),
        "entrypoints": entrypoints,
        "admin": state.health.admin().map(|address| address.to_string()),
        "problems": { "errors": count(Severity::Error), "warnings": count(Severity::Warning) },
    });
    if let (Some(reason), Some(health)) = (status.reason, health.as_object_mut()) {
        health.insert("reason".into(), reason.into());
    }
    health
}

/// `GET /api/version`
pub(super) fn version() -> Value {
    json!({ "version": VERSION, "commit": COMMIT })
}

/// `GET /api/routes`
pub(super) fn routes(snapshot: &Snapshot, entrypoints: &[Arc<str>]) -> Value {
    snapshot.routes.values().map(|live| route(live, entrypoints)).collect()
}

fn route(live: &LiveRoute, entrypoints: &[Arc<str>]) -> Value {
    let Route { key, ingress, host, path, path_match, is_default, settings, chain, problems, .. } =
        &live.route;
    let on = |index: u8| live.route.entrypoints.meets(EntryPoints::one(index));
    let entrypoints: Vec<&Arc<str>> =
        (0_u8..64).zip(entrypoints).filter(|(index, _)| on(*index)).map(|(_, name)| name).collect();
    let (backend, unavailable) = match &live.route.target {
        RouteTarget::Backend(id) => (Some(id.key.to_string()), None),
        RouteTarget::Nowhere(reason) => (None, Some(Arc::clone(reason))),
    };
    // A guard that could not be configured closes the route, whatever its backend is.
    let closed = chain.closed.as_ref().map(|closed| format!("{}: {}", closed.plugin, closed.reason));
    json!({
        "key": key,
        "entrypoints": entrypoints,
        "host": host,
        "path": path,
        "path_type": path_match,
        "default": is_default,
        "priority": settings.priority,
        "ingress": ingress,
        "plugins": chain.plugins,
        "backend": backend,
        "unavailable": closed.or(unavailable.map(|reason| reason.to_string())),
        "problems": problems,
    })
}

/// `GET /api/backends`
pub(super) fn backends(snapshot: &Snapshot) -> Value {
    let mut backends: Vec<&Arc<Backend>> = snapshot.backends.iter().flatten().collect();
    backends.sort_by(|a, b| a.spec.id.cmp(&b.spec.id));
    backends.into_iter().map(|live| backend(live)).collect()
}

fn backend(live: &Backend) -> Value {
    let endpoints: Vec<Value> = live.endpoints.iter().map(endpoint).collect();
    json!({
        "key": live.spec.id.key,
        "balance": "wrr",
        "endpoints": endpoints,
        "reason": live.spec.reason,
        "breaker": null,
    })
}

fn endpoint(live: &Endpoint) -> Value {
    let (state, reason) = if live.spec.draining {
        ("draining", "it terminates, and serves only because no ready endpoint is left")
    } else {
        ("up", "")
    };
    json!({
        "address": live.spec.address,
        "state": state,
        "reason": reason,
        "weight": live.spec.weight,
        "in_flight": live.state.in_flight.load(Ordering::Relaxed),
        "requests": live.state.requests.load(Ordering::Relaxed),
        "failures": live.state.failures.load(Ordering::Relaxed),
        "ewma_ms": live.state.ewma_ms(),
    })
}

/// `GET /api/problems`
pub(super) fn problems(problems: &[Problem]) -> Value {
    problems.iter().map(|problem| serde_json::to_value(problem).unwrap_or_default()).collect()
}
