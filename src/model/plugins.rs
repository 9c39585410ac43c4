//! A set of plugins as it runs: checked code, by name. Plain data that a snapshot carries to the workers.

use super::chain::{Hooks, OnError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One generation of all plugins.
#[derive(Clone, Debug)]
pub struct PluginSet {
    /// Counts up with each changed set.
    pub generation: u64,
    /// In order of action: stage, then priority, then name.
    pub plugins: Vec<Arc<PluginCode>>,
}

/// One checked plugin.
#[derive(Clone, Debug)]
pub struct PluginCode {
    /// Its identity.
    pub name: Arc<str>,
    /// Chunk name in errors: `whitelist.lua`, or the file's path.
    pub chunk: Arc<str>,
    /// Luau bytecode, compiled by us from checked text.
    pub bytecode: Arc<[u8]>,
    /// Hash of the source text.
    pub hash: u64,
    /// When it acts.
    pub stage: Stage,
    /// Its hooks.
    pub hooks: Hooks,
    /// What an error means.
    pub on_error: OnError,
    /// Whether its hooks may wait (they run as coroutines).
    pub waits: bool,
    /// Capabilities that it declared and was granted.
    pub needs: Vec<Arc<str>>,
    /// What the operator set for it: `ctx.settings`.
    pub settings: Arc<BTreeMap<Arc<str>, Arc<str>>>,
}

/// When a plugin acts on a request; responses go the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Ids, metrics, error pages.
    Observe,
    /// Address lists, method lists.
    Guard,
    /// Redirects.
    Redirect,
    /// Rates, connections.
    Limit,
    /// Who is it?
    Auth,
    /// Paths and headers.
    Rewrite,
    /// Where to.
    Route,
}

impl Stage {
    /// Every stage, in order, with its name.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Observe, "observe"),
        (Self::Guard, "guard"),
        (Self::Redirect, "redirect"),
        (Self::Limit, "limit"),
        (Self::Auth, "auth"),
        (Self::Rewrite, "rewrite"),
        (Self::Route, "route"),
    ];

    /// What an error means where the plugin does not say.
    pub const fn on_error(self) -> OnError {
        match self {
            Self::Guard | Self::Limit | Self::Auth => OnError::Closed,
            Self::Observe | Self::Redirect | Self::Rewrite | Self::Route => OnError::Open,
        }
    }
}

/// Where a plugin's text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// In the binary.
    Bundled,
    /// From a `--plugins` folder.
    Path,
    /// From a labelled ConfigMap.
    ConfigMap,
}

/// One plugin file as a source found it, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFile {
    /// The file's path (or `configmap NS/NAME/KEY`), as errors name it.
    pub path: Arc<str>,
    /// Where it came from.
    pub origin: Origin,
    /// Its text.
    pub text: Arc<str>,
}

/// What `GET /api/plugins` shows of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginStatus {
    /// Its name (or its file's stem where it never loaded).
    pub name: Arc<str>,
    /// The file.
    pub file: Arc<str>,
    /// Where it came from.
    pub source: Origin,
    /// Hash of the text that runs, in hex.
    pub hash: String,
    /// `active`, `last-good` or `failed`.
    pub state: PluginState,
    /// The annotation names it claims.
    pub claims: Vec<Arc<str>>,
    /// Its stage, where it loaded once.
    pub stage: Option<Stage>,
    /// What is wrong with its newest text.
    pub problems: Vec<crate::ground::problem::Problem>,
}

/// How a plugin is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// Its newest text runs.
    Active,
    /// An older text runs, because the newest failed.
    LastGood,
    /// Nothing of it runs.
    Failed,
}
