//! Documents that keep up with the code: every flag, every bundled plugin and every metric has its line of text.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test binary: a failure here is the test's message"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Flags that need no text of their own.
const SELF_EVIDENT: &[&str] = &["--help", "--version"];

#[test]
fn every_flag_of_serve_is_in_the_readme_or_in_docs() {
    let help = Command::new(env!("CARGO_BIN_EXE_moongate")).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let text = documents();
    let missing: Vec<String> = flags(&help).into_iter().filter(|flag| !mentions(&text, flag)).collect();
    assert!(missing.is_empty(), "no line about {missing:?} in README.md or docs/");
}

#[test]
fn every_bundled_plugin_says_what_it_does_and_is_in_docs() {
    let text = documents();
    for (path, source) in files_below(&root().join("plugins"), "lua") {
        // A plugin's own text is one of its fields; `moongate docs` prints the reference from it.
        let name =
            field(&source, "name").unwrap_or_else(|| panic!("{} has no `name = \"…\"`", path.display()));
        assert!(
            source.lines().any(|line| line.trim_start().starts_with("doc =")),
            "{}: the plugin `{name}` has no `doc`",
            path.display()
        );
        assert!(
            text.is_empty() || mentions(&text, &name),
            "no line about the bundled plugin `{name}` in README.md or docs/"
        );
    }
}

#[test]
fn metrics_in_the_code_and_metrics_in_docs_are_the_same() {
    let Ok(page) = fs::read_to_string(root().join("docs/metrics.md")) else {
        assert!(!root().join("docs").exists(), "docs/ has no metrics.md");
        return;
    };
    let sources = files_below(&root().join("src"), "rs");
    let in_code: BTreeSet<String> = sources.iter().flat_map(|(_, source)| quoted_metrics(source)).collect();
    let in_docs: BTreeSet<String> = metric_names(&page).map(|name| family(&name)).collect();
    let undocumented: Vec<&String> = in_code.difference(&in_docs).collect();
    let invented: Vec<&String> = in_docs.difference(&in_code).collect();
    assert!(undocumented.is_empty(), "docs/metrics.md has no line about {undocumented:?}");
    assert!(invented.is_empty(), "docs/metrics.md tells of {invented:?}, which no code says");
}

#[test]
fn names_are_taken_from_text_as_meant() {
    assert_eq!(
        Vec::from_iter(flags("  -v, --log-level <LEVEL>  as in `--strict`\n      --vip\n")),
        ["--log-level", "--vip"]
    );
    assert!(mentions("`--to HOST`", "--to"));
    assert!(!mentions("`--tolerant`", "--to"));
    let code = "const A: &str = \"moongate_requests_total\"; // moongate_comment_total\nwriteln!(f, \"moongate_up{{a}} 1\")";
    assert_eq!(quoted_metrics(code), ["moongate_requests_total", "moongate_up"]);
    assert_eq!(family("moongate_request_duration_seconds_bucket"), "moongate_request_duration_seconds");
    assert_eq!(field("return plugin {\n  name = \"whitelist\",\n}", "name").as_deref(), Some("whitelist"));
}

/// Flags that a help text introduces: lines that begin with one.
fn flags(help: &str) -> BTreeSet<String> {
    help.lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .flat_map(|line| line.split([' ', ',', '=']).take(3))
        .filter(|word| word.starts_with("--") && word.len() > 2 && !SELF_EVIDENT.contains(word))
        .map(str::to_owned)
        .collect()
}

/// A word that is not only the beginning of a longer one.
fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let after = text.get(at + word.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_')
    })
}

/// Metric families that begin a string literal.
fn quoted_metrics(source: &str) -> Vec<String> {
    source
        .split('"')
        .skip(1)
        .filter_map(|text| metric_names(text).next().filter(|name| text.starts_with(name.as_str())))
        .filter(|name| !name.ends_with('_'))
        .map(|name| family(&name))
        .collect()
}

/// Every `moongate_…` of a text.
fn metric_names(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("moongate_"))
        .map(str::to_owned)
}

/// A histogram's series belong to one family.
fn family(name: &str) -> String {
    let suffix = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    suffix.unwrap_or(name).to_owned()
}

/// `name = "value"` of a Lua table, its first occurrence.
fn field(source: &str, name: &str) -> Option<String> {
    source.lines().find_map(|line| {
        let value = line.trim_start().strip_prefix(name)?.trim_start().strip_prefix('=')?;
        value.trim().trim_end_matches(',').strip_prefix('"')?.strip_suffix('"').map(str::to_owned)
    })
}

/// README.md and everything below docs/, as one text.
fn documents() -> String {
    let mut text = fs::read_to_string(root().join("README.md")).unwrap_or_default();
    for (_, page) in files_below(&root().join("docs"), "md") {
        text.push('\n');
        text.push_str(&page);
    }
    text
}

/// Files with an extension below a folder; none if there is no such folder.
fn files_below(folder: &Path, extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).expect("sources and documents are UTF-8");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
