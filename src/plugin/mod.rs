//! The plugin host: what an annotation *means*, in Lua.
//!
//! [`Stage`] is the control side: it checks a whole set of plugin files, keeps the last good version of each, and
//! shapes routes by running `configure` in a VM of its own. [`WorkerHost`] is the worker side: one sandboxed VM
//! per worker thread, in which [`on_request`], [`on_response`] and [`on_log`] run a route's hooks. Neither knows
//! what an annotation is for; the bundled plugins under `plugins/` do.

mod bundled;
mod claim;
mod claims;
mod context;
mod definition;
mod failure;
mod fields;
mod gather;
mod hooks;
mod htpasswd;
mod md5crypt;
mod natives;
mod options;
mod place;
mod raw;
mod reply;
mod running;
mod sandbox;
mod selection;
mod shape;
mod shared;
mod stage;
mod table;
mod ticker;
mod verify;
mod vm;
mod vocabulary;
mod worker;

#[cfg(test)]
mod tests;

pub use hooks::{on_log, on_request, on_response, refusal};
pub use shared::{FailureKind, Shared};
pub use stage::Stage;
pub use vm::{RouteHooks, Vm};
pub use worker::WorkerHost;
