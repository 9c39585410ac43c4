//! The one form of a path (`design.md` 1): matching, guards, plugins and the upstream all see the same bytes.
//!
//! A request's target is put into it once, by [`Target::parse`]; a manifest's path by [`rule_path`]; what a
//! plugin sets by [`Target::set_path`]. The form is stable: putting it into the form again changes nothing.
//! Almost every target already is in it, and is then a slice of what was read from the wire.
//!
//! | in the path | becomes |
//! |---|---|
//! | an escape of an unreserved character (`%41`, `%7e`) | the character |
//! | any other escape | itself, in upper case; never a separator |
//! | an escape of a control character, a broken escape | refused |
//! | `.` and `..` segments, however written | resolved; above the root is refused |
//! | `\`, and what RFC 3986 lets no path hold unescaped (`"<>[]^{}`, backtick, bar) | its escape |
//! | bytes above 0x7F | their escapes |
//! | control characters, space, `#` | refused |

mod form;

use bytes::Bytes;
use form::{Scan, Segments, has_escape_of, scan, write_path, write_query};
use std::fmt;

/// A request target in the one form: an absolute path and, untouched, its query.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// `path?query`, visible ASCII only.
    text: Bytes,
    path_len: usize,
}

/// What an entrypoint may ask for beyond the one form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathOptions {
    /// `//` becomes `/`.
    pub merge_slashes: bool,
    /// `%2F`, `%5C` and `\` are refused rather than kept escaped.
    pub refuse_encoded_slashes: bool,
}

/// Why a text is no path or no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("a path begins with '/'")]
    NotAbsolute,
    /// A `%` without two hexadecimal digits behind it.
    #[error("'%' is not followed by two hexadecimal digits; write %25 for a percent sign")]
    Escape,
    /// A control character, raw or escaped.
    #[error("control characters are refused, escaped ones too")]
    Control,
    /// A raw space.
    #[error("a space must be written %20")]
    Space,
    /// A raw `#`.
    #[error("a '#' must be written %23; fragments never reach a server")]
    Fragment,
    /// A raw `?` where there is only a path.
    #[error("a '?' must be written %3F; a query is not part of a path")]
    Question,
    /// `..` segments lead out of the root.
    #[error("'..' segments lead above the root")]
    AboveRoot,
    /// A `.` or `..` segment where none may be.
    #[error("'.' and '..' segments are refused here, escaped ones too; write the path that they lead to")]
    DotSegment,
    /// `//` where none may be.
    #[error("'//' is refused here; write a single '/'")]
    DoubleSlash,
    /// `%2F`, `%5C` or `\` where none may be.
    #[error("escaped slashes and backslashes (%2F, %5C, \\) are refused here")]
    EncodedSlash,
}

// === impl Target ===

impl Target {
    /// Takes the origin form, `/path?query`; shares the buffer where that already is in the one form.
    pub fn parse(raw: &Bytes, options: PathOptions) -> Result<Self, PathError> {
        if raw.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        match scan(raw, options)? {
            Scan::Clean { path_len } => Ok(Self { text: raw.clone(), path_len }),
            Scan::Rewrite => Self::rewrite(raw, options),
        }
    }

    /// `*`, the target of `OPTIONS *`.
    pub const fn asterisk() -> Self {
        Self { text: Bytes::from_static(b"*"), path_len: 1 }
    }

    /// The path, beginning with `/` (or `*` for OPTIONS).
    pub fn path(&self) -> &str {
        self.text.get(..self.path_len).and_then(|path| std::str::from_utf8(path).ok()).unwrap_or("/")
    }

    /// The query without its `?`; none is not the same as empty.
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.path_len + 1..).and_then(|query| std::str::from_utf8(query).ok())
    }

    /// `path?query` as the upstream gets it.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// Replaces the path; the query stays. The new path is put into the one form and checked as a client's is,
    /// except that dot segments are refused: a rewrite that makes one did not mean what it does.
    pub fn set_path(&mut self, path: &str) -> Result<(), PathError> {
        let mut text = Vec::with_capacity(path.len() + self.text.len());
        let segments = Segments { refuse_dots: true, ..Segments::default() };
        write_path(path.as_bytes(), segments, &mut text)?;
        let path_len = text.len();
        text.extend_from_slice(self.text.get(self.path_len..).unwrap_or_default());
        *self = Self { text: text.into(), path_len };
        Ok(())
    }

    /// Replaces the query (given without its `?`), or takes it away.
    pub fn set_query(&mut self, query: Option<&str>) -> Result<(), PathError> {
        let path = self.text.get(..self.path_len).unwrap_or(b"/");
        let mut text = Vec::with_capacity(path.len() + 1 + query.map_or(0, str::len));
        text.extend_from_slice(path);
        if let Some(query) = query {
            text.push(b'?');
            write_query(query.as_bytes(), &mut text)?;
        }
        self.text = text.into();
        Ok(())
    }

    #[cold]
    fn rewrite(raw: &[u8], options: PathOptions) -> Result<Self, PathError> {
        let question = raw.iter().position(|b| *b == b'?').unwrap_or(raw.len());
        let (path, query) = raw.split_at_checked(question).unwrap_or((raw, &[]));
        let mut text = Vec::with_capacity(raw.len() + 16);
        let segments = Segments {
            merge: options.merge_slashes,
            refuse_encoded_slashes: options.refuse_encoded_slashes,
            refuse_dots: false,
        };
        write_path(path, segments, &mut text)?;
        let path_len = text.len();
        if let Some((question, query)) = query.split_first() {
            text.push(*question);
            write_query(query, &mut text)?;
        }
        Ok(Self { text: text.into(), path_len })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text).unwrap_or_default())
    }
}

/// A manifest rule's path in the one form. What could never match, or is a request's privilege, is refused: `//`,
/// dot segments, escaped slashes, and raw `?`, `#` and spaces.
pub fn rule_path(text: &str) -> Result<String, PathError> {
    let mut path = Vec::with_capacity(text.len());
    let segments = Segments { refuse_dots: true, ..Segments::default() };
    // A backslash is text here, and becomes %5C as in a request; only what is already escaped is a disguise.
    if has_escape_of(text.as_bytes(), b"/") {
        return Err(PathError::EncodedSlash);
    }
    write_path(text.as_bytes(), segments, &mut path)?;
    if path.windows(2).any(|pair| pair == b"//") {
        return Err(PathError::DoubleSlash);
    }
    Ok(String::from_utf8_lossy(&path).into_owned())
}

#[cfg(test)]
mod tests;
