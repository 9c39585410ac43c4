//! `moongate check`: problems as text, JSON or GitHub annotations.

use super::args::Format;
use super::tone::{Tone, harmless};
use crate::ground::problem::{Problem, Severity};
use std::fmt::Write;

/// All of them, in the wanted form.
pub(super) fn text(problems: &[Problem], format: Format, tone: Tone) -> String {
    match format {
        Format::Text => plain(problems, tone),
        Format::Json => {
            let value = serde_json::json!({ "ok": problems.is_empty(), "problems": problems });
            format!("{value:#}\n")
        }
        Format::Github => problems.iter().map(annotation).collect(),
    }
}

fn plain(problems: &[Problem], tone: Tone) -> String {
    let mut text = String::new();
    for problem in problems {
        let line = harmless(&problem.to_string());
        let (word, painted) = match problem.severity {
            Severity::Error => ("error: ", tone.red("error: ")),
            Severity::Warning => ("warning: ", tone.yellow("warning: ")),
        };
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{}", line.replacen(word, &painted, 1));
    }
    text.push_str(&summary(problems, tone));
    text
}

fn summary(problems: &[Problem], tone: Tone) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    let count = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let parts: Vec<String> = count(errors, "error").into_iter().chain(count(warnings, "warning")).collect();
    if parts.is_empty() {
        format!("{}\n", tone.green("no problem found"))
    } else {
        format!("{}\n", tone.bold(&parts.join(", ")))
    }
}

/// `::error file=web.yaml,line=12,col=7::text`
fn annotation(problem: &Problem) -> String {
    let level = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = problem.at.as_deref().map(place).unwrap_or_default();
    let message = Problem { at: None, ..problem.clone() }.to_string();
    let message = message.strip_prefix(level).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&message);
    format!("::{level}{place}::{}\n", escaped(message))
}

/// `file:line:column`, as far as it is there.
fn place(at: &str) -> String {
    let mut parts = at.rsplitn(3, ':');
    let (column, line, file) = (parts.next(), parts.next(), parts.next());
    match (file, line.map(str::parse::<u32>), column.map(str::parse::<u32>)) {
        (Some(file), Some(Ok(line)), Some(Ok(column))) => {
            format!(" file={},line={line},col={column}", property(file))
        }
        _ => format!(" file={}", property(at)),
    }
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::problem::{Pos, Source};

    fn problems() -> Vec<Problem> {
        let source = Source { file: "web,1.yaml".into() };
        vec![
            Problem::error("Ingress default/web", "prefix length is 0..32")
                .field("annotation a/b")
                .value("1.2.3.0/240")
                .at(&source, Pos { line: 12, column: 7 }),
            Problem::warning("plugin stamp", "100%\n::error::injected \x1b[31m"),
        ]
    }

    #[test]
    fn text_is_a_line_each_and_a_count() {
        assert_eq!(
            text(&problems(), Format::Text, Tone::Plain),
            "web,1.yaml:12:7: error: Ingress default/web: annotation a/b: '1.2.3.0/240': prefix length is 0..32\n\
             warning: plugin stamp: 100%\\n::error::injected \\u{1b}[31m\n1 error, 1 warning\n"
        );
        assert_eq!(text(&[], Format::Text, Tone::Plain), "no problem found\n");
        assert!(text(&problems(), Format::Text, Tone::Colour).contains("\x1b[31merror: \x1b[0mIngress"));
    }

    #[test]
    fn github_annotations_are_one_line_each_whatever_is_in_them() {
        assert_eq!(
            text(&problems(), Format::Github, Tone::Plain),
            "::error file=web%2C1.yaml,line=12,col=7::Ingress default/web: annotation a/b: '1.2.3.0/240': \
             prefix length is 0..32\n::warning::plugin stamp: 100%25%0A::error::injected \x1b[31m\n"
        );
        assert_eq!(place("configmap a/b/c"), " file=configmap a/b/c");
    }

    #[test]
    fn json_says_whether_all_is_well() {
        let value: serde_json::Value =
            serde_json::from_str(&text(&problems(), Format::Json, Tone::Plain)).unwrap();
        assert_eq!(value["ok"], false);
        assert_eq!(value["problems"][0]["at"], "web,1.yaml:12:7");
    }
}
