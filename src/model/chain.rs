//! What Lua does on a route: the plugins in their order, with validated option values. Plain data; each worker's
//! VM makes its own state of it on the route's first request.

use super::objects::SecretBytes;
use crate::ground::net::CidrSet;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The plugins that act on a route, in order of stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Where we are, as `configure`'s `ctx` shows it.
    pub facts: Facts,
    /// The steps that have something to do at a request.
    pub steps: Vec<Step>,
    /// The names of all plugins that acted on the route, `configure`-only ones included, in order.
    pub plugins: Vec<Arc<str>>,
    /// Set where a guard, limit or auth plugin could not be configured: the route answers 503.
    pub closed: Option<Closed>,
}

impl Chain {
    /// Whether any step has `hook`.
    pub fn has(&self, hook: Hooks) -> bool {
        self.steps.iter().any(|step| step.hooks.contains(hook))
    }
}

/// Why a route is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The plugin that could not do its work.
    pub plugin: Arc<str>,
    /// Why, for the log.
    pub reason: Arc<str>,
}

/// `ctx` as a plugin's `configure` sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The route's key.
    pub route: Arc<str>,
    /// The Ingress's namespace.
    pub namespace: Arc<str>,
    /// The Ingress's name.
    pub ingress: Arc<str>,
    /// The rule's host, empty for every host.
    pub host: Arc<str>,
    /// The rule's path.
    pub path: Arc<str>,
    /// `Exact`, `Prefix` or `ImplementationSpecific`, as the Ingress says.
    pub path_type: &'static str,
    /// `namespace/name:port` of the Service, empty where there is none.
    pub service: Arc<str>,
}

/// One plugin's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The plugin's name in the set.
    pub plugin: Arc<str>,
    /// Its content hash: a changed plugin makes a changed chain.
    pub hash: u64,
    /// Validated option values by claim key; absent ones without a default are missing.
    pub options: Arc<BTreeMap<Arc<str>, OptionValue>>,
    /// Which hooks it has.
    pub hooks: Hooks,
    /// What an error in a hook means.
    pub on_error: OnError,
}

/// What an error of a plugin means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// 503: the default of guard, limit and auth.
    Closed,
    /// As if the plugin were not there.
    Open,
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hooks(pub u8);

impl Hooks {
    /// `on_request`
    pub const REQUEST: Self = Self(1);
    /// `on_response`
    pub const RESPONSE: Self = Self(2);
    /// `on_log`
    pub const LOG: Self = Self(4);

    /// Whether all of `other` are in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A typed option value: what an annotation's text became.
#[derive(Clone, PartialEq)]
pub enum OptionValue {
    /// `bool`
    Bool(bool),
    /// `int`, and `duration` in milliseconds, and `size` in bytes
    Int(i64),
    /// `number`
    Number(f64),
    /// `string`, and `enum` in its declared case
    Text(Arc<str>),
    /// `string[]`
    List(Arc<[Arc<str>]>),
    /// `cidr[]`
    Cidrs(Arc<CidrSet>),
    /// `header_map`: names in lower case, values as given (empty deletes)
    Headers(Arc<[(Arc<str>, Arc<str>)]>),
    /// `secret`
    Secret(Arc<SecretView>),
}

// Numbers are compared bit by bit: a chain is equal if it was made of the same text.
impl Eq for OptionValue {}

impl fmt::Debug for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::List(value) => write!(f, "{value:?}"),
            Self::Cidrs(value) => write!(f, "{value}"),
            Self::Headers(value) => write!(f, "{value:?}"),
            Self::Secret(value) => write!(f, "Secret({})", value.name),
        }
    }
}

/// A Secret as a plugin gets it: only the one that the annotation named, from the Ingress's own namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretView {
    /// `namespace/name`, for texts.
    pub name: Arc<str>,
    /// Its data.
    pub data: BTreeMap<Arc<str>, SecretBytes>,
}
