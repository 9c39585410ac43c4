//! `method SP target SP HTTP/1.x CRLF`, byte for byte.

use super::Refusal;
use super::fields::is_token;
use http::{Method, Version};
use std::ops::Range;

/// A whole request line.
#[derive(Debug)]
pub(super) struct RequestLine {
    pub(super) method: Method,
    pub(super) target: Range<usize>,
    pub(super) version: Version,
    /// Its bytes, with CRLF.
    pub(super) len: usize,
}

/// Reads the line at the beginning of `bytes`; none if it is not whole yet and may still become good.
pub(super) fn parse(bytes: &[u8], target_limit: usize) -> Result<Option<RequestLine>, Refusal> {
    let method_len = bytes.iter().take_while(|byte| is_token(**byte)).count();
    match bytes.get(method_len) {
        None => return Ok(None),
        Some(b' ') if method_len > 0 => {}
        Some(b' ' | b'\r' | b'\n') => return Err(Refusal::REQUEST_LINE),
        Some(0) => return Err(Refusal::NUL_BYTE),
        Some(_) => return Err(Refusal::METHOD),
    }
    let start = method_len + 1;
    let rest = bytes.get(start..).unwrap_or_default();
    let target_len = rest.iter().take_while(|byte| **byte > b' ' && **byte != 0x7F).count();
    if target_len > target_limit {
        return Err(Refusal::TARGET_TOO_LONG);
    }
    match rest.get(target_len) {
        None => return Ok(None),
        Some(b' ') if target_len > 0 => {}
        Some(b' ' | b'\r' | b'\n') => return Err(Refusal::REQUEST_LINE),
        Some(0) => return Err(Refusal::NUL_BYTE),
        Some(_) => return Err(Refusal::CONTROL_CHARACTER),
    }
    let Some(version) = version(rest.get(target_len + 1..).unwrap_or_default())? else {
        return Ok(None);
    };
    let method = bytes.get(..method_len).unwrap_or_default();
    let method = Method::from_bytes(method).map_err(|_no_detail| Refusal::METHOD)?;
    let end = start + target_len;
    Ok(Some(RequestLine { method, target: start..end, version, len: end + 1 + VERSION_LINE }))
}

/// Bytes of `HTTP/1.1\r\n`.
const VERSION_LINE: usize = 10;

fn version(bytes: &[u8]) -> Result<Option<Version>, Refusal> {
    match bytes.first_chunk::<VERSION_LINE>() {
        Some(b"HTTP/1.1\r\n") => Ok(Some(Version::HTTP_11)),
        Some(b"HTTP/1.0\r\n") => Ok(Some(Version::HTTP_10)),
        _ => version_fault(bytes).map_or(Ok(None), Err),
    }
}

/// The first byte that cannot be part of `HTTP/1.0\r\n` or `HTTP/1.1\r\n` tells the fault; none: it is only short.
#[cold]
fn version_fault(bytes: &[u8]) -> Option<Refusal> {
    let wanted = b"HTTP/1.1\r\n";
    let (at, byte) = bytes
        .iter()
        .zip(wanted)
        .enumerate()
        .find(|(at, (byte, wanted))| byte != wanted && !(*at == 7 && **byte == b'0'))
        .map(|(at, (byte, _))| (at, *byte))?;
    Some(match (at, byte) {
        (0, b' ') => Refusal::REQUEST_LINE,
        (5 | 7, b'0'..=b'9') => Refusal::VERSION_UNSUPPORTED,
        (8, b'\n') => Refusal::BARE_LF,
        (9, _) => Refusal::BARE_CR,
        (_, 0) => Refusal::NUL_BYTE,
        _ => Refusal::VERSION_MALFORMED,
    })
}
