//! A body, of a request or a response: from bytes to data and trailers.

use super::chunk;
use super::fields::{self, Fields};
use super::pace::Pace;
use super::{BodyFraming, HeadLimits, Refusal};
use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Bytes of chunk extensions in a whole body.
const EXTENSIONS_LIMIT: usize = 16 << 10;

/// Takes a body apart. It never takes a byte behind the body's end.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    limits: HeadLimits,
    extensions: usize,
    /// Of the trailer section.
    pace: Pace,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of data, then nothing.
    Length(u64),
    /// A chunk's line.
    ChunkLine,
    /// So many bytes of a chunk's data.
    ChunkData(u64),
    /// The CRLF behind a chunk's data.
    ChunkEnd,
    /// Trailers and the empty line.
    Trailers,
    /// Not ours.
    Finished,
}

/// One step.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Data, split off the buffer; never empty.
    Data(Bytes),
    /// The buffer holds nothing more to be said.
    NeedMore,
    /// The body is over; its trailers, if it had any that may be passed on. Later calls say `End(None)`.
    End(Option<Box<HeaderMap>>),
}

// === impl BodyDecoder ===

impl BodyDecoder {
    /// A decoder whose trailer section has the default limits.
    pub fn new(framing: BodyFraming) -> Self {
        Self::with_limits(framing, HeadLimits::default())
    }

    /// A decoder; size and fields of the trailer section are limited as a head's are.
    pub fn with_limits(framing: BodyFraming, limits: HeadLimits) -> Self {
        let state = match framing {
            BodyFraming::None | BodyFraming::Length(0) => State::Finished,
            BodyFraming::Length(length) => State::Length(length),
            BodyFraming::Chunked => State::ChunkLine,
        };
        Self { state, limits, extensions: 0, pace: Pace::default() }
    }

    /// Whether every byte of the body was taken.
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Bytes of data still to come, where that is known.
    pub fn remaining_hint(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Finished => Some(0),
            State::ChunkLine | State::ChunkData(_) | State::ChunkEnd | State::Trailers => None,
        }
    }

    /// Takes the next piece from the beginning of `buf`. After a refusal the connection is of no more use.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Refusal> {
        loop {
            match self.state {
                State::Finished => return Ok(Decoded::End(None)),
                State::Length(left) | State::ChunkData(left) => return Ok(self.data(buf, left)),
                State::ChunkEnd => {
                    if !take_line_end(buf)? {
                        return Ok(Decoded::NeedMore);
                    }
                    self.state = State::ChunkLine;
                }
                State::ChunkLine => {
                    let Some(line) = chunk::parse(buf)? else { return Ok(Decoded::NeedMore) };
                    self.extensions += line.extensions;
                    if self.extensions > EXTENSIONS_LIMIT {
                        return Err(Refusal::CHUNK_EXTENSION_TOO_LONG);
                    }
                    buf.advance(line.len);
                    self.state = if line.size == 0 { State::Trailers } else { State::ChunkData(line.size) };
                }
                State::Trailers => return self.trailers(buf),
            }
        }
    }

    fn data(&mut self, buf: &mut BytesMut, left: u64) -> Decoded {
        if buf.is_empty() {
            return Decoded::NeedMore;
        }
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let data = buf.split_to(taken).freeze();
        let left = left - taken as u64;
        self.state = match self.state {
            State::ChunkData(_) if left == 0 => State::ChunkEnd,
            State::ChunkData(_) => State::ChunkData(left),
            _ if left == 0 => State::Finished,
            _ => State::Length(left),
        };
        Decoded::Data(data)
    }

    fn trailers(&mut self, buf: &mut BytesMut) -> Result<Decoded, Refusal> {
        if !self.pace.is_due(buf, self.limits.size) {
            return Ok(Decoded::NeedMore);
        }
        self.pace.saw(buf.len());
        let section = buf.get(..self.limits.size).unwrap_or(buf);
        let mut fields = Fields::new();
        let Some(len) = fields::parse(section, self.limits.fields, &mut fields)? else {
            let full = buf.len() > self.limits.size;
            return if full { Err(Refusal::HEAD_TOO_LARGE) } else { Ok(Decoded::NeedMore) };
        };
        let bytes = buf.split_to(len).freeze();
        self.state = State::Finished;
        let mut trailers = HeaderMap::new();
        for field in fields {
            let name = bytes.get(field.name(0)).unwrap_or_default();
            let name = HeaderName::from_bytes(name).map_err(|_no_detail| Refusal::HEADER_NAME)?;
            let value = HeaderValue::from_maybe_shared(bytes.slice(field.value(0)));
            let value = value.map_err(|_no_detail| Refusal::CONTROL_CHARACTER)?;
            if may_trail(&name) {
                trailers.try_append(name, value).map_err(|_no_detail| Refusal::TOO_MANY_FIELDS)?;
            }
        }
        Ok(Decoded::End((!trailers.is_empty()).then(|| Box::new(trailers))))
    }
}

/// Takes CRLF; false if it is not whole yet.
fn take_line_end(buf: &mut BytesMut) -> Result<bool, Refusal> {
    match (buf.first(), buf.get(1)) {
        (Some(b'\r'), Some(b'\n')) => {
            buf.advance(2);
            Ok(true)
        }
        (None, _) | (Some(b'\r'), None) => Ok(false),
        _ => Err(Refusal::CHUNK_END),
    }
}

/// Whether a field may come after the body: nothing that frames, routes, authenticates or modifies a request, or
/// says what its content is (RFC 9110 6.5.1); nothing that this proxy says itself; no underscores, ever.
fn may_trail(name: &HeaderName) -> bool {
    const FORBIDDEN: [HeaderName; 31] = [
        header::ACCEPT_ENCODING,
        header::AGE,
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::DATE,
        header::EXPECT,
        header::EXPIRES,
        header::FORWARDED,
        header::HOST,
        header::LOCATION,
        header::MAX_FORWARDS,
        header::ORIGIN,
        header::PRAGMA,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::RANGE,
        header::RETRY_AFTER,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::VARY,
        header::VIA,
        header::WWW_AUTHENTICATE,
    ];
    const FORBIDDEN_PREFIXES: [&str; 5] = ["if-", "x-forwarded-", "x-real-ip", "keep-alive", "proxy-"];
    let text = name.as_str();
    !FORBIDDEN.contains(name)
        && !FORBIDDEN_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && !text.contains('_')
}
