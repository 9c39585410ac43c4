//! What is wanted, as plain data: what the world declares ([`objects`]), what routes and backends come of it
//! ([`route`]), what plugins are asked to do on them ([`chain`], [`plugins`]), what annotations mean
//! ([`vocabulary`]) and how the process is set up ([`settings`]). No I/O; nothing here runs.

pub mod chain;
pub mod explain;
pub mod objects;
pub mod plugins;
pub mod route;
pub mod settings;
pub mod vocabulary;
