//! Text that shares its buffer.

use bytes::Bytes;
use std::fmt;
use std::ops::Deref;

/// Printable ASCII in a shared buffer: a slice of what was read from the wire, without a copy.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ascii(Bytes);

impl Ascii {
    /// Takes bytes that are all ASCII, otherwise none.
    pub fn new(bytes: Bytes) -> Option<Self> {
        bytes.is_ascii().then_some(Self(bytes))
    }

    /// From a text in the program.
    pub const fn from_static(text: &'static str) -> Self {
        assert!(text.is_ascii());
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The buffer.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Deref for Ascii {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Ascii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Ascii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
