//! A section of header fields, strictly: every line is `name ":" OWS value OWS CRLF`, an empty line ends it.
//!
//! httparse finds the tokens; it lets a bare LF end a line. So each line's end is looked at again here, and what
//! httparse refuses is read a second time, slowly, to name the fault.

use super::Refusal;
use smallvec::SmallVec;
use std::ops::Range;

/// Fields of an ordinary head; larger ones are parsed a second time.
const ORDINARY: usize = 24;

/// Where one field stands in its section.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Field {
    name: (u32, u32),
    value: (u32, u32),
}

/// The fields of a section. Large: it is filled where it stands rather than moved.
pub(super) type Fields = SmallVec<[Field; ORDINARY]>;

// === impl Field ===

impl Field {
    /// Where the name stands, in a buffer in which the section begins at `base`.
    pub(super) fn name(self, base: usize) -> Range<usize> {
        base + self.name.0 as usize..base + self.name.1 as usize
    }

    /// Where the value stands, without the white space around it.
    pub(super) fn value(self, base: usize) -> Range<usize> {
        base + self.value.0 as usize..base + self.value.1 as usize
    }
}

/// Reads a section from the beginning of `bytes` into `fields`: its length with the empty line, or none if it is
/// not whole yet.
pub(super) fn parse(bytes: &[u8], limit: usize, fields: &mut Fields) -> Result<Option<usize>, Refusal> {
    let mut few = [httparse::EMPTY_HEADER; ORDINARY];
    let slots = few.get_mut(..limit.min(ORDINARY)).unwrap_or_default();
    match httparse::parse_headers(bytes, slots) {
        Err(httparse::Error::TooManyHeaders) if limit > ORDINARY => {
            // A field has at least three bytes, so that a generous limit costs nothing.
            let mut many = vec![httparse::EMPTY_HEADER; limit.min(bytes.len() / 3 + 1)];
            settle(bytes, httparse::parse_headers(bytes, &mut many), fields)
        }
        parsed => settle(bytes, parsed, fields),
    }
}

type Parsed<'h, 'b> = httparse::Result<(usize, &'h [httparse::Header<'b>])>;

fn settle(bytes: &[u8], parsed: Parsed<'_, '_>, fields: &mut Fields) -> Result<Option<usize>, Refusal> {
    match parsed {
        Ok(httparse::Status::Complete((len, headers))) => {
            locate(bytes, len, headers, fields).map(|()| Some(len))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::TOO_MANY_FIELDS),
        Err(_) => Err(diagnose(bytes)),
    }
}

/// Accounts for every byte of the section; nothing may stand between the fields but CRLF.
fn locate(
    bytes: &[u8],
    len: usize,
    headers: &[httparse::Header<'_>],
    fields: &mut Fields,
) -> Result<(), Refusal> {
    let start = bytes.as_ptr() as usize;
    let place = |part: &[u8]| {
        let at = (part.as_ptr() as usize).wrapping_sub(start);
        (at as u32, (at + part.len()) as u32)
    };
    fields.clear();
    let mut line = 0;
    for header in headers {
        let field = Field { name: place(header.name.as_bytes()), value: place(header.value) };
        let behind = bytes.get(field.value.1 as usize..).unwrap_or_default();
        let blank = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if field.name.0 as usize != line || behind.get(blank..blank + 2) != Some(b"\r\n") {
            return Err(diagnose(bytes));
        }
        line = field.value.1 as usize + blank + 2;
        fields.push(field);
    }
    if bytes.get(line..len) != Some(b"\r\n") {
        return Err(diagnose(bytes));
    }
    Ok(())
}

/// Names the first fault of a section that has one. It looks at no byte behind the fault, so that the answer does
/// not depend on how much has arrived.
#[cold]
fn diagnose(bytes: &[u8]) -> Refusal {
    let mut rest = bytes;
    loop {
        let name = rest.iter().take_while(|byte| is_token(**byte)).count();
        match rest.get(name) {
            Some(b':') if name > 0 => {}
            Some(b':') => return Refusal::HEADER_NAME_EMPTY,
            Some(0) => return Refusal::NUL_BYTE,
            Some(b' ' | b'\t') if name > 0 => return Refusal::SPACE_BEFORE_COLON,
            Some(b' ' | b'\t') => return Refusal::OBS_FOLD,
            Some(b'\r' | b'\n') if name > 0 => return Refusal::HEADER_WITHOUT_COLON,
            Some(b'\r') => return Refusal::BARE_CR,
            Some(b'\n') => return Refusal::BARE_LF,
            _ => return Refusal::HEADER_NAME,
        }
        let value = rest.iter().skip(name).take_while(|byte| !is_control(**byte)).count();
        let end = name + value;
        match (rest.get(end), rest.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => rest = rest.get(end + 2..).unwrap_or_default(),
            (Some(b'\r'), _) => return Refusal::BARE_CR,
            (Some(b'\n'), _) => return Refusal::BARE_LF,
            (Some(0), _) => return Refusal::NUL_BYTE,
            _ => return Refusal::CONTROL_CHARACTER,
        }
    }
}

/// RFC 9110 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}
