use super::*;
use crate::ground::problem::Pos;
use proptest::prelude::*;
use std::fmt::Write as _;

/// A compact form: what a table can show.
fn show(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth, _) => truth.to_string(),
        Value::Int(number, _) => number.to_string(),
        Value::Float(number, _) => format!("{number:?}"),
        Value::String { text, .. } => format!("{text:?}"),
        Value::Seq(elements) => format!("[{}]", elements.iter().map(show).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|entry| format!("{}:{}", entry.key, show(&entry.value))).collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

fn check(text: &str, want: &str) {
    let got = match parse(text) {
        Ok(documents) => documents.iter().map(show).collect::<Vec<_>>().join(" "),
        Err(error) => format!("{}:{}: {}", error.at.line, error.at.column, error.text),
    };
    assert_eq!(got, want, "{text}");
}

#[test]
fn plain_scalars_mean_what_kubernetes_means() {
    for (text, want) in [
        ("x", "\"x\""),
        ("", ""),
        ("~", "null"),
        ("null", "null"),
        ("nullx", "\"nullx\""),
        ("true", "true"),
        ("off", "false"),
        ("Yes", "true"),
        ("n", "false"),
        ("tRUE", "\"tRUE\""),
        ("'on'", "\"on\""),
        ("80", "80"),
        ("-7", "-7"),
        ("+7", "7"),
        ("0x50", "80"),
        ("0o17", "15"),
        ("010", "8"),
        ("08", "8.0"),
        ("1_000", "1000"),
        ("--1", "\"--1\""),
        ("9223372036854775808", "9.223372036854776e18"),
        ("1.5", "1.5"),
        ("1e3", "1000.0"),
        (".5", "0.5"),
        ("-.inf", "-inf"),
        ("1.2.3.4", "\"1.2.3.4\""),
        ("1h", "\"1h\""),
        ("2026-11-23T08:00:00Z", "\"2026-11-23T08:00:00Z\""),
        ("22:10", "\"22:10\""),
        (".", "\".\""),
        ("-", "[null]"),
        ("\"80\"", "\"80\""),
        ("!!str 80", "\"80\""),
        ("!!int \"80\"", "80"),
        ("! 80", "\"80\""),
    ] {
        check(text, want);
    }
}

#[test]
fn collections_anchors_and_merges() {
    for (text, want) in [
        ("a: [1, {b: c}]\nd:\n- e\n-\n", "{a:[1,{b:\"c\"}],d:[\"e\",null]}"),
        ("{\"a\": {\"b\": [1, true, null, \"x\\u0041\"]}}", "{a:{b:[1,true,null,\"xA\"]}}"),
        ("a: 1\n---\nb: 2\n", "{a:1} {b:2}"),
        ("a: &x {p: 1}\nb: *x\n", "{a:{p:1},b:{p:1}}"),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\n", "{a:{p:1,q:2},b:{q:3,p:1}}"),
        ("b: {<<: [{p: 1}, {p: 2, q: 2}]}\n", "{b:{p:1,q:2}}"),
        ("a: |\n  one\n  two\n", "{a:\"one\\ntwo\\n\"}"),
        ("1: a\n", "{1:\"a\"}"),
    ] {
        check(text, want);
    }
}

#[test]
fn errors_have_their_place() {
    for (text, want) in [
        ("a: 1\nb: 2\na: 3\n", "3:1: the key 'a' is given twice (first in line 1)"),
        ("a: [1\nb: 2", "2:2: this is not YAML: illegal placement of ':' indicator"),
        ("a: *x\n", "1:4: this is not YAML: while parsing node, found unknown anchor"),
        ("a: &x [*x]\n", "1:8: this alias stands inside of what it repeats"),
        ("? [a]\n: b\n", "1:3: a key must be a text"),
        ("a: !env HOME\n", "1:4: the tag !env is not known here"),
        ("a: !!int x\n", "1:4: 'x' is no value of the tag !!int"),
        ("<<: 3\n", "1:1: '<<' takes a mapping or a list of mappings"),
        (": 3\n", "1:1: a key is missing before ':'"),
    ] {
        check(text, want);
    }
}

#[test]
fn places_are_those_of_the_file() {
    let text = "# first\na:\n  ü: [x, 'y']\n";
    let root = parse_from(text, 10).unwrap().remove(0);
    assert_eq!(root.at, Pos { line: 12, column: 1 });
    let entry = &root.get("a").unwrap().as_map().unwrap()[0];
    assert_eq!(entry.at, Pos { line: 13, column: 3 });
    assert_eq!(entry.value.as_seq().unwrap()[1].at, Pos { line: 13, column: 10 });
}

#[test]
fn large_mappings_find_doubled_keys_too() {
    let mut text = String::new();
    for n in 0..100 {
        writeln!(text, "k{n}: {n}").unwrap();
    }
    assert!(parse(&text).is_ok());
    check(&format!("{text}k99: 1\n"), "101:1: the key 'k99' is given twice (first in line 100)");
    check(&format!("{text}k3: 1\n"), "101:1: the key 'k3' is given twice (first in line 4)");
}

#[test]
fn deep_nesting_is_refused() {
    for open in ["[", "{a: ", "- ", "? "] {
        let error = parse(&open.repeat(200)).unwrap_err();
        assert!(!error.text.is_empty(), "{open}");
    }
    check(&"- ".repeat(65), "1:129: nested deeper than 64");
}

#[test]
fn billion_laughs_are_refused() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..10 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        writeln!(text, "a{n}: &a{n} [{aliases}]").unwrap();
    }
    check(&text, "5:25: aliases repeat too much: more than 4 MiB in one document");
}

#[test]
fn a_file_is_split_at_its_markers() {
    let parts = |text: &'static str| -> Vec<(u32, &'static str)> {
        split(text).iter().map(|document| (document.lines_before, document.text)).collect()
    };
    for (text, want) in [
        ("a: 1\n", vec![(0, "a: 1\n")]),
        ("a: 1\n---\nb: 2\n", vec![(0, "a: 1\n"), (1, "---\nb: 2\n")]),
        ("---\n---\n# c\n--- \na: 1", vec![(3, "--- \na: 1")]),
        ("a: 1\n---x\n", vec![(0, "a: 1\n---x\n")]),
        ("a: |\n  ---\n  x\n", vec![(0, "a: |\n  ---\n  x\n")]),
        ("%YAML 1.2\n---\na: 1\n---\nb: 1\n", vec![(0, "%YAML 1.2\n---\na: 1\n"), (3, "---\nb: 1\n")]),
        ("--- {a: 1}\n--- {b: 2}\n", vec![(0, "--- {a: 1}\n"), (1, "--- {b: 2}\n")]),
        ("a: 1\r\n---\r\nb: 2\r\n", vec![(0, "a: 1\r\n"), (1, "---\r\nb: 2\r\n")]),
        ("# only a comment\n...\n\n", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(parts(text), want, "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(text in ".{0,200}") {
        let _ignored = parse(&text);
    }

    #[test]
    fn no_input_of_yaml_s_own_signs_makes_it_panic(text in "[-\\[\\]{}:,?&*!|>'\"%#@` \\t\\r\\n\\\\a0.~<\u{feff}]{0,60}") {
        let _ignored = parse(&text);
        for document in split(&text) {
            let _ignored = parse_from(document.text, document.lines_before);
        }
    }
}
