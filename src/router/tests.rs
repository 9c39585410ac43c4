//! The official matching table (Kubernetes documentation), the scenarios of ingress-controller-conformance, and
//! what Moongate says beyond them.

use super::{Rank, Router, Rule, Slot};
use crate::ground::names::{EntryPoints, HostPattern, ObjectName};
use crate::model::route::PathMatch::{self, Exact, Prefix};
use std::sync::Arc;

const HTTP: EntryPoints = EntryPoints::one(0);
const HTTPS: EntryPoints = EntryPoints::one(1);

fn host(text: &str) -> HostPattern {
    match text.strip_prefix("*.") {
        _ if text.is_empty() => HostPattern::Any,
        Some(name) => HostPattern::Wildcard(name.into()),
        None => HostPattern::Exact(text.into()),
    }
}

fn path_slot(pattern: &str, path: &str, path_match: PathMatch) -> Slot {
    Slot::Path { host: host(pattern), path: path.into(), path_match }
}

fn rule(rank: Rank, entrypoints: EntryPoints, value: &str) -> Rule<String> {
    Rule { rank, entrypoints, value: Arc::new(value.to_owned()) }
}

/// A router of `(host, kind, path)` rules, each leading to the text `host kind path`.
fn router(rules: &[(&str, PathMatch, &str)]) -> Router<String> {
    let mut router = Router::default();
    for (pattern, path_match, path) in rules {
        let value = format!("{pattern} {path_match:?} {path}");
        let rank = Rank::of_path(0, path, *path_match);
        router.set(&path_slot(pattern, path, *path_match), vec![rule(rank, EntryPoints::ALL, &value)]);
    }
    router
}

fn found<'a>(router: &'a Router<String>, host: &str, path: &str) -> Option<&'a str> {
    router.find(HTTP, host, path).map(|value| value.as_str())
}

fn check(rules: &[(PathMatch, &str)], path: &str, expected: Option<(PathMatch, &str)>) {
    let rules: Vec<_> = rules.iter().map(|(path_match, path)| ("h.io", *path_match, *path)).collect();
    let expected = expected.map(|(path_match, path)| format!("h.io {path_match:?} {path}"));
    assert_eq!(found(&router(&rules), "h.io", path), expected.as_deref(), "{rules:?} {path}");
}

#[test]
fn the_official_table_holds() {
    for path in ["/", "/foo", "/foo/", "/a/b"] {
        check(&[(Prefix, "/")], path, Some((Prefix, "/")));
    }
    check(&[(Exact, "/foo")], "/foo", Some((Exact, "/foo")));
    for path in ["/bar", "/foo/", "/FOO", "/", "/foo/bar"] {
        check(&[(Exact, "/foo")], path, None);
    }
    check(&[(Exact, "/foo/")], "/foo", None);
    check(&[(Exact, "/foo/")], "/foo/", Some((Exact, "/foo/")));
    for rule in [(Prefix, "/foo"), (Prefix, "/foo/")] {
        for path in ["/foo", "/foo/", "/foo/x"] {
            check(&[rule], path, Some(rule));
        }
        check(&[rule], "/FOO", None);
        check(&[rule], "/fo", None);
    }
    check(&[(Prefix, "/aaa/bb")], "/aaa/bbb", None);
    check(&[(Prefix, "/aaa/bbb")], "/aaa/bbb", Some((Prefix, "/aaa/bbb")));
    check(&[(Prefix, "/aaa/bbb/")], "/aaa/bbb", Some((Prefix, "/aaa/bbb/")));
    for path in ["/aaa/bbb/", "/aaa/bbb/ccc"] {
        check(&[(Prefix, "/aaa/bbb")], path, Some((Prefix, "/aaa/bbb")));
    }
    check(&[(Prefix, "/aaa/bbb")], "/aaa/bbbxyz", None);
    let nested = [(Prefix, "/"), (Prefix, "/aaa"), (Prefix, "/aaa/bbb")];
    check(&nested, "/aaa/ccc", Some((Prefix, "/aaa")));
    check(&nested, "/aaa/bbb", Some((Prefix, "/aaa/bbb")));
    check(&nested, "/ccc", Some((Prefix, "/")));
    check(&[(Prefix, "/aaa")], "/ccc", None);
    check(&[(Prefix, "/foo"), (Exact, "/foo")], "/foo", Some((Exact, "/foo")));
    check(&[(Prefix, "/foo"), (Exact, "/foo")], "/foo/", Some((Prefix, "/foo")));
    check(&[(Prefix, "/foo"), (Prefix, "/foo/")], "/foo", Some((Prefix, "/foo/")));
    check(&[(Prefix, "/foo"), (Prefix, "/foo/")], "/foo/", Some((Prefix, "/foo/")));
}

#[test]
fn conformance_scenarios_hold() {
    let paths = [(Prefix, "/aaa/bbb"), (Prefix, "/aaa")];
    check(&paths, "/aaa/bbb", Some((Prefix, "/aaa/bbb")));
    check(&paths, "/aaa/bbb/ccc", Some((Prefix, "/aaa/bbb")));
    check(&paths, "/aaa/ccc", Some((Prefix, "/aaa")));
    check(&paths, "/aaaccc", None);
    let hosts = router(&[("foo.bar.com", Prefix, "/"), ("*.foo.com", Prefix, "/")]);
    assert_eq!(found(&hosts, "foo.bar.com", "/"), Some("foo.bar.com Prefix /"));
    assert_eq!(found(&hosts, "bar.foo.com", "/"), Some("*.foo.com Prefix /"));
    for none in ["subdomain.bar.com", "baz.bar.foo.com", "foo.com", ".foo.com", "", "com"] {
        assert_eq!(found(&hosts, none, "/"), None, "{none}");
    }
}

#[test]
fn a_host_that_matched_does_not_fall_to_a_wider_one() {
    let router = router(&[("a.foo.com", Prefix, "/only"), ("*.foo.com", Prefix, "/wild"), ("", Prefix, "/")]);
    assert_eq!(found(&router, "a.foo.com", "/only"), Some("a.foo.com Prefix /only"));
    assert_eq!(found(&router, "a.foo.com", "/wild"), None);
    assert_eq!(found(&router, "b.foo.com", "/wild"), Some("*.foo.com Prefix /wild"));
    assert_eq!(found(&router, "b.foo.com", "/"), None);
    assert_eq!(found(&router, "other", "/"), Some(" Prefix /"));
    assert_eq!(found(&router, "", "/"), Some(" Prefix /"));
    assert_eq!(router.matched(HTTP, "b.foo.com"), Some(host("*.foo.com")));
}

#[test]
fn a_host_is_matched_only_on_the_entrypoints_of_its_rules() {
    let mut router = router(&[("", Prefix, "/")]);
    let secure = path_slot("h.io", "/", Prefix);
    router.set(&secure, vec![rule(Rank::of_path(0, "/", Prefix), HTTPS, "secure")]);
    assert_eq!(found(&router, "h.io", "/"), Some(" Prefix /"));
    assert_eq!(router.find(HTTPS, "h.io", "/").map(|value| value.as_str()), Some("secure"));
    router.set_bare(&host("h.io"), EntryPoints::ALL);
    assert_eq!(found(&router, "h.io", "/"), None);
    router.set_bare(&host("h.io"), EntryPoints::NONE);
    router.set(&secure, Vec::new());
    assert_eq!(router.find(HTTPS, "h.io", "/").map(|value| value.as_str()), Some(" Prefix /"));
}

#[test]
fn priority_beats_path_and_age_decides_between_equals() {
    let mut router = router(&[("h.io", Prefix, "/long/path"), ("h.io", Exact, "/long")]);
    let by = |name: &str, created: Option<i64>, priority: i64| {
        let rank = Rank::of_path(priority, "/", Prefix).from_ingress(created, ObjectName::new("ns", name), 0);
        rule(rank, EntryPoints::ALL, name)
    };
    let slot = path_slot("h.io", "/", Prefix);
    router.set(&slot, vec![by("young", None, 0), by("b", Some(7), 0), by("a", Some(7), 0)]);
    assert_eq!(found(&router, "h.io", "/"), Some("a"));
    assert_eq!(found(&router, "h.io", "/long/path"), Some("h.io Prefix /long/path"));
    router.set(&slot, vec![by("young", None, 1), by("a", Some(7), 0)]);
    for path in ["/", "/long", "/long/path/x"] {
        assert_eq!(found(&router, "h.io", path), Some("young"), "{path}");
    }
}

#[test]
fn defaults_answer_where_no_path_does() {
    let mut router = router(&[("h.io", Prefix, "/app"), ("", Prefix, "/any")]);
    let default = |name: &str| vec![rule(Rank::of_default(), EntryPoints::ALL, name)];
    router.set(&Slot::Global, default("global"));
    assert_eq!(found(&router, "h.io", "/"), Some("global"));
    assert_eq!(found(&router, "h.io", "/any"), Some("global"));
    assert_eq!(found(&router, "else", "/"), Some("global"));
    router.set(&Slot::Default(host("h.io")), default("of the host"));
    assert_eq!(found(&router, "h.io", "/"), Some("of the host"));
    assert_eq!(found(&router, "h.io", "/app/x"), Some("h.io Prefix /app"));
    router.set(&Slot::Default(host("h.io")), Vec::new());
    router.set(&Slot::Global, Vec::new());
    assert_eq!(found(&router, "h.io", "/"), None);
}

#[test]
fn a_clone_keeps_what_it_had() {
    let mut router = router(&[("h.io", Prefix, "/")]);
    let before = router.clone();
    router.set(&path_slot("h.io", "/", Prefix), Vec::new());
    assert_eq!(found(&router, "h.io", "/"), None);
    assert_eq!(found(&before, "h.io", "/"), Some("h.io Prefix /"));
}

#[test]
fn hostile_paths_and_rules_neither_cost_nor_overflow() {
    let deep = "/x".repeat(200_000);
    let router = router(&[("h.io", Prefix, "/"), ("h.io", Exact, deep.as_str())]);
    assert_eq!(found(&router, "h.io", &"/".repeat(16 << 10)), Some("h.io Prefix /"));
    assert!(found(&router, "h.io", &deep).is_some_and(|value| value.starts_with("h.io Exact")));
    drop(router);
}
