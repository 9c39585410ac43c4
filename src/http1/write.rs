//! A response: from `http` types to bytes.

use bytes::{BufMut, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

/// Stands behind each chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// How the client finds the end of a response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// There is no body, whatever the head announces: HEAD, 1xx, 204, 304.
    None {
        /// What a GET would have (HEAD and 304 only).
        content_length: Option<u64>,
    },
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Everything until the connection is closed (HTTP/1.0).
    UntilClose,
}

// === impl ResponseFraming ===

impl ResponseFraming {
    /// How a response with a body of `content_length` (none: not known yet) is framed for a client of `version`,
    /// and whether the connection must be closed behind it.
    pub fn choose(
        method: &Method,
        status: StatusCode,
        content_length: Option<u64>,
        version: Version,
    ) -> (Self, bool) {
        if status.is_informational() || status == StatusCode::NO_CONTENT {
            return (Self::None { content_length: None }, false);
        }
        if method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
            return (Self::None { content_length }, false);
        }
        match content_length {
            Some(length) => (Self::Length(length), false),
            None if version == Version::HTTP_11 => (Self::Chunked, false),
            None => (Self::UntilClose, true),
        }
    }

    /// Whether body bytes follow the head.
    pub fn has_body(self) -> bool {
        !matches!(self, Self::None { .. } | Self::Length(0))
    }
}

/// Writes a final response's head. `version` is the client's; the status line always says HTTP/1.1, which is what
/// this server speaks (RFC 9110 6.2). What `headers` says of the connection and of framing is left out and said
/// anew; `Server` and `Date` are added where absent.
pub fn write_response_head(
    out: &mut BytesMut,
    version: Version,
    status: StatusCode,
    headers: &HeaderMap,
    framing: ResponseFraming,
    keep_alive: bool,
    date: &[u8; 29],
) {
    // Names, values and separators of an ordinary head; one growth at most for the rest.
    out.reserve(256 + headers.len() * 48);
    write_status_line(out, status);
    write_fields(out, headers);
    if !headers.contains_key(header::SERVER) {
        out.extend_from_slice(b"server: moongate\r\n");
    }
    if !headers.contains_key(header::DATE) {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
    }
    match framing {
        ResponseFraming::None { content_length: None } | ResponseFraming::UntilClose => {}
        ResponseFraming::Length(length) | ResponseFraming::None { content_length: Some(length) } => {
            out.extend_from_slice(b"content-length: ");
            write_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        ResponseFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        out.extend_from_slice(b"connection: upgrade\r\n");
    } else if !keep_alive || framing == ResponseFraming::UntilClose {
        out.extend_from_slice(b"connection: close\r\n");
    } else if version != Version::HTTP_11 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes an informational response: 100, 102, 103 (a 101 is a final one).
pub fn write_informational(out: &mut BytesMut, status: StatusCode, headers: &HeaderMap) {
    write_status_line(out, status);
    write_fields(out, headers);
    out.extend_from_slice(b"\r\n");
}

/// Writes what stands before a chunk's `len` bytes; [`CHUNK_END`] stands behind them. `len` is not 0: that would
/// be the last chunk, so nothing is written.
pub fn write_chunk_head(out: &mut BytesMut, len: usize) {
    if len == 0 {
        return;
    }
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        let nibble = (len >> (4 * place)) as u8 & 15;
        out.put_u8(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the last chunk and the trailers.
pub fn write_last_chunk(out: &mut BytesMut, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        write_fields(out, trailers);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_status_line(out: &mut BytesMut, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_fields(out: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        if !is_of_the_connection(name) {
            write_field(out, name, value);
        }
    }
}

pub(super) fn write_field(out: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// What only this proxy may say.
pub(super) fn is_of_the_connection(name: &HeaderName) -> bool {
    name == header::CONNECTION
        || name == header::TRANSFER_ENCODING
        || name == header::CONTENT_LENGTH
        || name.as_str() == "keep-alive"
        || name.as_str() == "proxy-connection"
}

pub(super) fn write_decimal(out: &mut BytesMut, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut len = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        len += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - len..).unwrap_or_default());
}
