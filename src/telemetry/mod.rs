//! Metrics, access log and the process's own log. Uses no other part; every part may use it.
//!
//! What a worker does at a request is a few plain stores into memory of its own ([`metrics`]) and, where an
//! access log is wanted, one formatted line in a buffer of its own ([`access_log`]). Everything shared happens
//! on the control side: summing when scraped ([`scrape`]), writing in a thread for it.

pub mod access_log;
pub mod exposition;
#[cfg(test)]
pub(crate) mod fixture;
mod line;
pub mod log;
pub mod metrics;
pub mod process;
pub mod scrape;

pub use access_log::{AccessLog, AccessLogger};
pub use metrics::{Metrics, WorkerMetrics};
