//! Moongate: a programmable Kubernetes ingress controller and reverse proxy.
//!
//! Mechanism is Rust, meaning is Lua. The modules stand here in layer order, from the ground up: a file
//! imports only from rows above its own in this list, never from a sibling part (`tests/layers.rs` checks it;
//! `ARCHITECTURE.md` tells the flows).

// Ground: no async, no I/O, no clock.
pub mod ground;

// What is wanted: plain data.
pub mod model;

// Machines: pure, (state, event, now) -> (state, effects).
pub mod http1;
pub mod router;

// One immutable generation, and one request on its way.
pub mod exchange;
pub mod snapshot;

// Parts: tokio lives here; siblings do not know each other (all may use clock and telemetry).
pub mod clock;
pub mod telemetry;

pub mod listener;
pub mod plugin;
pub mod provider;
pub mod upstream;

// The life of a request, of a change, of a question.
pub mod admin;
pub mod control;
pub mod proxy;

// Wiring and words, and a backend to try it with.
pub mod app;
pub mod whoami;

pub mod cli;
