//! The long way round gives the same: whatever sequence of changes led somewhere, a fresh pipeline over what there
//! is then has the same routes, backends and problems.

use super::support::{
    Words, annotate, backend, came, class, external, ingress, plugins, said_by, secret, service, settings,
    slice, spanned,
};
use crate::control::{Pipeline, Resolution};
use crate::ground::names::EntryPoints;
use crate::model::objects::{Change, ObjectId};
use crate::provider::Update;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const HOSTS: [&str; 4] = ["a.io", "b.a.io", "*.a.io", ""];
const SERVICES: [&str; 3] = ["one", "two", "ext"];

/// One step of a history.
#[derive(Clone, Debug)]
enum Act {
    /// Objects came, changed or went, all in one update.
    Change(Vec<Change>),
    /// The plugin files are these now.
    Plugins(u8),
    /// The external name leads there.
    Resolve(u8),
}

fn pick(from: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(from)
}

fn ingresses() -> impl Strategy<Value = Change> {
    let path = pick(&["/", "/x", "/x/", "/x/y", "=/x"]);
    let rule =
        (pick(&HOSTS), prop::option::weighted(0.8, (path, pick(&SERVICES), pick(&["80", "http", "81"]))));
    let rules = prop::collection::vec(rule, 0..4);
    let words = prop::collection::vec(
        prop::sample::select(vec![
            ("priority", "1"),
            ("priority", "bad"),
            ("entrypoints", "https"),
            ("entrypoints", "http"),
            ("exact", "yes"),
            ("secret", "users"),
        ]),
        0..3,
    );
    let default = prop::option::weighted(0.3, pick(&["one:80", "none:80"]));
    let class = prop::option::weighted(0.3, pick(&["moongate", "mine"]));
    (0..4_u8, rules, words, prop::option::of(0..2_i64), default, class).prop_map(
        |(name, rules, words, created, default, class)| {
            let rules: Vec<String> = rules
                .into_iter()
                .map(|(host, path)| match path {
                    Some((path, service, port)) => format!("{host} {path} {service}:{port}"),
                    None => host.to_owned(),
                })
                .collect();
            let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            let mut ingress = ingress(&format!("i{name}"), &rules);
            annotate(&mut ingress.meta, &words);
            ingress.meta.created = created;
            ingress.default_backend = default.map(backend);
            ingress.class = class.map(spanned);
            came(ingress)
        },
    )
}

fn others() -> impl Strategy<Value = Change> {
    let ports = prop::collection::vec(pick(&["http=80", "x=81"]), 0..3);
    let addresses = prop::collection::vec(pick(&["10.0.0.1", "-10.0.0.2", "!10.0.0.3", "10.0.0.4"]), 0..4);
    prop_oneof![
        (pick(&["one", "two"]), ports, any::<bool>()).prop_map(|(name, ports, slow)| {
            let mut service = service(name, &ports);
            if slow {
                annotate(&mut service.meta, &[("connect", "9")]);
            }
            came(service)
        }),
        Just(came(external("ext", "x.io"))),
        (0..2_u8, pick(&["one", "two"]), pick(&["http=8080", "x=8081"]), addresses)
            .prop_map(|(name, of, port, addresses)| came(slice(&format!("s{name}"), of, port, &addresses))),
        prop::collection::vec(pick(&["auth", "other"]), 0..2).prop_map(|keys| came(secret("users", &keys))),
        (pick(&["mine", "moongate"]), pick(&["moongate.io/ingress-controller", "other/one"]), any::<bool>())
            .prop_map(|(name, controller, is_default)| came(class(name, controller, is_default))),
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    let change = prop_oneof![ingresses(), others()];
    let change = (change, prop::bool::weighted(0.3))
        .prop_map(|(change, goes)| Change { object: change.object.filter(|_| !goes), ..change });
    prop_oneof![
        12 => prop::collection::vec(change, 1..4).prop_map(Act::Change),
        1 => (0..3_u8).prop_map(Act::Plugins),
        1 => (0..3_u8).prop_map(Act::Resolve),
    ]
}

fn plugin_set(number: u8) -> Vec<Update> {
    match number {
        0 => plugins(&[]),
        1 => plugins(&[("p.lua", "v1")]),
        _ => plugins(&[("p.lua", "longer"), ("q.lua", "bad")]),
    }
}

fn resolution(number: u8) -> Vec<(Arc<str>, Resolution)> {
    let resolution = match number {
        0 => Resolution::Failed("no such name".into()),
        1 => Resolution::Addresses(vec!["10.1.0.1".parse().unwrap()]),
        _ => Resolution::Addresses(vec!["10.1.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()]),
    };
    vec![("x.io".into(), resolution)]
}

/// Everything that a pipeline says, without what only history knows (slots, generations, states).
fn told(pipeline: &Pipeline<Words>) -> Vec<String> {
    let snapshot = pipeline.snapshot();
    let mut told = Vec::new();
    for (key, live) in &snapshot.routes {
        let backend = live.backend.and_then(|slot| snapshot.backend(slot)).map(|backend| &backend.spec);
        told.push(format!("{key}: {:?} {backend:?}", live.route));
    }
    for entrypoint in [EntryPoints::one(0), EntryPoints::one(1)] {
        for host in ["a.io", "b.a.io", "c.a.io", "z"] {
            for path in ["/", "/x", "/x/", "/x/y/z", "/z"] {
                let found = snapshot.router.find(entrypoint, host, path).map(|live| &live.route.key);
                told.push(format!("{entrypoint:?} {host}{path}: {found:?}"));
            }
        }
    }
    let backends = snapshot.backends.iter().flatten().count();
    told.push(format!("{backends} backends"));
    told.extend(pipeline.view().problems.iter().map(ToString::to_string));
    told.extend(pipeline.wanted_names().iter().map(|name| format!("{name:?}")));
    told
}

fn play(pipeline: &mut Pipeline<Words>, provider: &'static str, act: &Act) {
    let before = told(pipeline);
    let generation = pipeline.snapshot().generation;
    match act {
        Act::Change(changes) => pipeline.apply(said_by(provider, changes.clone())),
        Act::Plugins(number) => pipeline.apply(plugin_set(*number)),
        Act::Resolve(number) => pipeline.resolve(resolution(*number)),
    };
    // A generation is made only of what makes a difference somewhere.
    if pipeline.snapshot().generation == generation {
        let problems = |told: Vec<String>| -> Vec<String> {
            told.into_iter().filter(|line| !line.contains("error: ") && !line.contains("warning: ")).collect()
        };
        assert_eq!(problems(before), problems(told(pipeline)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_history_leads_to_the_same_as_starting_from_scratch(
        history in prop::collection::vec(acts(), 1..24),
        from_cluster in any::<bool>(),
    ) {
        let provider = if from_cluster { "kubernetes" } else { "manifests" };
        let mut pipeline = Pipeline::new(settings(), Words::default());
        let mut world: BTreeMap<ObjectId, Change> = BTreeMap::new();
        let (mut plugins, mut resolved) = (0, None);
        for act in &history {
            play(&mut pipeline, provider, act);
            match act {
                Act::Change(changes) => {
                    world.extend(changes.iter().map(|change| (change.id.clone(), change.clone())));
                }
                Act::Plugins(number) => plugins = *number,
                Act::Resolve(number) => resolved = Some(*number),
            }
        }
        let changes = world.into_values().filter(|change| change.object.is_some()).collect();
        let mut updates = said_by(provider, changes);
        updates.extend(plugin_set(plugins));
        let mut fresh = Pipeline::offline(settings(), Words::default(), updates);
        // What a name leads to is forgotten with its last Service: say it again to both.
        if let Some(number) = resolved {
            pipeline.resolve(resolution(number));
            fresh.resolve(resolution(number));
        }
        prop_assert_eq!(told(&pipeline), told(&fresh));
    }
}
