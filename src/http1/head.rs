//! A request's head: from bytes to [`RequestHead`], or to a [`Refusal`].

use super::fields::{self, Fields};
use super::framing::{self, Declared};
use super::pace::Pace;
use super::request_line::{self, RequestLine};
use super::route::route;
use super::{BodyFraming, HeadOptions, Refusal};
use crate::ground::path::Target;
use crate::ground::text::Ascii;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};

/// Empty lines that may stand before a request (RFC 9112 2.2 asks for at least one).
const EMPTY_LINES: usize = 4;

/// Fields that a proxy will add: room for them saves the map's growing.
const ROOM: usize = 5;

/// A checked head. Values, target and host are slices of what was read.
#[derive(Debug)]
pub struct RequestHead {
    /// The method; never CONNECT.
    pub method: Method,
    /// Path and query in the one form.
    pub target: Target,
    /// Host for matching: lower case, no port, no trailing dot; empty where there is none.
    pub host: Ascii,
    /// Host as it was sent, checked; of an absolute target its authority.
    pub authority: Ascii,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// All fields but `Host`, `Content-Length` and `Transfer-Encoding`; hop-by-hop ones are still in it.
    pub headers: HeaderMap,
    /// Where the body ends.
    pub framing: BodyFraming,
    /// Whether the client would like another request on this connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body that it announced.
    pub expect_continue: bool,
    /// The protocol that the client would change to, if `Connection` names `Upgrade` too (HTTP/1.1 only).
    pub upgrade: Option<HeaderValue>,
    /// Fields that were dropped because of an underscore in their name.
    pub dropped_underscores: u16,
}

/// Reads heads that arrive in pieces, without reading the same bytes again and again.
#[derive(Debug, Default)]
pub struct HeadReader {
    pace: Pace,
}

// === impl HeadReader ===

impl HeadReader {
    /// [`parse_request`], except that a large unfinished head is only looked at now and then.
    pub fn read(
        &mut self,
        buf: &mut BytesMut,
        options: &HeadOptions,
    ) -> Result<Option<RequestHead>, Refusal> {
        if !self.pace.is_due(buf, options.limits.size) {
            return Ok(None);
        }
        let head = parse_request(buf, options)?;
        self.pace.saw(if head.is_some() { 0 } else { buf.len() });
        Ok(head)
    }
}

/// Takes one head from the beginning of `buf`. None: more bytes are needed, and nothing was taken.
///
/// What is wrong is refused as soon as it can be known, and the same fault is named however the bytes arrive.
pub fn parse_request(buf: &mut BytesMut, options: &HeadOptions) -> Result<Option<RequestHead>, Refusal> {
    let mut fields = Fields::new();
    let Some(layout) = Layout::find(buf, options, &mut fields)? else { return Ok(None) };
    let head = buf.split_to(layout.len).freeze();
    layout.build(&head, &fields, options).map(Some)
}

/// Where the parts of a head stand.
struct Layout {
    line: RequestLine,
    line_at: usize,
    fields_at: usize,
    /// Of the whole head.
    len: usize,
}

impl Layout {
    fn find(buf: &[u8], options: &HeadOptions, fields: &mut Fields) -> Result<Option<Self>, Refusal> {
        let limits = &options.limits;
        let Some(line_at) = skip_empty_lines(buf)? else { return Ok(None) };
        let rest = buf.get(line_at..).unwrap_or_default();
        // Only what may belong to the head is looked at, so that what follows cannot change the verdict.
        let head = rest.get(..limits.size).unwrap_or(rest);
        let short = || if rest.len() > limits.size { Err(Refusal::HEAD_TOO_LARGE) } else { Ok(None) };
        let Some(line) = request_line::parse(head, limits.target)? else { return short() };
        let section = head.get(line.len..).unwrap_or_default();
        let Some(len) = fields::parse(section, limits.fields, fields)? else { return short() };
        let fields_at = line_at + line.len;
        Ok(Some(Self { line, line_at, fields_at, len: fields_at + len }))
    }

    fn build(self, head: &Bytes, fields: &Fields, options: &HeadOptions) -> Result<RequestHead, Refusal> {
        let RequestLine { method, target, version, .. } = self.line;
        let mut said = Said::default();
        let mut headers = HeaderMap::try_with_capacity(fields.len() + ROOM).unwrap_or_default();
        for field in fields {
            let name = head.get(field.name(self.fields_at)).unwrap_or_default();
            if !options.allow_underscores && name.contains(&b'_') {
                said.dropped_underscores = said.dropped_underscores.saturating_add(1);
                continue;
            }
            let name = HeaderName::from_bytes(name).map_err(|_no_detail| Refusal::HEADER_NAME)?;
            let value = head.slice(field.value(self.fields_at));
            if let Some(value) = said.hear(&name, value, version)? {
                let kept = headers.try_append(name, value);
                kept.map_err(|_no_detail| Refusal::TOO_MANY_FIELDS)?;
            }
        }
        let raw = head.slice(self.line_at + target.start..self.line_at + target.end);
        let (target, authority) = route(&method, &raw, said.host.as_ref(), version, options.path)?;
        let framing = said.declared.framing(version)?;
        let has_body = !matches!(framing, BodyFraming::None | BodyFraming::Length(0));
        let modern = version == Version::HTTP_11;
        Ok(RequestHead {
            method,
            target,
            host: authority.host,
            authority: authority.text,
            version,
            headers,
            framing,
            keep_alive: !said.close && (modern || said.keep_alive),
            expect_continue: said.expect_continue && has_body,
            upgrade: said.upgrade.filter(|_| said.connection_upgrade && modern),
            dropped_underscores: said.dropped_underscores,
        })
    }
}

/// Skips the empty lines before a request; none if it is not clear yet where they end.
fn skip_empty_lines(buf: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut at = 0;
    loop {
        match (buf.get(at), buf.get(at + 1)) {
            (None, _) | (Some(b'\r'), None) => return Ok(None),
            (Some(b'\r'), Some(b'\n')) if at < 2 * EMPTY_LINES => at += 2,
            (Some(b'\r'), Some(b'\n')) => return Err(Refusal::REQUEST_LINE),
            (Some(b'\r'), _) => return Err(Refusal::BARE_CR),
            (Some(b'\n'), _) => return Err(Refusal::BARE_LF),
            _ => return Ok(Some(at)),
        }
    }
}

/// What the fields say to this server rather than to the next one.
#[derive(Default)]
struct Said {
    host: Option<Bytes>,
    declared: Declared,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: Option<HeaderValue>,
    expect_continue: bool,
    dropped_underscores: u16,
}

impl Said {
    /// Listens to a field; gives its value back if the field stays in the map.
    fn hear(
        &mut self,
        name: &HeaderName,
        value: Bytes,
        version: Version,
    ) -> Result<Option<HeaderValue>, Refusal> {
        if name == header::HOST {
            return match self.host.replace(value) {
                None => Ok(None),
                Some(_) => Err(Refusal::HOST_REPEATED),
            };
        }
        if name == header::CONTENT_LENGTH {
            return self.declared.length(value).map(|()| None);
        }
        if name == header::TRANSFER_ENCODING {
            return self.declared.encoding(value).map(|()| None);
        }
        if name == header::CONNECTION {
            self.hear_connection(&value);
        } else if name == header::EXPECT && version == Version::HTTP_11 {
            self.hear_expect(&value)?;
        }
        let value = HeaderValue::from_maybe_shared(value).map_err(|_no_detail| Refusal::CONTROL_CHARACTER)?;
        if name == header::UPGRADE && self.upgrade.is_none() {
            self.upgrade = Some(value.clone());
        }
        Ok(Some(value))
    }

    fn hear_connection(&mut self, value: &[u8]) {
        for option in framing::list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn hear_expect(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for expectation in framing::list(value) {
            if !expectation.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::EXPECTATION);
            }
            self.expect_continue = true;
        }
        Ok(())
    }
}
