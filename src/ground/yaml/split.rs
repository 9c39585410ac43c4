//! A file into its documents, before any of them is parsed: a document is then parsed, remembered and refused
//! alone.

/// One document's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// Its text, from its `---` on.
    pub text: &'a str,
    /// How many lines of the file stand before it.
    pub lines_before: u32,
}

/// What the document at hand holds so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Comments and blank lines.
    Nothing,
    /// Directives (`%YAML 1.2`), which belong to the marker below them.
    Directives,
    /// A value.
    Body,
}

/// Splits a file at the lines that begin with the marker `---`. No scalar may hold such a line (YAML 1.2, 9.1.2),
/// so no parsing is needed. Documents without any content (comments, blank lines) are left out.
pub fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let mut close = |from: usize, to: usize, lines_before: u32, holds: Holds| {
        if let (true, Some(text)) = (holds != Holds::Nothing, text.get(from..to)) {
            documents.push(Document { text, lines_before });
        }
    };
    let (mut start, mut start_line) = (0, 0);
    let (mut offset, mut line_number) = (0, 0);
    let mut holds = Holds::Nothing;
    for line in text.split_inclusive('\n') {
        if is_marker(line) {
            if holds != Holds::Directives {
                close(start, offset, start_line, holds);
                (start, start_line) = (offset, line_number);
                holds = Holds::Nothing;
            }
            if holds == Holds::Directives || !is_blank(line.get(3..).unwrap_or_default()) {
                holds = Holds::Body;
            }
        } else if line.starts_with('%') && holds == Holds::Nothing {
            holds = Holds::Directives;
        } else if holds != Holds::Body && !is_blank(line) {
            holds = Holds::Body;
        }
        offset += line.len();
        line_number += 1;
    }
    close(start, text.len(), start_line, holds);
    documents
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Blank, a comment, or the end marker.
fn is_blank(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    line.is_empty() || line.starts_with('#') || line == "..."
}
