//! Questions and their answers: health, what runs, what is wrong, metrics, a page to look at, and the one
//! command, a reload. Runs on a thread and runtime of its own, so that a question never delays a request.
//!
//! It reads what others publish (the snapshot, control's view, the workers' counters) and changes nothing
//! itself. Whoever may reach the address may look; who may command is decided in [`guard`]. No key, token or
//! password hash is ever part of an answer.

mod answer;
mod dashboard;
pub mod guard;
mod health;
mod server;
mod show;

pub use health::Health;
pub use server::serve;

use crate::model::settings::Token;
use crate::snapshot::SnapshotCell;
use crate::snapshot::view::{Reloader, ViewCell};
use crate::telemetry::Metrics;
use crate::telemetry::scrape::PluginErrors;
use std::fmt;
use std::sync::Arc;

/// What went wrong in plugins' hooks so far.
pub type PluginErrorSource = Arc<dyn Fn() -> Vec<PluginErrors> + Send + Sync>;

/// Everything that is asked about.
#[derive(Clone)]
pub struct AdminState {
    /// Names of the entrypoints, by index.
    pub entrypoints: Arc<[Arc<str>]>,
    /// The bearer token for commands that do not come from loopback.
    pub token: Option<Token>,
    /// What runs.
    pub snapshot: Arc<SnapshotCell>,
    /// What control says about it.
    pub view: ViewCell,
    /// Asks control for a reload.
    pub reload: Reloader,
    /// The workers' counters.
    pub metrics: Arc<Metrics>,
    /// Whether we are ready.
    pub health: Arc<Health>,
    /// Errors of plugins.
    pub plugin_errors: PluginErrorSource,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").field("health", &self.health).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
