//! Why one object, annotation, plugin or flag was set aside. A problem never stops the others.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something that was asked for is not done.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

/// A place in a file: 1-based line and column, as editors count. Line 0 means "no place known".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Pos {
    /// 1-based line, 0 where the source has no places (a cluster's API).
    pub line: u32,
    /// 1-based column in characters.
    pub column: u32,
}

/// Where a text came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// A file's path as the user said it; empty for a cluster's object.
    pub file: Arc<str>,
}

impl Source {
    /// `file:line:column`, or nothing where no place is known.
    pub fn at(&self, pos: Pos) -> Option<String> {
        match (self.file.is_empty(), pos.line) {
            (true, _) => None,
            (false, 0) => Some(self.file.to_string()),
            (false, line) => Some(format!("{}:{line}:{}", self.file, pos.column)),
        }
    }
}

/// One problem, as `check`, the log and `GET /api/problems` show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Problem {
    /// What it is about: `Ingress default/web`, `plugin stamp`, `entrypoint http`.
    pub subject: String,
    /// The field at fault: `spec.rules[0].host`, `annotation x/y`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The bad value, as given (never of a Secret).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Error or warning.
    pub severity: Severity,
    /// `web.yaml:12:7`, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl Problem {
    /// An error about `subject`.
    pub fn error(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            field: String::new(),
            value: String::new(),
            text: text.into(),
            hint: String::new(),
            severity: Severity::Error,
            at: None,
        }
    }

    /// A warning about `subject`.
    pub fn warning(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(subject, text) }
    }

    /// Names the field at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// Shows the bad value (cut to 200 characters; control characters are escaped).
    #[must_use]
    pub fn value(mut self, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        let mut text: String = value
            .chars()
            .take(200)
            .flat_map(|c| {
                let escaped: Vec<char> = if c.is_control() { c.escape_default().collect() } else { vec![c] };
                escaped
            })
            .collect();
        if value.chars().nth(200).is_some() {
            text.push('…');
        }
        self.value = text;
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, source: &Source, pos: Pos) -> Self {
        self.at = source.at(pos);
        self
    }
}

impl fmt::Display for Problem {
    /// `web.yaml:12:7: error: Ingress default/web: annotation x/y: 'v': text (hint)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}: ", self.subject)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        if !self.value.is_empty() {
            write!(f, "'{}': ", self.value)?;
        }
        f.write_str(&self.text)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_sentence_with_its_place() {
        let source = Source { file: "web.yaml".into() };
        let problem = Problem::error("Ingress default/web", "prefix length is 0..32")
            .field("annotation a/b")
            .value("1.2.3.0/240")
            .hint("write 1.2.3.0/24")
            .at(&source, Pos { line: 12, column: 7 });
        assert_eq!(
            problem.to_string(),
            "web.yaml:12:7: error: Ingress default/web: annotation a/b: '1.2.3.0/240': prefix length is 0..32 (write 1.2.3.0/24)"
        );
    }

    #[test]
    fn values_are_cut_and_control_characters_shown() {
        let problem = Problem::error("x", "y").value(format!("a\n{}", "b".repeat(300)));
        assert!(problem.value.starts_with("a\\nb"));
        assert!(problem.value.ends_with('…'));
    }
}
