//! What the world declares: the few Kubernetes kinds we act on, decoded, validated and stripped of everything
//! we do not use. Every provider (manifests on disk, a cluster's API) speaks in these.
//!
//! Two objects are equal if they say the same. *Where* they say it (line and column) does not count, so that a
//! comment put above an object changes nothing.

use crate::ground::names::{HostPattern, ObjectName, PortRef};
use crate::ground::problem::{Pos, Source};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A kind we act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `networking.k8s.io/v1` IngressClass.
    IngressClass,
    /// Ingress, of any of its API versions.
    Ingress,
    /// `v1` Service.
    Service,
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlice,
    /// `v1` Endpoints, the predecessor of slices.
    Endpoints,
    /// `v1` Secret.
    Secret,
    /// `v1` ConfigMap.
    ConfigMap,
}

impl Kind {
    /// As Kubernetes spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IngressClass => "IngressClass",
            Self::Ingress => "Ingress",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which object: `Ingress default/web`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: ObjectName,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A text and where it stood.
#[derive(Clone, Debug, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stood.
    pub at: Pos,
}

/// What every object has.
#[derive(Clone, Debug, Eq)]
pub struct Meta {
    /// `namespace/name`.
    pub name: ObjectName,
    /// `metadata.creationTimestamp` in seconds since 1970; none (as in most files) counts as youngest.
    pub created: Option<i64>,
    /// Labels.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Annotations, each with its place.
    pub annotations: BTreeMap<Arc<str>, Spanned<Arc<str>>>,
    /// The file it came from.
    pub source: Source,
    /// Where the object itself begins.
    pub at: Pos,
}

/// One object, decoded and valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// An IngressClass.
    IngressClass(IngressClass),
    /// An Ingress.
    Ingress(Ingress),
    /// A Service.
    Service(Service),
    /// An EndpointSlice, or Endpoints turned into one.
    EndpointSlice(EndpointSlice),
    /// A Secret.
    Secret(Secret),
    /// A ConfigMap.
    ConfigMap(ConfigMap),
}

impl Object {
    /// What every object has.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::IngressClass(object) => &object.meta,
            Self::Ingress(object) => &object.meta,
            Self::Service(object) => &object.meta,
            Self::EndpointSlice(object) => &object.meta,
            Self::Secret(object) => &object.meta,
            Self::ConfigMap(object) => &object.meta,
        }
    }

    /// Which object it is.
    pub fn id(&self) -> ObjectId {
        let kind = match self {
            Self::IngressClass(_) => Kind::IngressClass,
            Self::Ingress(_) => Kind::Ingress,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(slice) if slice.legacy => Kind::Endpoints,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Secret(_) => Kind::Secret,
            Self::ConfigMap(_) => Kind::ConfigMap,
        };
        ObjectId { kind, name: self.meta().name.clone() }
    }
}

/// `networking.k8s.io/v1` IngressClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressClass {
    /// What every object has.
    pub meta: Meta,
    /// `spec.controller`.
    pub controller: Arc<str>,
    /// Annotation `ingressclass.kubernetes.io/is-default-class` is `"true"`.
    pub is_default: bool,
}

/// An Ingress of any API version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// What every object has.
    pub meta: Meta,
    /// `spec.ingressClassName`.
    pub class: Option<Spanned<Arc<str>>>,
    /// `spec.defaultBackend`, or `spec.backend` of the beta versions.
    pub default_backend: Option<BackendRef>,
    /// `spec.rules`.
    pub rules: Vec<IngressRule>,
    /// `spec.tls`.
    pub tls: Vec<IngressTls>,
}

/// One of `spec.rules`.
#[derive(Clone, Debug, Eq)]
pub struct IngressRule {
    /// `host`.
    pub host: HostPattern,
    /// Where the host (or the rule) stands.
    pub at: Pos,
    /// `http.paths`; none where the rule has no `http`.
    pub paths: Option<Vec<IngressPath>>,
}

/// One of `http.paths`.
#[derive(Clone, Debug, Eq)]
pub struct IngressPath {
    /// The path in its one form ([`crate::ground::path`]); an absent or empty one is `/`.
    pub path: Arc<str>,
    /// `pathType`; beta versions without one are `ImplementationSpecific`.
    pub path_type: PathType,
    /// Where it goes.
    pub backend: BackendRef,
    /// Where the path stands.
    pub at: Pos,
}

/// `pathType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathType {
    /// Byte equality.
    Exact,
    /// Whole path elements.
    Prefix,
    /// Prefix, unless a plugin says otherwise.
    ImplementationSpecific,
}

impl PathType {
    /// As Kubernetes spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "Exact",
            Self::Prefix => "Prefix",
            Self::ImplementationSpecific => "ImplementationSpecific",
        }
    }
}

/// An Ingress's backend.
#[derive(Clone, Debug, Eq)]
pub struct BackendRef {
    /// What it refers to.
    pub target: BackendTarget,
    /// Where it stands.
    pub at: Pos,
}

/// What a backend refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendTarget {
    /// A Service of the Ingress's own namespace.
    Service {
        /// Its name.
        name: Arc<str>,
        /// Its port.
        port: PortRef,
    },
    /// A `resource` backend, which nobody here implements: `Kind/name`, answered with 503.
    Resource(Arc<str>),
}

/// One of `spec.tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressTls {
    /// Names the certificate is for.
    pub hosts: Vec<HostPattern>,
    /// The Secret with `tls.crt` and `tls.key`; empty means the default certificate.
    pub secret: Option<Spanned<Arc<str>>>,
}

/// `v1` Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What every object has.
    pub meta: Meta,
    /// `spec.externalName` of an ExternalName Service.
    pub external_name: Option<Spanned<Arc<str>>>,
    /// TCP ports.
    pub ports: Vec<ServicePort>,
}

/// One TCP port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; empty where it has none.
    pub name: Arc<str>,
    /// Its number.
    pub port: u16,
    /// `appProtocol`.
    pub app_protocol: Option<Arc<str>>,
}

/// `discovery.k8s.io/v1` EndpointSlice, or `v1` Endpoints turned into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// What every object has.
    pub meta: Meta,
    /// The Service it belongs to (label `kubernetes.io/service-name`; for Endpoints its own name).
    pub service: Arc<str>,
    /// True for `v1` Endpoints: set aside where the Service has slices too.
    pub legacy: bool,
    /// Ports, by the Service port's name (empty where it has none).
    pub ports: Vec<(Arc<str>, u16)>,
    /// Endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Its address (a slice's `addresses[0]`).
    pub address: IpAddr,
    /// `conditions.ready`, absent is true.
    pub ready: bool,
    /// `conditions.serving`, absent is true.
    pub serving: bool,
    /// `conditions.terminating`, absent is false.
    pub terminating: bool,
}

/// A Secret's value: comparable, never formatted.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Arc<[u8]>);

impl SecretBytes {
    /// Wraps it.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The value itself: for a verifier, never for a log.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

/// `v1` Secret (`data`, with `stringData` over it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What every object has.
    pub meta: Meta,
    /// `type`.
    pub kind: Arc<str>,
    /// Decoded data.
    pub data: BTreeMap<Arc<str>, SecretBytes>,
}

/// `v1` ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMap {
    /// What every object has.
    pub meta: Meta,
    /// Text data.
    pub data: BTreeMap<Arc<str>, Arc<str>>,
}

/// One object came, changed or (without an object) went.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which.
    pub id: ObjectId,
    /// What it is now.
    pub object: Option<Arc<Object>>,
}

// === equality: what is said, not where ===

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Meta {
    fn eq(&self, other: &Self) -> bool {
        let Self { name, created, labels, annotations, source, at: _ } = self;
        *name == other.name
            && *created == other.created
            && *labels == other.labels
            && *annotations == other.annotations
            && *source == other.source
    }
}

impl PartialEq for IngressRule {
    fn eq(&self, other: &Self) -> bool {
        let Self { host, paths, at: _ } = self;
        *host == other.host && *paths == other.paths
    }
}

impl PartialEq for IngressPath {
    fn eq(&self, other: &Self) -> bool {
        let Self { path, path_type, backend, at: _ } = self;
        *path == other.path && *path_type == other.path_type && *backend == other.backend
    }
}

impl PartialEq for BackendRef {
    fn eq(&self, other: &Self) -> bool {
        let Self { target, at: _ } = self;
        *target == other.target
    }
}
