//! The whole proxy, over real sockets: one binary, so that it is linked once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what they expect by failing"
)]

mod support;

mod bodies;
mod cuts;
mod early;
mod forwarded;
mod limits;
mod log;
mod names;
mod plugins;
mod refusals;
mod reload;
mod requests;
mod retries;
mod shutdown;
mod upstreams;
