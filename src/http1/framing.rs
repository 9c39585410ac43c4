//! Where a request's body ends: said once, in one way, or refused.

use super::Refusal;
use bytes::Bytes;
use http::Version;

/// How the end of a request's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// No body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// What the head says of the body, gathered field by field.
#[derive(Debug, Default)]
pub(super) struct Declared {
    length: Option<Bytes>,
    encoding: Option<Bytes>,
}

impl Declared {
    /// A `Content-Length` field. A second one is refused even if equal: whoever sends two has been tampered with.
    pub(super) fn length(&mut self, value: Bytes) -> Result<(), Refusal> {
        match self.length.replace(value) {
            None => Ok(()),
            Some(_) => Err(Refusal::LENGTH_REPEATED),
        }
    }

    /// A `Transfer-Encoding` field.
    pub(super) fn encoding(&mut self, value: Bytes) -> Result<(), Refusal> {
        match self.encoding.replace(value) {
            None => Ok(()),
            Some(_) => Err(Refusal::ENCODING_REPEATED),
        }
    }

    /// The one way that was said.
    pub(super) fn framing(&self, version: Version) -> Result<BodyFraming, Refusal> {
        match (&self.length, &self.encoding) {
            (None, None) => Ok(BodyFraming::None),
            (Some(_), Some(_)) => Err(Refusal::LENGTH_AND_ENCODING),
            (Some(length), None) => digits(length).map(BodyFraming::Length).ok_or(Refusal::LENGTH_MALFORMED),
            (None, Some(_)) if version == Version::HTTP_10 => Err(Refusal::ENCODING_IN_HTTP_1_0),
            (None, Some(encoding)) => coding(encoding),
        }
    }
}

/// Digits only: no sign, no list, no white space, nothing above `u64`.
pub(super) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// Exactly `chunked`. A lone registered coding is an honest wish that is not fulfilled here (501); all else is
/// how a body is smuggled past someone (400), `gzip, chunked` too: no client sends it.
fn coding(value: &[u8]) -> Result<BodyFraming, Refusal> {
    const REGISTERED: [&[u8]; 5] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];
    if value.eq_ignore_ascii_case(b"chunked") {
        Ok(BodyFraming::Chunked)
    } else if REGISTERED.iter().any(|coding| value.eq_ignore_ascii_case(coding)) {
        Err(Refusal::ENCODING_UNSUPPORTED)
    } else {
        Err(Refusal::ENCODING_MALFORMED)
    }
}

/// The elements of a comma list, without the white space around them; empty ones are left out.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}
