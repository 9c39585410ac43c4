//! Routes and backends as they are wanted. Shaped like an HTTPRoute, so that Ingress is only the first front end.

use super::chain::Chain;
use crate::ground::names::{BackendKey, EntryPoints, HostPattern, ObjectName};
use crate::ground::problem::Problem;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How a route's path is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum PathMatch {
    /// Byte equality.
    Exact,
    /// Whole path elements; one trailing slash of the rule is ignored.
    Prefix,
}

/// One route: what an Ingress's path asks for, after its plugins have shaped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `namespace/name/host/path`, with `#n` behind it where an Ingress says the same twice.
    pub key: Arc<str>,
    /// The Ingress.
    pub ingress: ObjectName,
    /// The Ingress's creation, for precedence; none counts as youngest.
    pub created: Option<i64>,
    /// The path's index in the Ingress, counted over all rules: the last tie-break.
    pub index: u32,
    /// Which entrypoints it answers on.
    pub entrypoints: EntryPoints,
    /// Its host.
    pub host: HostPattern,
    /// Its path, in the one form.
    pub path: Arc<str>,
    /// How the path is matched.
    pub path_match: PathMatch,
    /// True for a `defaultBackend`: answers where no path of the host did. Its host is the rule's host it
    /// stands in for, or Any for the global one.
    pub is_default: bool,
    /// What plugins shaped.
    pub settings: RouteSettings,
    /// Where it goes.
    pub target: RouteTarget,
    /// What Lua does on it.
    pub chain: Arc<Chain>,
    /// What was wrong with it.
    pub problems: Vec<Problem>,
}

/// Where a route goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// To a Service's port.
    Backend(BackendId),
    /// Nowhere: always 503, with this reason in the log.
    Nowhere(Arc<str>),
}

/// A backend is known by its Service port and the settings it is used with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId {
    /// The Service and port.
    pub key: BackendKey,
    /// How it is spoken to.
    pub settings: BackendSettings,
}

/// `ctx.route`: what a plugin's `configure` may shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSettings {
    /// Higher first, before paths are compared. Default 0.
    pub priority: i64,
    /// Whether the upstream gets the client's `Host`. Default true.
    pub pass_host: bool,
    /// Largest request body in bytes (413 above it). Default none.
    pub body_limit: Option<u64>,
    /// Until the first byte of the response (504). Default 60 s.
    pub response_timeout: Duration,
    /// Between two reads of a body, either way. Default 60 s.
    pub read_timeout: Duration,
    /// How many other endpoints are tried where a retry is safe; none is "all of them".
    pub retries: Option<u32>,
}

impl Default for RouteSettings {
    fn default() -> Self {
        Self {
            priority: 0,
            pass_host: true,
            body_limit: None,
            response_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(60),
            retries: None,
        }
    }
}

/// `ctx.backend`: what a plugin's `configure` may shape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendSettings {
    /// Until a connection is made. Default 5 s.
    pub connect_timeout: Duration,
    /// Idle connections kept per endpoint and worker. Default 64.
    pub idle_connections: u32,
}

impl Default for BackendSettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), idle_connections: 64 }
    }
}

/// A backend as it is wanted: a Service's port and the endpoints that it has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSpec {
    /// Which.
    pub id: BackendId,
    /// Where it can be reached, sorted, without duplicates.
    pub endpoints: Vec<EndpointSpec>,
    /// Why there is none, where there is none.
    pub reason: Option<Arc<str>>,
    /// `Host` for `pass_host = false` on an ExternalName; otherwise the endpoint's address.
    pub host: Option<Arc<str>>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointSpec {
    /// Where.
    pub address: SocketAddr,
    /// Relative weight.
    pub weight: u32,
    /// True where it serves only because no ready endpoint is left (terminating, still serving).
    pub draining: bool,
}
