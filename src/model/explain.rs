//! What `moongate explain URL` says.

use crate::ground::problem::Problem;
use serde::Serialize;
use std::sync::Arc;

/// Who answers a URL, and why not the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExplainReport {
    /// As it was asked.
    pub url: String,
    /// The entrypoint that was assumed.
    pub entrypoint: Arc<str>,
    /// The key of the route that answers.
    pub route: Option<Arc<str>>,
    /// Why no route answers, or why the route answers 503: `no rule has the host h.io`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The plugins that act, in their order.
    pub plugins: Vec<Arc<str>>,
    /// `namespace/name:port`
    pub backend: Option<String>,
    /// Its endpoints' addresses.
    pub endpoints: Vec<String>,
    /// Routes that could have answered.
    pub others: Vec<Other>,
    /// What is wrong with the route.
    pub problems: Vec<Problem>,
}

/// A route that does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    /// Its key.
    pub route: Arc<str>,
    /// `its path /b is no prefix of /a`, `the longer path /a/b goes first`.
    pub why_not: String,
}
