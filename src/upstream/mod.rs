//! Where requests go: connections to endpoints, pooled per worker. A request is sent on a kept connection if there
//! is one, otherwise on a new one.

mod body;
mod buffer;
mod conn;
mod error;
mod pool;
mod resolve;
mod upload;

pub use body::ResponseBody;
pub use conn::{Conn, Outgoing};
pub use error::{Blame, SendError};
pub use pool::{Pool, PoolLimits};
pub use resolve::{Lookup, Resolver};

#[cfg(test)]
mod tests;
