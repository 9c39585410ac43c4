//! What can go wrong on the way to an endpoint.

use http::StatusCode;
use std::io;

/// A request that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be made.
    #[error("connect error: {0}")]
    Connect(#[source] io::Error),
    /// No connection was made in time.
    #[error("connect timeout")]
    ConnectTimeout,
    /// The connection was closed before any of the request was written.
    #[error("connection closed before the request was sent")]
    NotSent,
    /// The connection broke before any of the response was read, and some of the request was written.
    #[error("upstream error: {0}")]
    Broken(#[source] io::Error),
    /// The connection broke in the midst of the response, or behind an informational one.
    #[error("response cut: {0}")]
    Cut(#[source] io::Error),
    /// No response in time.
    #[error("response timeout")]
    Timeout,
    /// The response breaks the rules of HTTP.
    #[error("bad response: {0}")]
    BadResponse(&'static str),
    /// The request's own body failed: the client's doing.
    #[error("request body failed")]
    RequestBody,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The endpoint's.
    Upstream,
    /// The client's.
    Client,
}

impl SendError {
    /// Whether not a byte of the request was written: any request may be tried elsewhere.
    pub const fn is_unsent(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::ConnectTimeout | Self::NotSent)
    }

    /// Whether an idempotent request may be tried elsewhere: no byte of a response came.
    pub const fn is_unanswered(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::ConnectTimeout | Self::NotSent | Self::Broken(_))
    }

    /// Whose fault it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::RequestBody => Blame::Client,
            _ => Blame::Upstream,
        }
    }

    /// What the client is told.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::ConnectTimeout | Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::RequestBody => StatusCode::BAD_REQUEST,
            Self::Connect(_) | Self::NotSent | Self::Broken(_) | Self::Cut(_) | Self::BadResponse(_) => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// A stable word for logs and metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect error",
            Self::ConnectTimeout => "connect timeout",
            Self::NotSent | Self::Broken(_) | Self::Cut(_) => "upstream closed",
            Self::Timeout => "response timeout",
            Self::BadResponse(_) => "bad response",
            Self::RequestBody => "request body",
        }
    }
}
