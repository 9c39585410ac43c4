//! The other half: requests to an upstream and the heads of its responses, as strictly as a client's.
//!
//! An upstream is as hostile as a client (`design.md` 9.11): a response whose end can be understood in two ways is
//! refused with 502, never passed on.

use super::fields::{self, Fields};
use super::framing::{digits, list};
use super::pace::Pace;
use super::write::{is_of_the_connection, write_decimal, write_field};
use super::{BodyFraming, HeadLimits, Refusal};
use crate::ground::path::Target;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

/// A checked response head. Values are slices of what was read.
#[derive(Debug)]
pub struct ResponseHead {
    /// 100 to 599, 101 too: whether that was asked for is not known here.
    pub status: StatusCode,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// All fields but `Content-Length` and `Transfer-Encoding`; hop-by-hop ones are still in it.
    pub headers: HeaderMap,
    /// What `Content-Length` said: to HEAD and with 304 it speaks of a body that does not come.
    pub length: Option<u64>,
    /// Where the body ends.
    pub framing: ResponseEnd,
    /// Whether the connection may be used again after the body.
    pub keep_alive: bool,
}

/// Where a response's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseEnd {
    /// As a request's body would.
    Framed(BodyFraming),
    /// With the connection.
    Close,
}

/// Reads heads that arrive in pieces, without reading the same bytes again and again.
#[derive(Debug, Default)]
pub struct ResponseReader {
    pace: Pace,
}

// === impl ResponseReader ===

impl ResponseReader {
    /// [`parse_response`], except that a large unfinished head is only looked at now and then.
    pub fn read(
        &mut self,
        buf: &mut BytesMut,
        method: &Method,
        limits: &HeadLimits,
    ) -> Result<Option<ResponseHead>, Refusal> {
        if !self.pace.is_due(buf, limits.size) {
            return Ok(None);
        }
        let head = parse_response(buf, method, limits)?;
        self.pace.saw(if head.is_some() { 0 } else { buf.len() });
        Ok(head)
    }
}

/// Takes one head from the beginning of `buf`, the answer to `method`. None: more bytes are needed, and nothing was
/// taken. No empty line may stand before it: that would be a byte more than the last response had.
pub fn parse_response(
    buf: &mut BytesMut,
    method: &Method,
    limits: &HeadLimits,
) -> Result<Option<ResponseHead>, Refusal> {
    let head = buf.get(..limits.size).unwrap_or(buf);
    let short = || if buf.len() > limits.size { Err(Refusal::RESPONSE_TOO_LARGE) } else { Ok(None) };
    let Some((version, status, fields_at)) = status_line(head)? else { return short() };
    let fields = head.get(fields_at..).unwrap_or_default();
    let mut section = Fields::new();
    let Some(len) = fields::parse(fields, limits.fields, &mut section).map_err(of_upstream)? else {
        return short();
    };
    let bytes = buf.split_to(fields_at + len).freeze();
    let mut said = Said::default();
    let mut headers = HeaderMap::try_with_capacity(section.len()).unwrap_or_default();
    for field in &section {
        let name = bytes.get(field.name(fields_at)).unwrap_or_default();
        let name = HeaderName::from_bytes(name).map_err(|_no_detail| Refusal::HEADER_NAME.of_upstream())?;
        let value = bytes.slice(field.value(fields_at));
        if said.hear(&name, &value)? {
            let value = HeaderValue::from_maybe_shared(value)
                .map_err(|_no_detail| Refusal::CONTROL_CHARACTER.of_upstream())?;
            headers.try_append(name, value).map_err(|_no_detail| Refusal::RESPONSE_TOO_LARGE)?;
        }
    }
    let framing = said.end(method, status, version)?;
    let modern = version == Version::HTTP_11;
    let lasting = framing != ResponseEnd::Close && !said.announces_too_much(status);
    let keep_alive = lasting && !said.close && (modern || said.keep_alive);
    Ok(Some(ResponseHead { status, version, headers, length: said.length, framing, keep_alive }))
}

/// A fault of the header lines, as an upstream's.
fn of_upstream(refusal: Refusal) -> Refusal {
    if refusal == Refusal::TOO_MANY_FIELDS { Refusal::RESPONSE_TOO_LARGE } else { refusal.of_upstream() }
}

/// `HTTP/1.x SP status [SP reason] CRLF`: version, status and length. The reason is the upstream's own business, but
/// not its control characters.
fn status_line(bytes: &[u8]) -> Result<Option<(Version, StatusCode, usize)>, Refusal> {
    const MALFORMED: Refusal = Refusal::RESPONSE_STATUS_LINE;
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        // Refuse what can never become a status line, rather than wait for its end.
        let begun = bytes.get(..9).unwrap_or(bytes);
        let possible = b"HTTP/1.1 ".starts_with(begun) || b"HTTP/1.0 ".starts_with(begun);
        return if possible { Ok(None) } else { Err(MALFORMED) };
    };
    let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(MALFORMED)?;
    let version = match line.get(..9) {
        Some(b"HTTP/1.1 ") => Version::HTTP_11,
        Some(b"HTTP/1.0 ") => Version::HTTP_10,
        _ => return Err(MALFORMED),
    };
    let code = line.get(9..12).filter(|code| code.iter().all(u8::is_ascii_digit)).ok_or(MALFORMED)?;
    let reason = line.get(12..).unwrap_or_default();
    let is_text = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
    if !matches!(reason.first(), None | Some(b' ')) || !reason.iter().all(is_text) {
        return Err(MALFORMED);
    }
    let status = StatusCode::from_bytes(code).ok().filter(|status| status.as_u16() < 600);
    status.map(|status| Some((version, status, end + 1))).ok_or(Refusal::RESPONSE_STATUS)
}

/// What the fields say to us rather than to the client.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Said {
    /// Listens to a field: whether it stays in the map.
    fn hear(&mut self, name: &HeaderName, value: &Bytes) -> Result<bool, Refusal> {
        if name == header::CONTENT_LENGTH {
            let length = digits(value).ok_or(Refusal::RESPONSE_LENGTH_MALFORMED)?;
            return match self.length.replace(length) {
                None => Ok(false),
                Some(_) => Err(Refusal::RESPONSE_LENGTH_REPEATED),
            };
        }
        if name == header::TRANSFER_ENCODING {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::RESPONSE_ENCODING);
            }
            self.chunked = true;
            return Ok(false);
        }
        if name == header::CONNECTION {
            for option in list(value) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        Ok(true)
    }

    /// Whether a body is announced that a 1xx or 204 never has (a 304 may speak of another response's). It may follow
    /// all the same: such a connection is not used again.
    fn announces_too_much(&self, status: StatusCode) -> bool {
        let announced = self.chunked || self.length.is_some_and(|length| length > 0);
        announced && (status.is_informational() || status == StatusCode::NO_CONTENT)
    }

    /// RFC 9112 6.3.
    fn end(&self, method: &Method, status: StatusCode, version: Version) -> Result<ResponseEnd, Refusal> {
        if self.chunked && self.length.is_some() {
            return Err(Refusal::RESPONSE_LENGTH_AND_ENCODING);
        }
        if self.chunked && version == Version::HTTP_10 {
            return Err(Refusal::RESPONSE_ENCODING_IN_HTTP_1_0);
        }
        if status.is_informational() && self.announces_too_much(status) {
            // Whoever takes it at its word reads the final response from within that body.
            return Err(Refusal::RESPONSE_INFORMATIONAL_BODY);
        }
        let bodiless = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || method == Method::HEAD;
        Ok(match (bodiless, self.chunked, self.length) {
            (true, _, _) => ResponseEnd::Framed(BodyFraming::None),
            (false, true, _) => ResponseEnd::Framed(BodyFraming::Chunked),
            (false, false, Some(length)) => ResponseEnd::Framed(BodyFraming::Length(length)),
            (false, false, None) => ResponseEnd::Close,
        })
    }
}

/// Writes a request's head. What `headers` says of host, connection and framing is left out and said anew.
pub fn write_request_head(
    out: &mut BytesMut,
    (method, target): (&Method, &Target),
    host: &[u8],
    headers: &HeaderMap,
    framing: BodyFraming,
) {
    out.reserve(128 + target.text().len() + headers.len() * 48);
    out.extend_from_slice(method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(target.text());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(host);
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        if name != header::HOST && !is_of_the_connection(name) {
            write_field(out, name, value);
        }
    }
    match framing {
        BodyFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // A method that defines a body says so even if it is empty (RFC 9110 8.6).
        BodyFraming::None if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {}
        BodyFraming::None | BodyFraming::Length(_) => {
            let length = if let BodyFraming::Length(length) = framing { length } else { 0 };
            out.extend_from_slice(b"content-length: ");
            write_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
}
