//! Loading sets of files: what is refused and how it is said, last good versions, overrides, conflicts.

use super::*;
use crate::model::plugins::PluginState;

fn check(text: &str, want: &[&str]) {
    let host = Host::new(&[("dir/stamp.lua", text)]);
    assert_eq!(texts(&host.loaded.problems), want, "{text}");
}

#[test]
fn errors_name_file_line_and_column() {
    for (text, want) in [
        (
            "return plugin { name = \"stamp\", stage = \"route\", always = true,\n  on_requst = function() end }",
            "dir/stamp.lua:2:3: error: plugin stamp: unknown key 'on_requst' (did you mean 'on_request'?)",
        ),
        (
            "return plugin { name = \"stamp\", stage = \"gard\", always = true }",
            "dir/stamp.lua:1:33: error: plugin stamp: unknown stage 'gard' (did you mean 'guard'?)",
        ),
        (
            "return plugin { name = \"Stamp!\", stage = \"route\", always = true }",
            "dir/stamp.lua:1:17: error: plugin Stamp!: name 'Stamp!' must be of a-z, 0-9 and '-'",
        ),
        (
            "return plugin { always = true }",
            "dir/stamp.lua:1:1: error: plugin stamp: stage is missing (one of observe, guard, redirect, limit, auth, rewrite, route)",
        ),
        (
            "return plugin { stage = \"route\", always = true, priority = 101 }",
            "dir/stamp.lua:1:49: error: plugin stamp: priority must be a whole number from 0 to 100",
        ),
        (
            "return plugin { stage = \"route\", always = 1 }",
            "dir/stamp.lua:1:34: error: plugin stamp: always must be true or false, not 1",
        ),
        (
            "return plugin { stage = \"route\", always = true, on_log = {} }",
            "dir/stamp.lua:1:49: error: plugin stamp: on_log must be a function, not a table",
        ),
        (
            "return plugin { stage = \"route\", always = true, needs = { \"verfy\" } }",
            "dir/stamp.lua:1:49: error: plugin stamp: unknown capability 'verfy' (did you mean 'verify'?)",
        ),
        (
            "return plugin { stage = \"route\", always = true, tests = { 1 } }",
            "dir/stamp.lua:1:49: error: plugin stamp: test '1' must be a function by name",
        ),
        (
            "return 7",
            "dir/stamp.lua:1:1: error: plugin stamp: a plugin file returns its table (return plugin { name = ..., ... })",
        ),
        (
            "local x = = 1",
            "dir/stamp.lua:1:9: error: plugin stamp: Expected identifier when parsing expression, got '='",
        ),
        ("\nerror('no')", "dir/stamp.lua:2:1: error: plugin stamp: no"),
        (
            "\nlocal t = nil\nreturn t.x",
            "dir/stamp.lua:3:10: error: plugin stamp: attempt to index nil with 'x'",
        ),
        (
            "return plugin { stage = \"route\" }",
            "dir/stamp.lua:1:1: error: plugin stamp: nothing makes this plugin act (claim an annotation, or say always = true)",
        ),
    ] {
        check(text, &[want]);
    }
}

#[test]
fn claims_are_checked_key_by_key() {
    for (claim, want) in [
        (
            "typ = \"int\", names = { \"a/b\" }",
            &[
                "3:8: error: plugin s: unknown key 'typ' (did you mean 'type'?)",
                "3:2: error: plugin s: claim 'k' needs a type (string, bool, int, number, duration, size, string[], cidr[], header_map, secret, enum(a,b))",
            ][..],
        ),
        (
            "type = \"cidr\", names = { \"a/b\" }",
            &["3:8: error: plugin s: unknown type 'cidr' (did you mean 'cidr[]'?)"],
        ),
        ("type = \"int\"", &["3:2: error: plugin s: claim 'k' needs names: a list of annotation names"]),
        (
            "type = \"int\", names = \"a/b\"",
            &[
                "3:22: error: plugin s: names must be a list of strings, not a/b",
                "3:22: error: plugin s: claim 'k' needs names: a list of annotation names",
            ],
        ),
        (
            "type = \"int\", names = { \"a/b\" }, default = \"x\"",
            &["3:41: error: plugin s: default of claim 'k': must be a whole number"],
        ),
        (
            "type = \"int\", names = { \"a/b\" }, on = \"servce\"",
            &["3:41: error: plugin s: unknown on 'servce' (did you mean 'service'?)"],
        ),
        (
            "type = \"int\", names = { \"a/b\" }, required_if = \"j\"",
            &["3:41: error: plugin s: required_if names no claim: 'j'"],
        ),
        (
            "type = \"string\", names = { \"a/b\" }, pattern = \"(\"",
            &["3:44: error: plugin s: pattern: error: unclosed group"],
        ),
        (
            "type = \"secret\", names = { \"a/b\" }",
            &["2:1: error: plugin s: a claim of type secret (add needs = { \"secrets\" })"],
        ),
    ] {
        let text = format!(
            "return plugin {{ name = \"s\", stage = \"route\",\nannotations = {{\n k = {{ {claim} }} }} }}"
        );
        let host = Host::new(&[("s.lua", &text)]);
        let want: Vec<String> = want.iter().map(|text| format!("s.lua:{text}")).collect();
        assert_eq!(texts(&host.loaded.problems), want, "{claim}");
    }
}

fn states(host: &Host, name: &str) -> Vec<PluginState> {
    host.loaded.statuses.iter().filter(|status| &*status.name == name).map(|status| status.state).collect()
}

#[test]
fn the_same_files_are_no_change() {
    let text = plugin("route", "");
    let mut host = Host::one(&text);
    let first = Arc::clone(&host.loaded.set);
    assert!(host.loaded.changed.contains(&"p".into()) && host.loaded.changed.contains(&"whitelist".into()));
    host.load(&[("p.lua", &text)]);
    assert!(Arc::ptr_eq(&first, &host.loaded.set) && host.loaded.changed.is_empty());
    host.load(&[("p.lua", &plugin("route", "-- edited"))]);
    assert_eq!(
        (host.loaded.set.generation, &*host.loaded.changed),
        (first.generation + 1, &["p".into()][..])
    );
    host.load(&[]);
    assert_eq!(
        (host.loaded.set.generation, &*host.loaded.changed),
        (first.generation + 2, &["p".into()][..])
    );
}

#[test]
fn a_file_that_fails_keeps_its_last_good_version() {
    let good = plugin("guard", " on_request = function() return respond(418) end,");
    let mut host = Host::one(&good);
    let set = Arc::clone(&host.loaded.set);
    for bad in ["return plugin {", "return plugin { name = 'other', stag = 1 }"] {
        let problems = host.load(&[("p.lua", bad)]);
        assert!(problems[0].starts_with("p.lua:1:"), "{problems:?}");
        assert!(Arc::ptr_eq(&set, &host.loaded.set));
        assert_eq!((host.loaded.changed.len(), states(&host, "p")), (0, vec![PluginState::LastGood]));
        assert_eq!(host.shape(X).chain.steps.len(), 1);
    }
    host.load(&[("p.lua", &good)]);
    assert_eq!(states(&host, "p"), [PluginState::Active]);
    // A file that is gone is forgotten.
    host.load(&[]);
    host.load(&[("p.lua", "return plugin {")]);
    assert_eq!(states(&host, "p"), [PluginState::Failed]);
}

#[test]
fn a_guard_that_never_loaded_closes_its_routes() {
    let broken = plugin("guard", " on_request = function( }").replace("return", "retrun");
    let mut host = Host::new(&[("p.lua", &broken)]);
    assert_eq!(states(&host, "p"), [PluginState::Failed]);
    let shaped = host.shape(X);
    assert_eq!(&*shaped.chain.closed.as_ref().unwrap().plugin, "p");
    assert!(texts(&shaped.problems)[0].contains("plugin p does not run"), "{:?}", shaped.problems);
    assert_eq!(host.shape(&[]).chain.closed, None);
    // In an open stage it is as if it were not there, and said.
    let mut host = Host::new(&[("p.lua", &broken.replace("guard", "rewrite"))]);
    let shaped = host.shape(X);
    assert_eq!((shaped.chain.closed.is_some(), shaped.problems.len()), (false, 1));
}

const LIST: &[(&str, &str)] = &[("ingress.kubernetes.io/whitelist-source-range", "10.0.0.0/8")];

#[test]
fn a_file_replaces_the_bundled_plugin_of_its_name() {
    let own = "return plugin { name = 'whitelist', stage = 'guard', annotations = { r = { type = 'cidr[]', names = { 'ingress.kubernetes.io/whitelist-source-range' } } }, on_request = function() return respond(418) end }";
    let mut host = Host::new(&[("mine.lua", own)]);
    assert_eq!(host.loaded.problems, []);
    assert_eq!(host.loaded.set.plugins.iter().filter(|code| &*code.name == "whitelist").count(), 1);
    assert_eq!(states(&host, "whitelist"), [PluginState::Active]);
    assert_eq!(host.shape(LIST).chain.steps.len(), 1);
    // Never loaded: the bundled guard does not act in its place, the route is closed.
    let mut host = Host::new(&[("mine.lua", &own.replace("418)", "418"))]);
    assert_eq!(states(&host, "whitelist"), [PluginState::Failed]);
    assert!(host.shape(LIST).chain.closed.is_some());
    host.load(&[("mine.lua", own)]);
    assert_eq!(host.shape(LIST).chain.closed, None);
    // In an open stage the bundled one stays.
    let mut host = Host::new(&[("priority.lua", "return plugin {")]);
    assert_eq!(host.shape(&[("traefik.frontend.priority", "4")]).settings.priority, 4);
}

#[test]
fn one_annotation_has_one_owner() {
    let mut host = Host::new(&[
        ("a.lua", &plugin("route", "")),
        ("b.lua", &plugin("route", "").replace("\"p\"", "\"q\"")),
    ]);
    assert_eq!(
        texts(&host.loaded.problems),
        [
            "b.lua:3:18: error: plugin q: annotation t.io/x is claimed by plugin p too (take its name to replace it, disable it, or say shared = true in both claims)"
        ]
    );
    assert_eq!(host.shape(X).chain.plugins, ["p".into()]);
    let host = Host::new(&[("a.lua", &plugin("route", "")), ("b.lua", &plugin("route", ""))]);
    assert_eq!(texts(&host.loaded.problems), ["b.lua:2:2: error: plugin p: a.lua is named 'p' too"]);
}

#[test]
fn disabled_plugins_do_not_exist_and_denied_ones_fail_by_stage() {
    let settings = PluginSettings {
        disable: vec!["priority".into()],
        deny: vec!["verify".into()],
        settings: BTreeMap::new(),
    };
    let mut host = Host::with(&[], &settings, false, &Limits::default());
    assert_eq!(states(&host, "priority"), []);
    assert_eq!(host.shape(&[("traefik.frontend.priority", "4")]).problems.len(), 1);
    assert_eq!(states(&host, "basic-auth"), [PluginState::Failed]);
    let shaped = host.shape(&[("ingress.kubernetes.io/auth-type", "basic")]);
    assert_eq!(&*shaped.chain.closed.as_ref().unwrap().plugin, "basic-auth");
}

#[test]
fn a_file_that_eats_all_memory_fails_alone() {
    let hog = "local t = {} for i = 1, 1e5 do t[i] = string.rep('x', 1e5) .. i end";
    let mut host = Host::new(&[("a.lua", hog), ("p.lua", &plugin("route", ""))]);
    assert_eq!(texts(&host.loaded.problems), ["a.lua:1:1: error: plugin a: not enough memory"]);
    assert_eq!(states(&host, "p"), [PluginState::Active]);
    assert_eq!(host.shape(X).chain.plugins, ["p".into()]);
}

#[test]
fn strict_keeps_the_whole_last_set() {
    let good = plugin("route", "");
    let mut host = Host::with(&[("p.lua", &good)], &PluginSettings::default(), true, &Limits::default());
    let set = Arc::clone(&host.loaded.set);
    let problems = host.load(&[("p.lua", &plugin("route", "-- new")), ("q.lua", "return plugin {")]);
    assert_eq!(problems.len(), 1);
    assert!(Arc::ptr_eq(&set, &host.loaded.set));
}

#[test]
fn plugins_act_in_order_of_stage_priority_and_name() {
    let make = |name: &str, stage: &str, priority: u8| {
        format!(
            "return plugin {{ name = '{name}', stage = '{stage}', priority = {priority}, always = true, on_log = function() end }}"
        )
    };
    let files =
        [make("d", "route", 50), make("c", "guard", 10), make("b", "guard", 90), make("a", "guard", 10)];
    let mut host = Host::new(&[("1", &files[0]), ("2", &files[1]), ("3", &files[2]), ("4", &files[3])]);
    assert_eq!(host.shape(&[]).chain.plugins, ["b".into(), "a".into(), "c".into(), "d".into()]);
}
