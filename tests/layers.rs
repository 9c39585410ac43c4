//! The order of the layers, enforced: a file imports only from rows below its own, never from a sibling part, and
//! the pure layers stay pure. `ARCHITECTURE.md` says why; this file says what.
//!
//! The sources are read as text, not compiled: comments and literals are blanked first, then every path that starts
//! at the crate's root (`crate::…`, in braces too, and `super::…` that climbs out of its part) counts as an import.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test binary: a failure here is the test's message"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. A module imports from earlier rows only; modules of one row are siblings.
const LAYERS: &[&[&str]] = &[
    &["ground"],
    &["model"],
    &["http1", "router"],
    &["exchange"],
    &["snapshot"],
    &["clock"],
    &["telemetry"],
    &["listener", "plugin", "provider", "upstream"],
    &["admin", "control", "proxy"],
    &["app", "whoami"],
    &["cli"],
    &["main"],
];

/// Layers without a runtime, files or a clock.
const PURE: &[&str] = &["ground", "model", "http1", "router", "exchange", "snapshot"];

/// What a pure layer may not say, beside `std::fs`.
const IMPURE: &[&str] = &["async", "tokio", "Instant::now", "SystemTime::now"];

/// The one home of `unsafe`: this module, as a file or as a folder.
const UNSAFE_HOME: &str = "plugin/raw";

#[test]
fn every_import_points_downward_and_pure_layers_stay_pure() {
    let tree = read_tree(&root().join("src"));
    let problems = check(&tree);
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn lib_rs_lists_the_layers_in_their_order() {
    let lib = blank(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    let listed: Vec<&str> =
        lib.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let ranks: Vec<usize> = listed
        .iter()
        .map(|name| rank(name).unwrap_or_else(|| panic!("module {name} is in no row of LAYERS")))
        .collect();
    assert!(ranks.is_sorted(), "src/lib.rs is not in layer order: {listed:?}");
}

#[test]
fn a_planted_violation_is_found() {
    let found = |path: &str, text: &str| check(&[(PathBuf::from(path), text.to_owned())]).len();
    let cases = [
        ("ground/a.rs", "use crate::model::route::Route;", 1),
        ("model/a.rs", "use crate::ground::net::CidrSet;", 0),
        ("router/a.rs", "use crate::http1::Head;", 1),
        ("plugin/a.rs", "use crate::telemetry::Metrics;", 0),
        ("plugin/a/b.rs", "use crate::{ground::net, upstream::{Pool, tls}, model::{route, chain}};", 1),
        ("admin/mod.rs", "fn f() { let _ = crate::proxy::serve(); }", 1),
        ("admin/mod.rs", "mod tests { use super::*; }", 0),
        ("admin/mod.rs", "use super::proxy::Proxy;", 1),
        ("admin/api/x.rs", "use super::super::super::control::Control;", 1),
        ("admin/api/x.rs", "use super::super::control::Control;", 0),
        ("admin/api/x/y.rs", "use super::super::super::control::Control;", 0),
        ("admin/api/mod.rs", "use super::super::control::Control;", 1),
        ("cli/mod.rs", "use crate::app::App;", 0),
        ("app.rs", "use crate::cli::Args;", 1),
        (
            "plugin/a.rs",
            "// use crate::proxy::X;\n/* crate::proxy::Y /* nested */ */ const S: &str = \"crate::proxy\";",
            0,
        ),
        (
            "plugin/a.rs",
            "const S: &str = r#\"crate::proxy::\"x\" \"#; const C: char = '\"'; use crate::proxy::X;",
            1,
        ),
        ("plugin/a.rs", "pub(crate) fn f<'a>(x: &'a str) -> &'a str { x }", 0),
        ("plugin/a.rs", "use crate::nowhere::X;", 1),
        ("main.rs", "use moongate::cli;", 0),
        ("ground/a.rs", "pub async fn f() {}", 1),
        ("ground/a.rs", "fn f() -> std::time::Instant { std::time::Instant :: now() }", 1),
        ("ground/a.rs", "#[cfg(test)]\nmod tests { fn f() { let _ = std::time::Instant::now(); } }", 0),
        ("ground/a.rs", "#[cfg(all(test, unix))]\n#[derive(Debug)]\nstruct S(tokio::X);\nfn g() {}", 0),
        ("ground/a.rs", "fn asynchronous() { let tokio_like = 1; }", 0),
        ("http1/a.rs", "use std::{fs, io};", 1),
        ("listener/a.rs", "async fn f() { let _ = std::fs::read(\"x\"); }", 0),
        ("listener/a.rs", "fn f() { unsafe { g() } }", 1),
        ("plugin/raw.rs", "fn f() { unsafe { g() } }", 0),
        ("plugin/raw/request.rs", "fn f() { unsafe { g() } }", 0),
        ("plugin/rawer.rs", "fn f() { unsafe { g() } }", 1),
        ("listener/a.rs", "#![allow(unsafe_code)]", 0),
    ];
    for (path, text, expected) in cases {
        assert_eq!(found(path, text), expected, "{path}: {text}");
    }
}

#[test]
fn a_file_that_is_only_compiled_for_tests_is_not_a_pure_layer() {
    let parent = (PathBuf::from("ground/net.rs"), "#[cfg(test)]\nmod tests;".to_owned());
    let tests = (PathBuf::from("ground/net/tests.rs"), "use std::fs;".to_owned());
    assert_eq!(check(&[parent.clone(), tests.clone()]), Vec::<String>::new());
    assert_eq!(check(&[tests]).len(), 1);
    let parent_is_mod = (PathBuf::from("ground/mod.rs"), parent.1);
    let beside = (PathBuf::from("ground/tests.rs"), "use std::fs;".to_owned());
    assert_eq!(check(&[parent_is_mod, beside]), Vec::<String>::new());
}

/// All problems of a tree of sources, one line each.
fn check(tree: &[(PathBuf, String)]) -> Vec<String> {
    let sources: Vec<(&Path, String)> =
        tree.iter().map(|(path, text)| (path.as_path(), blank(text))).collect();
    let test_files: BTreeSet<PathBuf> =
        sources.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let mut problems = Vec::new();
    for (path, text) in &sources {
        let part = part_of(path);
        if part == "lib" {
            continue;
        }
        check_imports(path, &part, text, &mut problems);
        if !test_files.contains(*path) {
            check_words(path, &part, &without_tests(text), &mut problems);
        }
    }
    problems
}

fn check_imports(path: &Path, part: &str, text: &str, problems: &mut Vec<String>) {
    let Some(own) = rank(part) else {
        problems.push(format!("src/{}: module `{part}` is in no row of LAYERS", path.display()));
        return;
    };
    for (at, target) in imports(path, text) {
        let line = line_of(text, at);
        let allowed = target == part || rank(&target).is_some_and(|other| other < own);
        if !allowed {
            let why = if rank(&target).is_none() { "is no layer" } else { "is not below it" };
            problems.push(format!("src/{}:{line}: `{part}` imports `{target}`, which {why}", path.display()));
        }
    }
}

fn check_words(path: &Path, part: &str, text: &str, problems: &mut Vec<String>) {
    let mut report = |at: Option<usize>, word: &str, why: &str| {
        if let Some(at) = at {
            problems.push(format!("src/{}:{}: `{word}` {why}", path.display(), line_of(text, at)));
        }
    };
    if PURE.contains(&part) {
        for word in IMPURE {
            report(find_word(text, word), word, "in a pure layer");
        }
        let files = use_trees(text, "std").into_iter().find(|(_, name)| name == "fs");
        report(files.map(|(at, _)| at), "std::fs", "in a pure layer");
    }
    if !path.starts_with(UNSAFE_HOME) && path.with_extension("") != Path::new(UNSAFE_HOME) {
        report(find_word(text, "unsafe"), "unsafe", "outside its one home");
    }
}

/// The row of a top-level module.
fn rank(part: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&part))
}

/// `router/host.rs` and `router.rs` belong to the part `router`.
fn part_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Names of top-level modules that a file names, each with its offset.
fn imports(path: &Path, text: &str) -> Vec<(usize, String)> {
    let mut found = use_trees(text, "crate");
    // `super::super::x`: how far a chain climbs depends on how deep the file's module lies.
    let depth = module_depth(path);
    let chain = "super::".repeat(depth);
    for (at, _) in text.match_indices(&chain) {
        let starts_chain = !text[..at].ends_with("super::") && !text[..at].ends_with(is_word);
        let rest = &text[at + chain.len()..];
        let inside_inline_module = inline_depth(text, at) > 0;
        if depth > 0 && starts_chain && !inside_inline_module && !rest.starts_with("super::") {
            found.extend(first_names(rest).into_iter().filter(|name| name != "*").map(|name| (at, name)));
        }
    }
    found
}

/// How many `super` lead from a file's module to the crate's root.
fn module_depth(path: &Path) -> usize {
    let parts = path.components().count();
    if path.ends_with("mod.rs") { parts - 1 } else { parts }
}

/// How many inline `mod x { … }` enclose an offset.
fn inline_depth(text: &str, at: usize) -> usize {
    let mut opened = Vec::new();
    let mut pending = false;
    for (index, word) in tokens(&text[..at]) {
        match word {
            "mod" => pending = true,
            ";" => pending = false,
            "{" => {
                opened.push(pending);
                pending = false;
            }
            "}" => {
                opened.pop();
            }
            _ => debug_assert!(index < at),
        }
    }
    opened.into_iter().filter(|is_mod| *is_mod).count()
}

/// First names below `head::`, written plainly or in braces.
fn use_trees(text: &str, head: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(head) {
        let (before, after) = (&text[..at], &text[at + head.len()..]);
        let whole_word = !before.ends_with(is_word) && !after.starts_with(is_word);
        // `x::std::y` does not start at the root; `::std::y` does.
        let is_root =
            before.trim_end().strip_suffix("::").is_none_or(|outer| !outer.trim_end().ends_with(is_word));
        if let (true, true, Some(rest)) = (whole_word, is_root, after.trim_start().strip_prefix("::")) {
            found.extend(first_names(rest).into_iter().map(|name| (at, name)));
        }
    }
    found
}

/// `a::b` is `a`; `{a::{b, c}, d as e}` is `a` and `d`.
fn first_names(text: &str) -> Vec<String> {
    let text = text.trim_start();
    let Some(inner) = text.strip_prefix('{') else {
        let name: String = text.chars().take_while(|c| is_word(*c)).collect();
        return Vec::from_iter((!name.is_empty()).then_some(name));
    };
    let mut names = Vec::new();
    let (mut depth, mut at_start) = (0_usize, true);
    for (_, token) in tokens(inner) {
        match token {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => at_start = true,
            name if at_start && depth == 0 => {
                names.push(name.to_owned());
                at_start = false;
            }
            _ => {}
        }
    }
    names
}

/// Words and single punctuation characters with their offsets.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(|c: char| !c.is_whitespace())?;
        let first = text[start..].chars().next()?;
        let length = if is_word(first) {
            text[start..].find(|c| !is_word(c)).unwrap_or(text.len() - start)
        } else {
            first.len_utf8()
        };
        rest = start + length;
        Some((start, &text[start..rest]))
    })
}

/// Files that a file includes for tests only: `#[cfg(test)] mod x;`.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder =
        if path.ends_with("mod.rs") { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    test_items(text)
        .into_iter()
        .filter_map(|(start, end)| {
            text[start..end].trim().strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name)
        })
        .flat_map(|name| [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")])
        .collect()
}

/// The text with its test-only items blanked.
fn without_tests(text: &str) -> String {
    let mut out = text.to_owned();
    for (start, end) in test_items(text) {
        out.replace_range(start..end, &blanks(&text[start..end]));
    }
    out
}

/// Spans of items under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn test_items(text: &str) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for marker in ["#[cfg(test)]", "#[cfg(all(test,"] {
        for (start, _) in text.match_indices(marker) {
            spans.push((start, start + item_length(&text[start..])));
        }
    }
    spans.sort_unstable();
    let mut end_of_last = 0;
    spans.retain(|(start, end)| {
        let outermost = *start >= end_of_last;
        end_of_last = end_of_last.max(*end);
        outermost
    });
    spans
}

/// Length of the item that starts here with its attributes: to its `;`, or to the brace that closes its body.
fn item_length(text: &str) -> usize {
    let (mut round, mut curly) = (0_usize, 0_usize);
    for (at, token) in tokens(text) {
        match token {
            "(" | "[" => round += 1,
            ")" | "]" => round = round.saturating_sub(1),
            "{" => curly += 1,
            "}" => {
                curly = curly.saturating_sub(1);
                if curly == 0 && round == 0 {
                    return at + 1;
                }
            }
            ";" if curly == 0 && round == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The source with comments and literals turned into blanks; offsets and line breaks stay.
fn blank(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let opaque = opaque_length(rest, out.ends_with(is_word));
        if opaque > 0 {
            out.push_str(&blanks(&rest[..opaque]));
            rest = &rest[opaque..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// Length of the comment or literal that starts here; 0 if none does.
fn opaque_length(text: &str, after_word: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment_length(text);
    }
    if let Some(content) = text.strip_prefix('"') {
        return 1 + quoted_length(content, '"');
    }
    if text.starts_with('\'') {
        return char_length(text);
    }
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r')).filter(|_| !after_word);
    raw.map_or(0, |body| raw_string_length(text, body))
}

fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length up to and with the closing quote, escapes stepped over.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && c == quote {
            return at + c.len_utf8();
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

/// `'x'` and `'\n'` are literals, `'a` is a lifetime.
fn char_length(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => 1 + quoted_length(&text[1..], '\''),
        (Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

/// `r"…"`, `r#"…"#`: to the quote with as many hashes.
fn raw_string_length(text: &str, body: &str) -> usize {
    let hashes = body.len() - body.trim_start_matches('#').len();
    let Some(content) = body[hashes..].strip_prefix('"') else { return 0 };
    let close = format!("\"{}", "#".repeat(hashes));
    let head = text.len() - content.len();
    content.find(&close).map_or(text.len(), |end| head + end + close.len())
}

fn blanks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' {
            out.push('\n');
        } else {
            // As many bytes as the character had, so that offsets stay.
            write!(out, "{:width$}", "", width = c.len_utf8()).unwrap();
        }
    }
    out
}

/// Offset of a word that stands alone; blanks around `::` do not hide it.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let pieces: Vec<&str> = word.split("::").collect();
    text.match_indices(pieces[0]).map(|(at, _)| at).find(|at| {
        if text[..*at].ends_with(is_word) {
            return false;
        }
        let mut rest = &text[*at + pieces[0].len()..];
        for piece in &pieces[1..] {
            let Some(after) = rest.trim_start().strip_prefix("::") else { return false };
            let Some(after) = after.trim_start().strip_prefix(piece) else { return false };
            rest = after;
        }
        !rest.starts_with(is_word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

/// Every Rust file below a folder, with its path from there.
fn read_tree(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("the source folder is readable") {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(folder).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
