//! A value of a document together with the way that leads to it, and what is wrong with it. Decoding goes on
//! after a fault, so that all of an object's faults are told at once.

use crate::ground::problem::{Pos, Problem, Severity, Source};
use crate::ground::suggest;
use crate::ground::yaml::{Entry, Node, Value};

/// A value on its way down from the object. The path is a chain of stack frames: it costs nothing until a
/// fault asks for its text.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    node: &'a Node,
    /// Where it is to be shown: the value, or its key where it has no value.
    at: Pos,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Key(&'a Field<'a>, &'a str),
    Index(&'a Field<'a>, usize),
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field: `spec.rules[0].host`.
    pub field: String,
    /// Where.
    pub at: Pos,
    /// The bad value, where it may be shown.
    pub value: String,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub hint: String,
    /// Errors refuse the object, warnings do not.
    pub severity: Severity,
}

/// All faults of one object.
#[derive(Debug, Default)]
pub struct Faults {
    /// In the order in which they were found.
    pub all: Vec<Fault>,
}

impl<'a> Field<'a> {
    /// The object itself.
    pub const fn root(node: &'a Node) -> Self {
        Self { node, at: node.at, step: Step::Root }
    }

    /// The node.
    pub const fn node(&self) -> &'a Node {
        self.node
    }

    /// Where it stands.
    pub const fn at(&self) -> Pos {
        self.at
    }

    /// The value of `key`, unless it is absent or null (which Kubernetes does not tell apart).
    pub fn get<'b>(&'b self, key: &'b str) -> Option<Field<'b>> {
        let entry = self.node.as_map()?.iter().find(|entry| &*entry.key == key)?;
        (!entry.value.is_null()).then(|| self.child(entry))
    }

    /// The value of `key`, which must be there.
    pub fn need<'b>(&'b self, key: &'b str, faults: &mut Faults) -> Option<Field<'b>> {
        let found = self.get(key);
        if found.is_none() && self.expect_map(faults).is_some() {
            let fault = Fault::new(self, format!("{key} is missing"));
            faults.all.push(Fault { field: join(&self.path(), key), ..fault });
        }
        found
    }

    /// All values of a mapping, with their keys; values may be null.
    pub fn fields<'b>(
        &'b self,
        faults: &mut Faults,
    ) -> impl Iterator<Item = (&'b str, Field<'b>)> + use<'a, 'b> {
        let entries = self.expect_map(faults).unwrap_or_default();
        entries.iter().map(|entry| (&*entry.key, self.child(entry)))
    }

    /// All elements of a list.
    pub fn items<'b>(
        &'b self,
        faults: &mut Faults,
    ) -> impl ExactSizeIterator<Item = Field<'b>> + use<'a, 'b> {
        let elements = self.node.as_seq().unwrap_or_else(|| {
            faults.add(self, format!("this must be a list, not {}", self.node.kind_name()));
            &[]
        });
        elements.iter().enumerate().map(|(index, node)| Field {
            node,
            at: node.at,
            step: Step::Index(self, index),
        })
    }

    /// A text without control characters.
    pub fn text(&self, faults: &mut Faults) -> Option<&'a str> {
        let text = self.any_text(faults)?;
        if text.chars().any(char::is_control) {
            faults.add(self, "control characters are not allowed").value(text);
            return None;
        }
        Some(text)
    }

    /// A text in which lines may break: an annotation's value.
    pub fn long_text(&self, faults: &mut Faults) -> Option<&'a str> {
        let text = self.any_text(faults)?;
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            faults.add(self, "control characters are not allowed").value(text);
            return None;
        }
        Some(text)
    }

    /// Any text at all.
    pub fn any_text(&self, faults: &mut Faults) -> Option<&'a str> {
        if let Some(text) = self.node.as_str() {
            return Some(text);
        }
        let kind = self.node.kind_name();
        match self.node.scalar_text() {
            Some(text) => faults
                .add(self, format!("this must be a text, but unquoted it is {kind}"))
                .value(text)
                .hint(format!("put it in quotes: \"{text}\"")),
            None => faults.add(self, format!("this must be a text, not {kind}")),
        };
        None
    }

    /// A whole number.
    pub fn whole(&self, faults: &mut Faults) -> Option<i64> {
        self.number(faults, "a whole number", Node::as_i64)
    }

    /// `true` or `false`.
    pub fn truth(&self, faults: &mut Faults) -> Option<bool> {
        self.number(faults, "true or false", Node::as_bool)
    }

    fn number<T>(&self, faults: &mut Faults, what: &str, read: impl Fn(&Node) -> Option<T>) -> Option<T> {
        let found = read(self.node);
        if found.is_none() {
            let quoted = matches!(self.node.value, Value::String { quoted: true, .. });
            let fault = faults.add(self, format!("this must be {what}, not {}", self.node.kind_name()));
            fault.value(self.node.scalar_text().unwrap_or_default());
            if quoted {
                fault.hint("leave out the quotes");
            }
        }
        found
    }

    /// Keys other than `known` are faults: near a known one errors, otherwise warnings, since a newer
    /// Kubernetes may know them. False if it is no mapping at all.
    pub fn only(&self, known: &[&'static str], faults: &mut Faults) -> bool {
        let Some(entries) = self.expect_map(faults) else { return false };
        for entry in entries {
            if known.contains(&&*entry.key) {
                continue;
            }
            let field = Field { at: entry.at, ..self.child(entry) };
            match suggest::nearest(&entry.key, known.iter().copied()) {
                Some(near) => {
                    faults.add(&field, "there is no such field").hint(format!("did you mean '{near}'?"));
                }
                None => faults.warn(&field, "there is no such field; it is passed over"),
            }
        }
        true
    }

    /// `spec.rules[0].host`
    pub fn path(&self) -> String {
        match self.step {
            Step::Root => String::new(),
            Step::Key(parent, key) => join(&parent.path(), key),
            Step::Index(parent, index) => format!("{}[{index}]", parent.path()),
        }
    }

    fn child<'b>(&'b self, entry: &'b Entry) -> Field<'b> {
        let at = if entry.value.is_null() { entry.at } else { entry.value.at };
        Field { node: &entry.value, at, step: Step::Key(self, &entry.key) }
    }

    fn expect_map(&self, faults: &mut Faults) -> Option<&'a [Entry]> {
        let entries = self.node.as_map();
        if entries.is_none() {
            faults.add(self, format!("this must be a mapping, not {}", self.node.kind_name()));
        }
        entries
    }
}

/// `spec` and `rules` are `spec.rules`; a key with a dot or a slash is told apart by brackets.
fn join(parent: &str, key: &str) -> String {
    if parent == "metadata.annotations" {
        format!("annotation {key}")
    } else if key.contains(['.', '/']) {
        format!("{parent}[{key}]")
    } else if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}

impl Fault {
    /// An error at `field`.
    pub fn new(field: &Field<'_>, text: impl Into<String>) -> Self {
        Self {
            field: field.path(),
            at: field.at,
            value: String::new(),
            text: text.into(),
            hint: String::new(),
            severity: Severity::Error,
        }
    }

    /// Shows the bad value.
    pub fn value(&mut self, value: &str) -> &mut Self {
        value.clone_into(&mut self.value);
        self
    }

    /// Says what to do.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = hint.into();
        self
    }

    /// As a problem of `subject`, in a document that has moved by `shift` lines since it was parsed.
    pub fn problem(&self, subject: &str, source: &Source, shift: i64) -> Problem {
        let line = i64::from(self.at.line).saturating_add(shift);
        let at = Pos { line: u32::try_from(line).unwrap_or(0), column: self.at.column };
        let problem = match self.severity {
            Severity::Error => Problem::error(subject, &*self.text),
            Severity::Warning => Problem::warning(subject, &*self.text),
        };
        problem.field(&*self.field).value(&self.value).hint(&*self.hint).at(source, at)
    }
}

impl Faults {
    /// An error at `field`, to be completed.
    pub fn add(&mut self, field: &Field<'_>, text: impl Into<String>) -> &mut Fault {
        let index = self.all.len();
        self.all.push(Fault::new(field, text));
        // The element pushed just now.
        #[expect(clippy::indexing_slicing, reason = "pushed in the line above")]
        &mut self.all[index]
    }

    /// A warning at `field`.
    pub fn warn(&mut self, field: &Field<'_>, text: impl Into<String>) {
        self.all.push(Fault { severity: Severity::Warning, ..Fault::new(field, text) });
    }

    /// Whether any of them refuses the object.
    pub fn refuse(&self) -> bool {
        self.all.iter().any(|fault| fault.severity == Severity::Error)
    }
}
