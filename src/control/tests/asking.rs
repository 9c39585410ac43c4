//! Questions that control asks: of its sources, and of name servers.

use super::support::{Words, came, external, ingress, said, service, settings, went};
use crate::control::{self, Channels, Control, Resolution};
use crate::model::objects::Change;
use crate::provider::Update;
use crate::snapshot::view::{ReloadReport, ReloadRequest, View};
use crate::snapshot::{Snapshot, SnapshotCell};
use arc_swap::ArcSwap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// A source that has to get rid of what it found before it can answer.
struct Busy(mpsc::WeakSender<Update>);

impl control::Sources for Busy {
    async fn reread(&self) {
        let out = self.0.upgrade().unwrap();
        for name in ["a", "b", "c"] {
            let found = said(vec![came(ingress(name, &[&format!("{name}.io / web:80")]))]);
            for update in found {
                out.send(update).await.unwrap();
            }
        }
    }

    async fn peek(&self) -> Vec<Update> {
        self.reread().await;
        said(vec![came(ingress("d", &["d.io / web:80"]))])
    }
}

#[tokio::test]
async fn a_source_that_waits_for_room_holds_up_neither_a_reload_nor_a_dry_run() {
    for dry_run in [false, true] {
        let cell = Arc::new(SnapshotCell::new(Snapshot::empty()));
        let view = Arc::new(ArcSwap::from_pointee(View::default()));
        let control = Control::new(settings(), Words::default(), cell.clone(), view);
        // Room for one.
        let (updates, from_providers) = mpsc::channel(1);
        let (reloads, from_admin) = mpsc::channel(1);
        let (_resolved, from_resolver) = mpsc::channel(1);
        let (names, _wanted) = watch::channel(BTreeSet::new());
        let channels =
            Channels { updates: from_providers, reloads: from_admin, resolved: from_resolver, names };
        let work = control.run(channels, Busy(updates.downgrade()));
        let play = async move {
            for update in said(vec![came(service("web", &["=80"]))]) {
                updates.send(update).await.unwrap();
            }
            let (reply, answer) = oneshot::channel::<ReloadReport>();
            let reply = Box::new(move |report| reply.send(report).unwrap());
            reloads.send(ReloadRequest { dry_run, reply }).await.unwrap();
            let report = answer.await.unwrap();
            drop((reloads, updates));
            report
        };
        let both = async { tokio::join!(work, play).1 };
        let report = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
        // What was on its way acts in any case; a dry run speaks of what would come on top of it.
        let found: Vec<_> = ["a", "b", "c"].map(|name| format!("default/{name}/{name}.io/").into()).into();
        let want = if dry_run { vec!["default/d/d.io/".into()] } else { found.clone() };
        assert_eq!(report.changed.routes, want);
        assert_eq!(cell.load().routes.keys().cloned().collect::<Vec<_>>(), found);
    }
}

/// A source with nothing to say.
struct Nothing;

impl control::Sources for Nothing {
    async fn reread(&self) {}

    async fn peek(&self) -> Vec<Update> {
        Vec::new()
    }
}

#[tokio::test]
async fn an_address_is_forgotten_when_nobody_asks_about_its_name_any_more() {
    let cell = Arc::new(SnapshotCell::new(Snapshot::empty()));
    let view = Arc::new(ArcSwap::from_pointee(View::default()));
    let control = Control::new(settings(), Words::default(), cell.clone(), view);
    let (updates, from_providers) = mpsc::channel(1);
    let (_reloads, from_admin) = mpsc::channel(1);
    let (resolved, from_resolver) = mpsc::channel(1);
    let (names, mut wanted) = watch::channel(BTreeSet::new());
    let channels = Channels { updates: from_providers, reloads: from_admin, resolved: from_resolver, names };
    let work = control.run(channels, Nothing);
    let route = ingress("ext", &["e.io / ext:443"]);
    let endpoints = || cell.load().backends.iter().flatten().map(|backend| backend.endpoints.len()).sum();
    let say = async |changes: Vec<Change>| {
        for update in said(changes) {
            updates.send(update).await.unwrap();
        }
    };
    let play = async {
        say(vec![came(external("ext", "x.io")), came(route.clone())]).await;
        wanted.changed().await.unwrap();
        let addresses = Resolution::Addresses(vec!["10.0.0.7".parse().unwrap()]);
        resolved.send(("x.io".into(), addresses)).await.unwrap();
        say(vec![went(route.clone())]).await;
        wanted.changed().await.unwrap();
        assert!(wanted.borrow_and_update().is_empty());
        // Whatever the name led to then, it may be somebody else's now.
        say(vec![came(route.clone())]).await;
        wanted.changed().await.unwrap();
        let stale: usize = endpoints();
        let addresses = Resolution::Addresses(vec!["10.0.0.8".parse().unwrap()]);
        resolved.send(("x.io".into(), addresses)).await.unwrap();
        while endpoints() != 1_usize {
            tokio::task::yield_now().await;
        }
        stale
    };
    let stale = tokio::select! {
        () = work => unreachable!("its senders live"),
        stale = play => stale,
    };
    assert_eq!(stale, 0);
}
