//! How a call into Lua fails.

use super::place;
use super::raw;
use super::shared::FailureKind;
use mlua::Error;
use std::time::Duration;

/// A failed call.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How.
    pub kind: FailureKind,
    /// For the log, with a traceback where there is one. Never for clients.
    pub text: String,
    /// Lua's own error, where there is one.
    pub error: Option<Error>,
}

impl Failure {
    /// One without a Lua error behind it.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), error: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = if place::is_memory(&error) { FailureKind::Memory } else { FailureKind::Error };
        Self { kind, text: error.to_string(), error: Some(error) }
    }
}

/// Calls into Lua with at most `limit` of CPU time.
pub fn limited<R>(limit: Duration, f: impl FnOnce() -> mlua::Result<R>) -> Result<R, Failure> {
    let outcome = raw::limited(limit, f);
    match outcome.result {
        Ok(result) if !outcome.killed => Ok(result),
        // Caught by a pcall, and then it returned: killed all the same.
        Ok(_) => Err(Failure::new(FailureKind::Cpu, format!("used up its CPU time ({limit:?})"))),
        Err(error) => {
            let mut failure = Failure::from(error);
            if outcome.killed {
                failure.kind = FailureKind::Cpu;
            }
            Err(failure)
        }
    }
}
