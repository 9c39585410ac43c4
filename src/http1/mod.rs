//! HTTP/1 as pure state machines: bytes in; heads, body data and refusals out. No I/O, no clock.
//!
//! The server half is our own because its strictness is what this product sells: every byte of a head is
//! accounted for, a body has exactly one way of saying where it ends, and whatever leaves room for two readings
//! is refused with a status and a stable reason ([`Refusal`]). The order of use:
//!
//! 1. [`HeadReader::read`] (or [`parse_request`]) until it gives a [`RequestHead`];
//! 2. [`BodyDecoder::decode`] with the head's [`BodyFraming`] until it is finished;
//! 3. [`write_response_head`] with what [`ResponseFraming::choose`] says, then the body, in chunks where it says so.
//!
//! The other half speaks to upstreams with the same machines: [`write_request_head`], then [`ResponseReader::read`]
//! (or [`parse_response`]) and a [`BodyDecoder`] for what [`ResponseEnd`] says.

mod body;
mod chunk;
mod fields;
mod framing;
mod head;
mod host;
mod pace;
mod refusal;
mod request_line;
mod route;
mod upstream;
mod write;

pub use body::{BodyDecoder, Decoded};
pub use framing::BodyFraming;
pub use head::{HeadReader, RequestHead, parse_request};
pub use refusal::Refusal;
pub use upstream::{ResponseEnd, ResponseHead, ResponseReader, parse_response, write_request_head};
pub use write::{
    CHUNK_END, ResponseFraming, write_chunk_head, write_informational, write_last_chunk, write_response_head,
};

use crate::ground::path::PathOptions;

/// How large a head (or a trailer section) may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes from the request line's first to the empty line's last (431).
    pub size: usize,
    /// Fields (431).
    pub fields: usize,
    /// Bytes of the request target (414).
    pub target: usize,
}

impl Default for HeadLimits {
    /// The numbers of `design.md` 1.
    fn default() -> Self {
        Self { size: 64 << 10, fields: 100, target: 16 << 10 }
    }
}

/// How heads are read; one per entrypoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadOptions {
    /// How large a head may be.
    pub limits: HeadLimits,
    /// What the path may hold.
    pub path: PathOptions,
    /// Keep fields whose names have underscores; CGI-like upstreams read `a_b` and `a-b` as one name.
    pub allow_underscores: bool,
}

#[cfg(test)]
mod tests;
