//! Generations: what makes one, what is kept over them, what a change costs.

use super::support::{
    Words, annotate, answers, came, external, ingress, pipeline, plugins, problems, said, secret, service,
    settings, slice, went,
};
use crate::control::{self, Channels, Control, Pipeline, Resolution, WantedName};
use crate::ground::names::EntryPoints;
use crate::ground::problem::Problem;
use crate::model::objects::Change;
use crate::model::settings::{Settings, Sources};
use crate::provider::{ObjectsUpdate, Update};
use crate::snapshot::view::{ReloadReport, ReloadRequest, View};
use crate::snapshot::{Snapshot, SnapshotCell};
use arc_swap::ArcSwap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot, watch};

fn world() -> Vec<Change> {
    vec![
        came(service("web", &["http=80"])),
        came(slice("web-1", "web", "http=8080", &["10.0.0.1", "10.0.0.2"])),
        came(ingress("web", &["h.io / web:80"])),
        came(ingress("other", &["o.io / web:80"])),
    ]
}

fn loaded() -> Pipeline<Words> {
    let mut pipeline = pipeline();
    pipeline.apply(said(world()));
    pipeline
}

#[test]
fn what_has_no_effect_makes_no_generation() {
    let mut pipeline = loaded();
    let mut moved = ingress("web", &["h.io / web:80"]);
    moved.meta.at.line = 7;
    annotate(&mut moved.meta, &[("unknown", "to all")]);
    let mut not_ours = ingress("foreign", &["h.io / web:80"]);
    not_ours.class = Some(super::support::spanned("nginx"));
    for changes in [
        world(),
        vec![came(moved)],
        vec![came(not_ours)],
        vec![came(service("unused", &["=80"])), came(secret("unused", &[]))],
        vec![came(slice("web-2", "web", "http=8080", &["10.0.0.1"]))],
        vec![went(ingress("never-was", &[]))],
    ] {
        let shown = format!("{changes:?}");
        assert!(pipeline.apply(said(changes)).snapshot.is_none(), "{shown}");
    }
    assert_eq!(pipeline.snapshot().generation, 1);
}

#[test]
fn an_edit_shapes_only_what_it_touches() {
    let words = Words::default();
    let shaped = words.shaped.clone();
    let mut pipeline = Pipeline::new(settings(), words);
    let many = (0..100).map(|n| came(ingress(&format!("i{n}"), &[&format!("h{n}.io / web:80")])));
    pipeline.apply(said(world().into_iter().chain(many).collect()));
    let count = |pipeline: &mut Pipeline<Words>, change: Change| {
        let before = shaped.load(Ordering::Relaxed);
        pipeline.apply(said(vec![change]));
        shaped.load(Ordering::Relaxed) - before
    };
    let mut with_secret = ingress("i7", &["h7.io / web:80"]);
    annotate(&mut with_secret.meta, &[("secret", "users")]);
    assert_eq!(count(&mut pipeline, came(with_secret)), 1);
    assert_eq!(count(&mut pipeline, came(secret("users", &["auth"]))), 1);
    assert_eq!(count(&mut pipeline, came(secret("others", &["auth"]))), 0);
    assert_eq!(count(&mut pipeline, came(slice("web-1", "web", "http=8080", &["10.0.0.3"]))), 0);
    assert_eq!(count(&mut pipeline, came(service("web", &["http=80", "x=81"]))), 102);
}

#[test]
fn a_secret_that_comes_later_shapes_its_routes_again() {
    let mut pipeline = loaded();
    pipeline.apply(plugins(&[("auth.lua", "v1")]));
    let mut guarded = ingress("web", &["h.io / web:80"]);
    annotate(&mut guarded.meta, &[("secret", "users")]);
    pipeline.apply(said(vec![came(guarded)]));
    let keys = |pipeline: &Pipeline<Words>| {
        pipeline.snapshot().routes["default/web/h.io/"].route.chain.steps[0].options.len()
    };
    assert_eq!(keys(&pipeline), 0);
    let applied = pipeline.apply(said(vec![came(secret("users", &["auth"]))]));
    assert_eq!((keys(&pipeline), applied.changed.routes), (1, vec!["default/web/h.io/".into()]));
    pipeline.apply(said(vec![went(secret("users", &[]))]));
    assert_eq!(keys(&pipeline), 0);
}

/// The state of the first backend's endpoints, by address.
fn endpoints(pipeline: &Pipeline<Words>, host: &str) -> Vec<(String, u64)> {
    let snapshot: &Snapshot = pipeline.snapshot();
    let live = snapshot.router.find(EntryPoints::one(0), host, "/").unwrap();
    let backend = snapshot.backend(live.backend.unwrap()).unwrap();
    backend.endpoints.iter().map(|it| (it.spec.address.to_string(), it.state.id)).collect()
}

#[test]
fn what_a_change_does_not_touch_keeps_its_memory() {
    let mut pipeline = loaded();
    let before = pipeline.snapshot().clone();
    let old = endpoints(&pipeline, "h.io");
    pipeline.apply(said(vec![came(slice("web-1", "web", "http=8080", &["10.0.0.2", "10.0.0.3"]))]));
    let new = endpoints(&pipeline, "h.io");
    assert_eq!(new[0], old[1]);
    assert!(!old.iter().any(|(_, id)| *id == new[1].1));
    // An annotation of the Service makes another backend of it: endpoints and turn are the same ones.
    let state = |pipeline: &Pipeline<Words>| {
        let snapshot = pipeline.snapshot();
        snapshot.backend(snapshot.routes["default/web/h.io/"].backend.unwrap()).unwrap().state.clone()
    };
    let turn = state(&pipeline);
    let mut slow = service("web", &["http=80"]);
    annotate(&mut slow.meta, &[("connect", "1")]);
    pipeline.apply(said(vec![came(slow)]));
    assert_eq!(endpoints(&pipeline, "h.io"), new);
    assert!(Arc::ptr_eq(&turn, &state(&pipeline)));
    // The route's counters stay, and what was not touched is the same object.
    pipeline.apply(said(vec![came(service("web", &["http=80"]))]));
    let mut edited = ingress("web", &["h.io / web:80"]);
    annotate(&mut edited.meta, &[("priority", "3")]);
    let other = pipeline.snapshot().routes["default/other/o.io/"].clone();
    let applied = pipeline.apply(said(vec![came(edited)]));
    assert_eq!(applied.changed.routes, ["default/web/h.io/".into()]);
    let after = pipeline.snapshot();
    let tally = |snapshot: &Snapshot| snapshot.routes["default/web/h.io/"].tally.clone();
    assert!(Arc::ptr_eq(&tally(&before), &tally(after)));
    assert!(Arc::ptr_eq(&other, &after.routes["default/other/o.io/"]));
}

#[test]
fn slots_of_backends_are_stable_and_used_again() {
    let mut pipeline = loaded();
    let slot = pipeline.snapshot().routes["default/web/h.io/"].backend;
    pipeline.apply(said(vec![
        came(service("b", &["=80"])),
        came(service("c", &["=80"])),
        came(ingress("b", &["b.io / b:80"])),
    ]));
    let freed = pipeline.snapshot().routes["default/b/b.io/"].backend.unwrap();
    pipeline.apply(said(vec![went(ingress("b", &[]))]));
    assert!(pipeline.snapshot().backend(freed).is_none());
    pipeline.apply(said(vec![came(ingress("c", &["c.io / c:80"]))]));
    assert_eq!(pipeline.snapshot().routes["default/c/c.io/"].backend, Some(freed));
    assert_eq!(pipeline.snapshot().routes["default/web/h.io/"].backend, slot);
    assert_eq!(pipeline.snapshot().backends.len(), 2);
}

#[test]
fn nothing_is_published_before_every_source_has_spoken() {
    let sources = Sources { manifests: vec!["m".into()], to: None };
    let waits = Settings { sources, plugin_dirs: vec!["p".into()], ..Settings::clone(&settings()) };
    let mut pipeline = Pipeline::new(Arc::new(waits), Words::default());
    assert!(pipeline.apply(said(world())).snapshot.is_none());
    assert!(!pipeline.view().synced);
    assert!(pipeline.apply(plugins(&[])).snapshot.is_some());
    assert!(pipeline.view().synced);
    assert_eq!(answers(&pipeline, "h.io", "/").as_deref(), Some("default/web/h.io/"));
}

#[test]
fn a_plugin_edit_shapes_everything_and_its_problems_go_with_it() {
    let mut pipeline = loaded();
    let applied = pipeline.apply(plugins(&[("a.lua", "v1")]));
    assert_eq!((applied.changed.plugins.len(), applied.changed.routes.len()), (1, 2));
    assert!(
        pipeline
            .snapshot()
            .routes
            .values()
            .all(|live| live.hooks.contains(crate::model::chain::Hooks::REQUEST))
    );
    pipeline.apply(plugins(&[("a.lua", "bad")]));
    assert_eq!(problems(&pipeline), ["error: plugin a.lua: is bad"]);
    pipeline.apply(plugins(&[]));
    assert_eq!(problems(&pipeline), Vec::<String>::new());
}

#[test]
fn a_providers_problems_are_replaced_by_its_next_word() {
    let mut pipeline = loaded();
    let say = |texts: &[&str]| {
        let problems = texts.iter().map(|text| Problem::error("a.yaml", *text)).collect();
        vec![Update::Objects(ObjectsUpdate { provider: "manifests", changes: Vec::new(), problems })]
    };
    pipeline.apply(say(&["two", "one", "one"]));
    assert_eq!(problems(&pipeline), ["error: a.yaml: one", "error: a.yaml: two"]);
    pipeline.apply(say(&["two"]));
    assert_eq!(problems(&pipeline), ["error: a.yaml: two"]);
}

#[test]
fn names_are_wanted_while_a_route_leads_to_them() {
    let mut pipeline = loaded();
    assert_eq!(pipeline.wanted_names(), BTreeSet::new());
    let route = ingress("ext", &["e.io / ext:443"]);
    pipeline.apply(said(vec![
        came(external("ext", "x.io")),
        came(external("unused", "y.io")),
        came(route.clone()),
    ]));
    let wanted = WantedName { host: "x.io".into(), operator: false };
    assert_eq!(pipeline.wanted_names(), BTreeSet::from([wanted]));
    let to = |text: &str| vec![("x.io".into(), Resolution::Addresses(vec![text.parse().unwrap()]))];
    assert!(pipeline.resolve(to("10.0.0.1")).snapshot.is_some());
    assert!(pipeline.resolve(to("10.0.0.1")).snapshot.is_none());
    assert_eq!(endpoints(&pipeline, "e.io")[0].0, "10.0.0.1:443");
    assert!(pipeline.resolve(to("127.0.0.1")).snapshot.is_some());
    assert!(
        problems(&pipeline).iter().any(|text| text.contains("127.0.0.1:443")),
        "{:?}",
        problems(&pipeline)
    );
    pipeline.apply(said(vec![went(route)]));
    assert_eq!((pipeline.wanted_names(), problems(&pipeline)), (BTreeSet::new(), Vec::new()));
}

#[test]
fn a_dry_run_says_what_a_reload_would_do_and_does_nothing() {
    let mut pipeline = loaded();
    let anew = || {
        let changes =
            vec![went(ingress("other", &["o.io / web:80"])), came(ingress("new", &["n.io / none:80"]))];
        said(changes).into_iter().chain(plugins(&[("p.lua", "v1")])).collect::<Vec<_>>()
    };
    let dry = pipeline.dry_run(anew());
    assert_eq!(pipeline.snapshot().generation, 1);
    assert_eq!(answers(&pipeline, "o.io", "/").as_deref(), Some("default/other/o.io/"));
    let (applied, report) = pipeline.reload(anew());
    assert_eq!(dry, report);
    assert!(applied.snapshot.is_some());
    assert_eq!((report.generation, report.ok, report.problems.len()), (2, false, 1));
    let keys = ["default/new/n.io/", "default/other/o.io/", "default/web/h.io/"];
    assert_eq!(report.changed.routes, keys.map(Arc::from));
    assert_eq!(report.changed.plugins, ["p.lua".into()]);
    assert_eq!(answers(&pipeline, "o.io", "/"), None);
}

/// A source that finds one more Ingress whenever it is read again.
struct OneMore(mpsc::WeakSender<Update>);

impl control::Sources for OneMore {
    async fn reread(&self) {
        for update in self.peek().await {
            self.0.upgrade().unwrap().send(update).await.unwrap();
        }
    }

    async fn peek(&self) -> Vec<Update> {
        said(vec![came(ingress("again", &["r.io / web:80"]))])
    }
}

#[tokio::test]
async fn the_loop_publishes_answers_reloads_and_ends_with_its_senders() {
    let cell = Arc::new(SnapshotCell::new(Snapshot::empty()));
    let view = Arc::new(ArcSwap::from_pointee(View::default()));
    let control = Control::new(settings(), Words::default(), cell.clone(), view.clone());
    let (updates, from_providers) = mpsc::channel(8);
    let (reloads, from_admin) = mpsc::channel(8);
    let (resolved, from_resolver) = mpsc::channel(8);
    let (names, mut wanted) = watch::channel(BTreeSet::new());
    let channels = Channels { updates: from_providers, reloads: from_admin, resolved: from_resolver, names };
    let work = control.run(channels, OneMore(updates.downgrade()));
    let play = async move {
        let with_name = [came(external("ext", "x.io")), came(ingress("ext", &["e.io / ext:443"]))];
        updates.send(said(world().into_iter().chain(with_name).collect()).remove(0)).await.unwrap();
        wanted.changed().await.unwrap();
        let host = wanted.borrow().first().unwrap().host.clone();
        let addresses = Resolution::Addresses(vec!["10.0.0.7".parse().unwrap()]);
        resolved.send((host, addresses)).await.unwrap();
        let (reply, answer) = oneshot::channel::<ReloadReport>();
        let reply = Box::new(move |report| reply.send(report).unwrap());
        reloads.send(ReloadRequest { dry_run: false, reply }).await.unwrap();
        let report = answer.await.unwrap();
        drop(reloads);
        assert!(report.changed.routes.contains(&"default/again/r.io/".into()), "{report:?}");
        drop(updates);
    };
    tokio::join!(work, play);
    assert!(view.load().synced);
    let last = cell.load();
    assert!(last.router.find(EntryPoints::one(0), "r.io", "/").is_some());
    assert!(last.router.find(EntryPoints::one(0), "h.io", "/").is_some());
    assert_eq!(view.load().reloads.published, last.generation);
}
