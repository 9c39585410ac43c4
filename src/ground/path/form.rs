//! Byte by byte: whether a target is in the one form already, and if not, what it becomes.

use super::{PathError, PathOptions};

/// What a look at a target finds.
pub(super) enum Scan {
    /// It is in the one form.
    Clean {
        /// Where the query begins, or the end.
        path_len: usize,
    },
    /// It is not, or not certainly.
    Rewrite,
}

/// How a path's segments are treated.
#[derive(Clone, Copy, Default)]
pub(super) struct Segments {
    pub(super) merge: bool,
    pub(super) refuse_encoded_slashes: bool,
    /// Dot segments are refused rather than resolved.
    pub(super) refuse_dots: bool,
}

/// What a byte of a path asks of the scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Stands for itself.
    Plain,
    /// May begin a dot segment.
    Dot,
    /// Separates segments.
    Slash,
    /// Begins an escape.
    Percent,
    /// Begins the query.
    Question,
    /// Becomes an escape.
    Escaped,
    /// Is refused.
    Refused,
}

static CLASS: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Plain; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler; the bound is the loop's")]
        {
            table[index] = match byte {
                0..=b' ' | 0x7F | b'#' => Class::Refused,
                b'.' => Class::Dot,
                b'/' => Class::Slash,
                b'%' => Class::Percent,
                b'?' => Class::Question,
                b'\\' | b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => {
                    Class::Escaped
                }
                _ => Class::Plain,
            };
        }
        index += 1;
    }
    table
}

/// The class of a byte; the table covers every one.
fn class(byte: u8) -> Class {
    CLASS.get(usize::from(byte)).copied().unwrap_or(Class::Refused)
}

/// One pass over the target that stops at the first byte that needs more than being copied.
pub(super) fn scan(raw: &[u8], options: PathOptions) -> Result<Scan, PathError> {
    let mut at = 0;
    let mut segment_start = false;
    while let Some(&byte) = raw.get(at) {
        match class(byte) {
            Class::Plain => segment_start = false,
            Class::Slash => {
                if segment_start && options.merge_slashes {
                    return Ok(Scan::Rewrite);
                }
                segment_start = true;
            }
            Class::Dot => {
                if segment_start && is_dot_segment(raw.get(at..).unwrap_or_default()) {
                    return Ok(Scan::Rewrite);
                }
                segment_start = false;
            }
            Class::Percent => {
                let (high, low) = (raw.get(at + 1), raw.get(at + 2));
                if !is_settled_escape(high, low, options) {
                    return Ok(Scan::Rewrite);
                }
                segment_start = false;
                at += 2;
            }
            Class::Question => return scan_query(raw, at),
            Class::Escaped => return Ok(Scan::Rewrite),
            Class::Refused => return Err(refusal(byte)),
        }
        at += 1;
    }
    Ok(Scan::Clean { path_len: raw.len() })
}

fn scan_query(raw: &[u8], path_len: usize) -> Result<Scan, PathError> {
    let mut scan = Scan::Clean { path_len };
    for &byte in raw.get(path_len..).unwrap_or_default() {
        if byte >= 0x80 {
            scan = Scan::Rewrite;
        } else if class(byte) == Class::Refused {
            return Err(refusal(byte));
        }
    }
    Ok(scan)
}

/// Whether a segment that begins here is `.` or `..`; where a dot is escaped, that escape is what is noticed.
fn is_dot_segment(rest: &[u8]) -> bool {
    let dots = rest.iter().take_while(|byte| **byte == b'.').count();
    dots <= 2 && matches!(rest.get(dots), None | Some(b'/' | b'?'))
}

/// Whether an escape is kept as it stands.
fn is_settled_escape(high: Option<&u8>, low: Option<&u8>, options: PathOptions) -> bool {
    let (Some(&high), Some(&low)) = (high, low) else { return false };
    let upper = |digit: u8| digit.is_ascii_digit() || matches!(digit, b'A'..=b'F');
    let Some(byte) = hex(high, low) else { return false };
    let slash = options.refuse_encoded_slashes && matches!(byte, b'/' | b'\\');
    upper(high) && upper(low) && !is_unreserved(byte) && !byte.is_ascii_control() && !slash
}

// === the rewrite ===

/// Writes `path` in the one form behind what `out` holds (which must be nothing).
pub(super) fn write_path(path: &[u8], how: Segments, out: &mut Vec<u8>) -> Result<(), PathError> {
    let Some((b'/', rest)) = path.split_first() else {
        return Err(PathError::NotAbsolute);
    };
    let mut segments = rest.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let start = out.len();
        out.push(b'/');
        write_segment(segment, how, out)?;
        let last = segments.peek().is_none();
        let dots = match out.get(start + 1..) {
            Some(b".") => 1,
            Some(b"..") => 2,
            Some(b"") if how.merge && !last => {
                out.truncate(start);
                continue;
            }
            _ => continue,
        };
        if how.refuse_dots {
            return Err(PathError::DotSegment);
        }
        out.truncate(start);
        if dots == 2 {
            let parent = out.iter().rposition(|byte| *byte == b'/').ok_or(PathError::AboveRoot)?;
            out.truncate(parent);
        }
        if last {
            out.push(b'/');
        }
    }
    Ok(())
}

fn write_segment(segment: &[u8], how: Segments, out: &mut Vec<u8>) -> Result<(), PathError> {
    let mut bytes = segment.iter();
    while let Some(&byte) = bytes.next() {
        match class(byte) {
            Class::Plain | Class::Dot | Class::Slash => out.push(byte),
            Class::Percent => {
                let (high, low) = (bytes.next(), bytes.next());
                let escaped = high.zip(low).and_then(|(high, low)| hex(*high, *low));
                let byte = escaped.ok_or(PathError::Escape)?;
                match byte {
                    _ if is_unreserved(byte) => out.push(byte),
                    _ if byte.is_ascii_control() => return Err(PathError::Control),
                    _ => escape(byte, how, out)?,
                }
            }
            Class::Escaped => escape(byte, how, out)?,
            Class::Question => return Err(PathError::Question),
            Class::Refused => return Err(refusal(byte)),
        }
    }
    Ok(())
}

fn escape(byte: u8, how: Segments, out: &mut Vec<u8>) -> Result<(), PathError> {
    if how.refuse_encoded_slashes && matches!(byte, b'/' | b'\\') {
        return Err(PathError::EncodedSlash);
    }
    push_escape(byte, out);
    Ok(())
}

/// Writes `query`, which is left alone but for what no target may hold.
pub(super) fn write_query(query: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    for &byte in query {
        match byte {
            0x80.. => push_escape(byte, out),
            _ if class(byte) == Class::Refused => return Err(refusal(byte)),
            _ => out.push(byte),
        }
    }
    Ok(())
}

// === bytes ===

fn refusal(byte: u8) -> PathError {
    match byte {
        b' ' => PathError::Space,
        b'#' => PathError::Fragment,
        _ => PathError::Control,
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

fn push_escape(byte: u8, out: &mut Vec<u8>) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
}

/// Whether `text` holds an escape of one of the bytes `wanted`.
pub(super) fn has_escape_of(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(3).any(
        |w| matches!(w, [b'%', high, low] if hex(*high, *low).is_some_and(|byte| wanted.contains(&byte))),
    )
}
