//! A small generation for tests: two routes, one backend with two endpoints.

use crate::ground::names::{BackendKey, EntryPoints, HostPattern, ObjectName, PortRef};
use crate::ground::problem::Problem;
use crate::model::chain::{Chain, Closed, Facts, Hooks};
use crate::model::plugins::PluginSet;
use crate::model::route::{
    BackendId, BackendSettings, BackendSpec, EndpointSpec, PathMatch, Route, RouteSettings, RouteTarget,
};
use crate::router::Router;
use crate::snapshot::{
    Backend, BackendSlot, BackendState, Endpoint, EndpointState, LiveRoute, RouteTally, Snapshot,
};
use std::net::SocketAddr;
use std::sync::Arc;

/// `default/web/h.io/` to `default/web:80`, and `default/web/h.io/closed` to nowhere.
pub(crate) fn snapshot() -> Snapshot {
    let id = BackendId {
        key: BackendKey { service: ObjectName::new("default", "web"), port: PortRef::Number(80) },
        settings: BackendSettings::default(),
    };
    let open = route("default/web/h.io/", "/", RouteTarget::Backend(id.clone()), None);
    let closed = Closed { plugin: "whitelist".into(), reason: "no range".into() };
    let closed = route("default/web/h.io/closed", "/closed", RouteTarget::Nowhere("x".into()), Some(closed));
    Snapshot {
        generation: 41,
        router: Router::default(),
        routes: [open, closed].into_iter().map(|route| (Arc::clone(&route.route.key), route)).collect(),
        backends: [None, Some(Arc::new(backend(id)))].into_iter().collect(),
        plugins: Arc::new(PluginSet { generation: 1, plugins: Vec::new() }),
    }
}

/// A route on the first entrypoint.
pub(crate) fn route(key: &str, path: &str, target: RouteTarget, closed: Option<Closed>) -> Arc<LiveRoute> {
    let facts = Facts {
        route: key.into(),
        namespace: "default".into(),
        ingress: "web".into(),
        host: "h.io".into(),
        path: path.into(),
        path_type: "Prefix",
        service: "default/web:80".into(),
    };
    let problems =
        closed.iter().map(|closed| Problem::error("Ingress default/web", &*closed.reason)).collect();
    let chain =
        Chain { facts, steps: Vec::new(), plugins: vec!["rule-type".into(), "whitelist".into()], closed };
    let route = Route {
        key: key.into(),
        ingress: ObjectName::new("default", "web"),
        created: None,
        index: 0,
        entrypoints: EntryPoints::one(0),
        host: HostPattern::Exact("h.io".into()),
        path: path.into(),
        path_match: PathMatch::Prefix,
        is_default: false,
        settings: RouteSettings::default(),
        target,
        chain: Arc::new(chain),
        problems,
    };
    let tally = Arc::new(RouteTally::new(2));
    Arc::new(LiveRoute { route, backend: Some(BackendSlot(1)), hooks: Hooks(0), tally })
}

/// A backend of two endpoints, one of them draining.
pub(crate) fn backend(id: BackendId) -> Backend {
    let endpoint = |n: u8| {
        let address = SocketAddr::from(([10, 0, 0, n], 8080));
        let spec = EndpointSpec { address, weight: 1, draining: n == 6 };
        Endpoint { spec, state: Arc::new(EndpointState::new(u64::from(n), address)) }
    };
    let endpoints: Box<[Endpoint]> = [endpoint(5), endpoint(6)].into();
    let specs = endpoints.iter().map(|endpoint| endpoint.spec.clone()).collect();
    let spec = BackendSpec { id, endpoints: specs, reason: None, host: None };
    Backend { spec, endpoints, state: Arc::new(BackendState::default()) }
}
