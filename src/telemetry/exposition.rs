//! Prometheus' text format 0.0.4: families of samples, labels escaped. Knows no metric.

use std::fmt::{Display, Write};

/// What `Content-Type` to serve it as.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a family's samples behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, a sum and a count.
    Histogram,
}

/// A page being written.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a family. All of its samples follow before the next one begins.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { page: self, name }
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _infallible = self.text.write_fmt(text);
    }
}

/// A family being written.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    /// One sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, value)
    }

    /// A histogram's samples: upper `bounds` as they are shown, counts per bucket (one more than bounds, not
    /// cumulative) and the sum of what was measured.
    pub fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        bounds: &[impl Display],
        counts: &[u64],
        sum: impl Display,
    ) {
        let mut total = 0_u64;
        let shown = bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in shown.zip(counts) {
            total += count;
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.line("_bucket", &labels, total);
        }
        self.line("_sum", labels, sum);
        self.line("_count", labels, total);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let name = self.name;
        self.page.put(format_args!("{name}{suffix}"));
        for (index, (label, text)) in labels.iter().enumerate() {
            self.page.put(format_args!("{}{label}=\"", if index == 0 { '{' } else { ',' }));
            for c in text.chars() {
                match c {
                    '\\' => self.page.text.push_str("\\\\"),
                    '"' => self.page.text.push_str("\\\""),
                    '\n' => self.page.text.push_str("\\n"),
                    c => self.page.text.push(c),
                }
            }
            self.page.text.push('"');
        }
        self.page.put(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_families_of_samples_with_escaped_labels() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "Things.")
            .sample(&[("x", "1"), ("y", "a\"b\\c\nd")], 3)
            .sample(&[("x", "2"), ("y", "")], 4);
        page.single("b", Kind::Gauge, "Level.", 0.5);
        page.family("c_seconds", Kind::Histogram, "Time.").histogram(
            &[("r", "q")],
            &[0.1, 1.0],
            &[2, 3, 4],
            9.25,
        );
        assert_eq!(
            page.finish(),
            "# HELP a_total Things.\n# TYPE a_total counter\n\
             a_total{x=\"1\",y=\"a\\\"b\\\\c\\nd\"} 3\na_total{x=\"2\",y=\"\"} 4\n\
             # HELP b Level.\n# TYPE b gauge\nb 0.5\n\
             # HELP c_seconds Time.\n# TYPE c_seconds histogram\n\
             c_seconds_bucket{r=\"q\",le=\"0.1\"} 2\nc_seconds_bucket{r=\"q\",le=\"1\"} 5\n\
             c_seconds_bucket{r=\"q\",le=\"+Inf\"} 9\nc_seconds_sum{r=\"q\"} 9.25\nc_seconds_count{r=\"q\"} 9\n"
        );
    }
}
