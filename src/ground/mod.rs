//! The ground: names, networks, amounts, paths and problems. No async, no I/O, no clock, and nothing of what
//! the product does.

pub mod amount;
pub mod names;
pub mod net;
pub mod path;
pub mod problem;
pub mod suggest;
pub mod text;
pub mod yaml;
