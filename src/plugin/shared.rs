//! What all workers share: verified passwords, counted errors, and the gate that keeps the log quiet.

use super::verify::Verifications;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The same message is logged at most once in this time.
const QUIET: Duration = Duration::from_secs(10);
/// Distinct messages in that time; further ones are dropped.
const MESSAGES: usize = 256;

/// How a plugin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// A Lua error.
    Error,
    /// It used up its CPU time.
    Cpu,
    /// The VM's memory was at its end.
    Memory,
    /// It waited too long.
    Wall,
    /// It gave up its turn without anything to wait for.
    Yield,
    /// It returned something that is no answer.
    Return,
    /// It could not be loaded or configured in a worker.
    Configure,
}

impl FailureKind {
    /// As a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Wall => "wall",
            Self::Yield => "yield",
            Self::Return => "return",
            Self::Configure => "configure",
        }
    }
}

/// One of it in a process, behind an `Arc`.
#[derive(Debug, Default)]
pub struct Shared {
    verifications: Arc<Verifications>,
    gate: Arc<Gate>,
    errors: Mutex<BTreeMap<(Arc<str>, FailureKind), u64>>,
}

impl Shared {
    /// Starts nothing: threads come with the first need.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Errors so far, by plugin and kind.
    pub fn errors(&self) -> Vec<(Arc<str>, FailureKind, u64)> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.iter().map(|((plugin, kind), count)| (Arc::clone(plugin), *kind, *count)).collect()
    }

    pub(super) fn verifications(&self) -> &Arc<Verifications> {
        &self.verifications
    }

    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Counts a failure, and logs it unless the same was logged a moment ago.
    pub(super) fn failed(&self, plugin: &Arc<str>, kind: FailureKind, text: &str) {
        *self
            .errors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((Arc::clone(plugin), kind))
            .or_default() += 1;
        if self.gate.opens(&(plugin, kind, text)) {
            tracing::error!(plugin = %plugin, kind = kind.as_str(), "plugin failed: {text}");
        }
    }
}

/// Lets the same message through once in ten seconds.
#[derive(Debug, Default)]
pub struct Gate {
    hasher: RandomState,
    seen: Mutex<HashMap<u64, Instant>>,
}

impl Gate {
    /// Whether `message` may pass now.
    pub fn opens(&self, message: &impl Hash) -> bool {
        let hash = self.hasher.hash_one(message);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(&hash).is_some_and(|at| at.elapsed() < QUIET) {
            return false;
        }
        if seen.len() >= MESSAGES {
            seen.retain(|_, at| at.elapsed() < QUIET);
        }
        seen.len() < MESSAGES && {
            seen.insert(hash, Instant::now());
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_message_passes_once_and_a_flood_stops() {
        let gate = Gate::default();
        assert!(gate.opens(&"a"));
        assert!(!gate.opens(&"a"));
        assert!(gate.opens(&"b"));
        let passed = (0..10_000).filter(|n| gate.opens(n)).count();
        assert_eq!(passed, MESSAGES - 2);
    }

    #[test]
    fn errors_are_counted_by_plugin_and_kind() {
        let shared = Shared::new();
        let plugin: Arc<str> = "p".into();
        shared.failed(&plugin, FailureKind::Cpu, "x");
        shared.failed(&plugin, FailureKind::Cpu, "x");
        shared.failed(&plugin, FailureKind::Error, "y");
        assert_eq!(
            shared.errors(),
            [(Arc::clone(&plugin), FailureKind::Error, 1), (plugin, FailureKind::Cpu, 2)]
        );
    }
}
