//! One request on its way: what this request has learned so far. Plain data in `http` types; the proxy carries it
//! from stage to stage, plugins read and change it, the access log writes it down.

use crate::ground::path::Target;
use crate::ground::text::Ascii;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One request and, later, its response.
#[derive(Debug)]
pub struct Exchange {
    /// What the client asked, as it stands now (plugins may have changed it).
    pub request: Request,
    /// The answer's head, once there is one.
    pub response: Option<Response>,
    /// Who asked.
    pub client: Client,
    /// What is known for the log.
    pub facts: Facts,
}

/// A request's head.
#[derive(Debug)]
pub struct Request {
    /// `GET`
    pub method: Method,
    /// Path and query as they stand now, in the one form.
    pub target: Target,
    /// Path and query as the client asked for them, in the one form: for logs.
    pub asked: Target,
    /// Host for matching: lower case, no port, no trailing dot; empty where there is none (HTTP/1.0).
    pub host: Ascii,
    /// `Host` as the client sent it (`h.io:8080`), checked; what the upstream gets with `pass_host`.
    pub authority: Ascii,
    /// Version on the client's side.
    pub version: Version,
    /// End-to-end fields: hop-by-hop ones are gone, forwarding ones set (`proxy::headers`). `Host` is not in it.
    pub headers: HeaderMap,
}

/// A response's head.
#[derive(Debug)]
pub struct Response {
    /// `200`
    pub status: StatusCode,
    /// End-to-end fields.
    pub headers: HeaderMap,
}

/// Who asked, computed once in the core.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client: the peer, or what a trusted proxy said.
    pub ip: IpAddr,
    /// The TCP peer.
    pub peer: SocketAddr,
    /// Where the entrypoint listens.
    pub local: SocketAddr,
    /// `https`, as the client sees it.
    pub https: bool,
    /// Index of the entrypoint.
    pub entrypoint: u8,
}

/// What is known for the log and for `on_log`.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The authenticated user, as an auth plugin said.
    pub user: Option<Arc<str>>,
    /// Who answered where the upstream did not: `no route`, `whitelist`, `timeout`; the reason.
    pub reason: Option<Arc<str>>,
    /// The endpoint that answered or failed last.
    pub upstream: Option<SocketAddr>,
    /// Time until the response's head came from the upstream, in microseconds.
    pub upstream_us: u64,
    /// The last attempt ended in a network error.
    pub network_error: bool,
    /// Attempts made.
    pub attempts: u32,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// Status sent, 499 if the client went first.
    pub status: u16,
    /// Whole time in microseconds.
    pub duration_us: u64,
}

/// An answer that does not come from the upstream: of a plugin, or of the core.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its fields; `Content-Length` is added by the writer.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Who answered and why, for log and metrics: a plugin's name, `no route`, `connect error`.
    pub reason: Arc<str>,
}

/// What a step says of a request.
#[derive(Debug)]
pub enum Verdict {
    /// Go on.
    Pass,
    /// Stop: this is the answer.
    Answer(Box<Answer>),
}

impl Answer {
    /// One of our own errors, for `reason`.
    pub fn error(status: StatusCode, reason: impl Into<Arc<str>>) -> Self {
        let (headers, body) = error_page(status);
        Self { status, headers, body, reason: reason.into() }
    }
}

/// The one shape of our own errors: a short text, and `Retry-After` where trying again helps. Nothing about why:
/// that is in the log.
pub fn error_page(status: StatusCode) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let reason = status.canonical_reason().unwrap_or("Error");
    (headers, Bytes::from(format!("{} {reason}\n", status.as_u16())))
}
