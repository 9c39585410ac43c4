//! What `control` knows beside the snapshot, for `admin` to show, and how `admin` asks for a reload.

use crate::ground::problem::Problem;
use crate::model::plugins::PluginStatus;
use arc_swap::ArcSwap;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// What there is to say about the current generation.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Every provider said everything it had once.
    pub synced: bool,
    /// Every problem there is, sorted.
    pub problems: Arc<[Problem]>,
    /// Every plugin, in order of action.
    pub plugins: Arc<[PluginStatus]>,
    /// Reloads by result.
    pub reloads: Reloads,
}

/// Counters of published changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// Changes that were published.
    pub published: u64,
    /// Plugin sets of which at least one file failed.
    pub failed: u64,
}

/// Shared between the one writer and the readers.
pub type ViewCell = Arc<ArcSwap<View>>;

/// `POST /api/reload`.
pub struct ReloadRequest {
    /// Only say what would change.
    pub dry_run: bool,
    /// Takes the answer.
    pub reply: Box<dyn FnOnce(ReloadReport) + Send>,
}

impl fmt::Debug for ReloadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadRequest").field("dry_run", &self.dry_run).finish_non_exhaustive()
    }
}

/// Hands a request to `control`; false if it is gone or too busy.
pub type Reloader = Arc<dyn Fn(ReloadRequest) -> bool + Send + Sync>;

/// The answer to `POST /api/reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReloadReport {
    /// The generation that is (or, dry, would be) current.
    pub generation: u64,
    /// What changed.
    pub changed: Changed,
    /// Every problem of the set that was read.
    pub problems: Vec<Problem>,
    /// No error among them.
    pub ok: bool,
}

/// Names of what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Plugins by name.
    pub plugins: Vec<Arc<str>>,
    /// Routes by key.
    pub routes: Vec<Arc<str>>,
}
