//! What comes of Ingresses: routes, conflicts, defaults, and why.

use super::support::{
    Words, annotate, answers, backend, came, external, host, ingress, name, pipeline, problems, said,
    said_by, service, settings, slice, went,
};
use crate::control::Pipeline;
use crate::control::explain::Question;
use crate::ground::names::EntryPoints;
use crate::ground::problem::Pos;
use crate::model::objects::{BackendRef, BackendTarget, Change, Ingress};
use crate::model::route::RouteTarget;
use crate::model::settings::Settings;
use std::sync::Arc;

/// One ready Service `web` with port 80.
fn web() -> Vec<Change> {
    vec![came(service("web", &["http=80"])), came(slice("web-1", "web", "http=8080", &["10.0.0.1"]))]
}

fn with(ingresses: impl IntoIterator<Item = Ingress>) -> Pipeline<Words> {
    let mut pipeline = pipeline();
    pipeline.apply(said(web().into_iter().chain(ingresses.into_iter().map(came)).collect()));
    pipeline
}

#[test]
fn an_ingress_becomes_a_route_that_leads_to_its_endpoints() {
    let pipeline = with([ingress("web", &["h.io / web:80"])]);
    let snapshot = pipeline.snapshot();
    let live = snapshot.router.find(EntryPoints::one(1), "h.io", "/x").unwrap();
    assert_eq!(&*live.route.key, "default/web/h.io/");
    let endpoints = &snapshot.backend(live.backend.unwrap()).unwrap().endpoints;
    assert_eq!(endpoints[0].spec.address.to_string(), "10.0.0.1:8080");
    assert_eq!((snapshot.generation, problems(&pipeline)), (1, Vec::new()));
}

#[test]
fn the_loser_of_a_conflict_is_reported_and_takes_over() {
    let mut old = ingress("old", &["h.io / web:80", "h.io /only web:80"]);
    old.meta.created = Some(1);
    let young = ingress("a/young", &["h.io / web:80"]);
    let mut pipeline = with([young, old.clone()]);
    assert_eq!(answers(&pipeline, "h.io", "/").as_deref(), Some("default/old/h.io/"));
    assert!(!pipeline.snapshot().routes.contains_key("a/young/h.io/"));
    let said_of = |pipeline: &Pipeline<Words>| {
        problems(pipeline)
            .into_iter()
            .filter(|text| text.contains("Ingress a/young: spec.rules: 'h.io/'"))
            .count()
    };
    assert_eq!(said_of(&pipeline), 1, "{:?}", problems(&pipeline));
    assert!(
        problems(&pipeline)
            .iter()
            .any(|text| text.contains("Ingress default/old has the same host and path"))
    );
    pipeline.apply(said(vec![went(old)]));
    assert_eq!(answers(&pipeline, "h.io", "/").as_deref(), Some("a/young/h.io/"));
    assert_eq!(answers(&pipeline, "h.io", "/only").as_deref(), Some("a/young/h.io/"));
    assert_eq!(said_of(&pipeline), 0);
}

#[test]
fn a_higher_priority_wins_a_slot_and_other_entrypoints_are_another_matter() {
    let mut old = ingress("old", &["h.io / web:80"]);
    old.meta.created = Some(1);
    let mut high = ingress("high", &["h.io / web:80"]);
    annotate(&mut high.meta, &[("priority", "5"), ("entrypoints", "https")]);
    let pipeline = with([old, high]);
    assert_eq!(answers(&pipeline, "h.io", "/").as_deref(), Some("default/old/h.io/"));
    let secure = pipeline.snapshot().router.find(EntryPoints::one(1), "h.io", "/").unwrap();
    assert_eq!(&*secure.route.key, "default/high/h.io/");
    assert!(problems(&pipeline)[0].contains("on some of its entrypoints only"), "{:?}", problems(&pipeline));
    assert!(problems(&pipeline)[0].contains("has a higher priority"));
}

#[test]
fn what_an_ingress_says_twice_gets_a_number() {
    let pipeline = with([ingress("web", &["h.io / web:80", "h.io =/ web:80", "h.io / web:http"])]);
    let keys: Vec<String> = pipeline.snapshot().routes.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["default/web/h.io/", "default/web/h.io/#2"]);
    assert_eq!(problems(&pipeline).len(), 1);
}

#[test]
fn what_leads_nowhere_stays_and_says_why() {
    let mut nowhere = ingress("web", &["h.io /none none:80", "h.io /port web:81", "h.io /good web:80"]);
    let resource = BackendRef { target: BackendTarget::Resource("Bucket/x".into()), at: Pos::default() };
    nowhere.rules[0].paths.as_mut().unwrap()[0].backend = backend("none:80");
    let mut fourth = nowhere.rules[0].clone();
    fourth.paths.as_mut().unwrap()[0].path = "/resource".into();
    fourth.paths.as_mut().unwrap()[0].backend = resource;
    nowhere.rules.push(fourth);
    let pipeline = with([nowhere]);
    for path in ["none", "port", "resource"] {
        let key: &str = &format!("default/web/h.io/{path}");
        let route = &pipeline.snapshot().routes.get(key).unwrap().route;
        assert!(matches!(route.target, RouteTarget::Nowhere(_)), "{path}");
        assert_eq!(route.problems.len(), 1, "{path}");
    }
    assert!(matches!(
        pipeline.snapshot().routes["default/web/h.io/good"].route.target,
        RouteTarget::Backend(_)
    ));
    assert_eq!(problems(&pipeline).len(), 3);
}

#[test]
fn a_service_that_comes_and_goes_takes_its_routes_along() {
    let mut pipeline = with([ingress("web", &["h.io / other:80"])]);
    let goes_nowhere = |pipeline: &Pipeline<Words>| {
        matches!(pipeline.snapshot().routes["default/web/h.io/"].route.target, RouteTarget::Nowhere(_))
    };
    assert!(goes_nowhere(&pipeline));
    pipeline.apply(said(vec![came(service("other", &["=80"]))]));
    assert!(!goes_nowhere(&pipeline));
    assert!(problems(&pipeline)[0].contains("no ready endpoint"), "{:?}", problems(&pipeline));
    pipeline.apply(said(vec![came(slice("other-1", "other", "=80", &["10.0.0.2"]))]));
    assert_eq!(problems(&pipeline), Vec::<String>::new());
    pipeline.apply(said(vec![went(service("other", &["=80"]))]));
    assert!(goes_nowhere(&pipeline));
}

#[test]
fn default_backends_answer_for_their_hosts_and_the_oldest_for_everything() {
    let defaulted = |name: &str, created: i64, rules: &[&str]| {
        let mut ingress = ingress(name, rules);
        ingress.meta.created = Some(created);
        ingress.default_backend = Some(backend("web:80"));
        ingress
    };
    let first = defaulted("first", 1, &[]);
    let mut pipeline = with([
        first.clone(),
        defaulted("second", 2, &["h.io /app web:80", "bare.io"]),
        defaulted("third", 3, &[]),
        ingress("plain", &["plain.io /x web:80", "empty.io"]),
    ]);
    for (host, path, expected) in [
        ("h.io", "/app", Some("default/second/h.io/app")),
        ("h.io", "/", Some("default/second/h.io#default")),
        ("bare.io", "/", Some("default/second/bare.io#default")),
        ("plain.io", "/", Some("default/first/#global")),
        ("empty.io", "/", Some("default/first/#global")),
        ("else.io", "/", Some("default/first/#global")),
    ] {
        assert_eq!(answers(&pipeline, host, path).as_deref(), expected, "{host}{path}");
    }
    // Only the third answers nothing at all.
    assert_eq!(problems(&pipeline).len(), 1, "{:?}", problems(&pipeline));
    assert!(problems(&pipeline)[0].contains("Ingress default/third: spec.defaultBackend"));
    pipeline.apply(said(vec![went(first)]));
    assert_eq!(answers(&pipeline, "else.io", "/").as_deref(), Some("default/second/#global"));
}

#[test]
fn a_host_without_paths_is_matched_and_hides_wider_ones() {
    let bare = ingress("bare", &["a.io"]);
    let mut pipeline = with([bare.clone(), ingress("any", &[" / web:80"])]);
    assert_eq!(answers(&pipeline, "a.io", "/"), None);
    pipeline.apply(said(vec![went(bare)]));
    assert_eq!(answers(&pipeline, "a.io", "/").as_deref(), Some("default/any//"));
}

#[test]
fn an_external_name_of_a_cluster_needs_the_operators_word() {
    let world = || {
        let mut one = ingress("web", &["h.io / ext:443"]);
        one.class = Some(super::support::spanned("moongate"));
        vec![came(external("ext", "10.1.2.3")), came(one)]
    };
    let leads_somewhere = |settings: Arc<Settings>, provider| {
        let pipeline = Pipeline::offline(settings, Words::default(), said_by(provider, world()));
        let live = pipeline.snapshot().routes["default/web/h.io/"].clone();
        live.backend.is_some()
    };
    let allowed = || Arc::new(Settings { allow_external_names: true, ..Settings::clone(&settings()) });
    assert!(leads_somewhere(settings(), "manifests"));
    assert!(!leads_somewhere(settings(), "kubernetes"));
    assert!(leads_somewhere(allowed(), "kubernetes"));
}

#[test]
fn a_plugin_may_turn_a_prefix_into_an_exact_path_without_the_route_being_lost() {
    let mut one = ingress("web", &["h.io /a web:80"]);
    let mut pipeline = with([one.clone()]);
    assert!(answers(&pipeline, "h.io", "/a/b").is_some());
    let tally = pipeline.snapshot().routes["default/web/h.io/a"].tally.clone();
    annotate(&mut one.meta, &[("exact", "yes")]);
    pipeline.apply(said(vec![came(one)]));
    assert_eq!(
        (answers(&pipeline, "h.io", "/a/b"), answers(&pipeline, "h.io", "/a").is_some()),
        (None, true)
    );
    assert!(Arc::ptr_eq(&pipeline.snapshot().routes["default/web/h.io/a"].tally, &tally));
}

#[test]
fn an_explanation_names_the_answer_and_why_not_the_others() {
    let mut foreign = ingress("foreign", &["a.h.io / web:80"]);
    foreign.class = Some(super::support::spanned("nginx"));
    let mut secure = ingress("secure", &["a.h.io /s web:80"]);
    annotate(&mut secure.meta, &[("entrypoints", "https")]);
    let pipeline = with([
        ingress("one", &["a.h.io /app web:80", "a.h.io / web:80", "a.h.io =/app/x web:80"]),
        ingress("two", &["a.h.io /app web:80", "*.h.io /app web:80", " / web:80"]),
        foreign,
        secure,
    ]);
    let question =
        Question { entrypoint: EntryPoints::one(0), host: "a.h.io".to_owned(), path: "/app/y".to_owned() };
    let explained = pipeline.explain(&question);
    assert_eq!(explained.matched, Some(host("a.h.io")));
    let answer = explained.answer.unwrap();
    assert_eq!(&*answer.route.route.key, "default/one/a.h.io/app");
    assert_eq!(answer.backend.unwrap().spec.id.key.service, name("web"));
    let others: Vec<(&str, &str)> =
        explained.others.iter().map(|other| (other.name.as_str(), other.why.as_str())).collect();
    let narrower = "a narrower host matches the request, and decides alone";
    assert_eq!(
        others,
        [
            ("default/one/a.h.io/app/x", "exact path /app/x does not match"),
            ("default/two/a.h.io/app", "default/one/a.h.io/app comes first by name and place"),
            ("default/secure/a.h.io/s", "it is not on this entrypoint"),
            ("default/one/a.h.io/", "default/one/a.h.io/app has a longer path"),
            ("default/two/*.h.io/app", narrower),
            ("default/two//", narrower),
            ("Ingress default/foreign", "its class or namespace is not ours"),
        ]
    );
    let none = pipeline.explain(&Question { host: "a.h.io".to_owned(), path: "/s".to_owned(), ..question });
    assert_eq!(none.answer.unwrap().why, "the best match among the paths of host a.h.io");
}
