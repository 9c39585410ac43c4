//! `moongate explain`: who answers a URL, and why not the others.

use super::args::Format;
use super::tone::{Tone, harmless};
use crate::model::explain::ExplainReport;
use std::fmt::Write;

/// The report, in the wanted form.
pub(super) fn text(report: &ExplainReport, format: Format, tone: Tone) -> String {
    if format == Format::Json {
        return serde_json::to_string_pretty(report).map(|text| text + "\n").unwrap_or_default();
    }
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "{} {}", tone.bold(&format!("{name:<11}")), harmless(value));
    };
    row("URL", &report.url);
    row("entrypoint", &report.entrypoint);
    row("route", report.route.as_deref().unwrap_or("none: 404"));
    if let Some(reason) = &report.reason {
        row("because", reason);
    }
    if report.route.is_some() {
        row("plugins", &listed(&report.plugins, " -> "));
        row("backend", report.backend.as_deref().unwrap_or("none: 503"));
        row("endpoints", &listed(&report.endpoints, ", "));
    }
    for (index, other) in report.others.iter().enumerate() {
        row(if index == 0 { "not" } else { "" }, &format!("{}: {}", other.route, other.why_not));
    }
    for problem in &report.problems {
        let _infallible = writeln!(out, "{}", tone.yellow(&harmless(&problem.to_string())));
    }
    out
}

fn listed<S: AsRef<str>>(items: &[S], between: &str) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::explain::Other;

    #[test]
    fn a_report_reads_from_top_to_bottom() {
        let report = ExplainReport {
            url: "http://h.io/a".into(),
            entrypoint: "http".into(),
            route: Some("default/web/h.io/a".into()),
            plugins: vec!["whitelist".into(), "basic-auth".into()],
            backend: Some("default/web:80".into()),
            endpoints: vec!["10.0.0.5:8080".into()],
            others: vec![
                Other { route: "default/web/h.io/".into(), why_not: "its path is shorter".into() },
                Other { route: "x\x1b".into(), why_not: "other host".into() },
            ],
            ..ExplainReport::default()
        };
        assert_eq!(
            text(&report, Format::Text, Tone::Plain),
            "URL         http://h.io/a\nentrypoint  http\nroute       default/web/h.io/a\n\
             plugins     whitelist -> basic-auth\nbackend     default/web:80\nendpoints   10.0.0.5:8080\n\
             not         default/web/h.io/: its path is shorter\n            x\\u{1b}: other host\n"
        );
        let json: serde_json::Value =
            serde_json::from_str(&text(&report, Format::Json, Tone::Plain)).unwrap();
        assert_eq!(json["others"][0]["why_not"], "its path is shorter");
    }

    #[test]
    fn no_route_says_so() {
        let report =
            ExplainReport { reason: Some("no rule has this host".into()), ..ExplainReport::default() };
        let text = text(&report, Format::Text, Tone::Plain);
        assert!(text.contains("route       none: 404\nbecause     no rule has this host\n"), "{text}");
    }
}
