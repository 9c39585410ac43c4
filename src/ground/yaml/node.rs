//! The tree.

use crate::ground::problem::Pos;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins (where a key has no value: at the key's colon).
    pub at: Pos,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// A truth value, with the text it was written as (`yes`, `True`).
    Bool(bool, Box<str>),
    /// A whole number, with the text it was written as.
    Int(i64, Box<str>),
    /// Any other number, with the text it was written as.
    Float(f64, Box<str>),
    /// A text.
    String {
        /// The text itself.
        text: Box<str>,
        /// Whether it stood in quotes or in a block, so that it could not have been anything else.
        quoted: bool,
    },
    /// A list.
    Seq(Vec<Node>),
    /// A mapping, in the order of the text; keys are unique.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Box<str>,
    /// Where the key begins.
    pub at: Pos,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Whether it is `null` or absent, which Kubernetes does not tell apart.
    pub const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The mapping's entries.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The list's elements.
    pub fn as_seq(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Seq(elements) => Some(elements),
            _ => None,
        }
    }

    /// The text; a number or a truth value is none.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The whole number.
    pub const fn as_i64(&self) -> Option<i64> {
        match self.value {
            Value::Int(number, _) => Some(number),
            _ => None,
        }
    }

    /// The truth value.
    pub const fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(truth, _) => Some(truth),
            _ => None,
        }
    }

    /// A scalar as it was written (without quotes); none for a list or a mapping.
    pub fn scalar_text(&self) -> Option<&str> {
        match &self.value {
            Value::Null => Some("null"),
            Value::Bool(_, text)
            | Value::Int(_, text)
            | Value::Float(_, text)
            | Value::String { text, .. } => Some(text),
            Value::Seq(_) | Value::Map(_) => None,
        }
    }

    /// The value of `key`, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.iter().find(|entry| &*entry.key == key).map(|entry| &entry.value)
    }

    /// What it is, for error texts: `a list`, `a whole number`.
    pub const fn kind_name(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(..) => "true or false",
            Value::Int(..) => "a whole number",
            Value::Float(..) => "a number",
            Value::String { .. } => "a text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Bytes of text in it, keys included: what an object's size is judged by.
    pub fn size(&self) -> usize {
        match &self.value {
            Value::Null => 4,
            Value::Bool(_, text)
            | Value::Int(_, text)
            | Value::Float(_, text)
            | Value::String { text, .. } => text.len(),
            Value::Seq(elements) => elements.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.key.len() + entry.value.size()).sum(),
        }
    }
}
