//! The life of a change, on a thread of its own and never on a worker: what providers say becomes objects
//! ([`objects`]), objects become routes ([`translate`], [`class`]), routes compete for their slots ([`contest`]),
//! and the winners, with the endpoints of their backends ([`endpoints`], [`backends`]), become the next generation
//! ([`publish`]). [`Pipeline`] is all of that without waiting; [`Control`] waits, and is the only one that writes
//! the snapshot and the view.

pub mod backends;
pub mod class;
pub mod contest;
pub mod endpoints;
pub mod explain;
pub mod index;
pub mod objects;
mod pipeline;
pub mod problems;
pub mod publish;
pub mod translate;

#[cfg(test)]
mod tests;

pub use objects::Resolution;
pub use pipeline::{Applied, Pipeline, WantedName};

use crate::ground::problem::Severity;
use crate::model::settings::Settings;
use crate::model::vocabulary::Vocabulary;
use crate::provider::Update;
use crate::snapshot::SnapshotCell;
use crate::snapshot::view::{ReloadRequest, ViewCell};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// The reconcile loop: the single writer of snapshot and view.
#[derive(Debug)]
pub struct Control<V> {
    pipeline: Pipeline<V>,
    cell: Arc<SnapshotCell>,
    view: ViewCell,
}

/// Where a [`Control`] hears and speaks.
#[derive(Debug)]
pub struct Channels {
    /// What providers say.
    pub updates: mpsc::Receiver<Update>,
    /// What `admin` (or SIGHUP) asks for.
    pub reloads: mpsc::Receiver<ReloadRequest>,
    /// What names led to.
    pub resolved: mpsc::Receiver<(Arc<str>, Resolution)>,
    /// The names that somebody has to look up.
    pub names: watch::Sender<BTreeSet<WantedName>>,
}

/// Where everything can be read again.
#[expect(async_fn_in_trait, reason = "control has one thread: nothing need be Send")]
pub trait Sources {
    /// Has every source read again. What changed comes through the channel of updates, all of it before this returns.
    async fn reread(&self);

    /// What [`Sources::reread`] would bring, without bringing it.
    async fn peek(&self) -> Vec<Update>;
}

/// Asks a source for something, and takes what comes out of the channel meanwhile: a full channel must not hold up
/// its senders, because a provider answers only when it has got rid of what it found before.
async fn ask<T>(asked: impl Future<Output = T>, channel: &mut mpsc::Receiver<Update>) -> (T, Vec<Update>) {
    let mut updates = Vec::new();
    let mut asked = pin!(asked);
    let answer = loop {
        tokio::select! {
            biased;
            Some(update) = channel.recv() => updates.push(update),
            answer = &mut asked => break answer,
        }
    };
    updates.extend(queued(channel));
    (answer, updates)
}

/// At most so many problems of one change are written to the log.
const LOGGED_PROBLEMS: usize = 100;
/// At most so many messages are taken into one generation.
const BATCH: usize = 1_024;

impl<V: Vocabulary> Control<V> {
    /// Publishes nothing before every source that `settings` asks for has spoken.
    pub fn new(settings: Arc<Settings>, vocabulary: V, cell: Arc<SnapshotCell>, view: ViewCell) -> Self {
        Self { pipeline: Pipeline::new(settings, vocabulary), cell, view }
    }

    /// Takes updates, and publishes at most one generation.
    pub fn apply(&mut self, updates: Vec<Update>) -> Applied {
        let applied = self.pipeline.apply(updates);
        self.publish(applied)
    }

    /// Takes what names led to.
    pub fn resolve(&mut self, resolved: Vec<(Arc<str>, Resolution)>) -> Applied {
        let applied = self.pipeline.resolve(resolved);
        self.publish(applied)
    }

    /// Answers a reload request: `updates` are what changed when everything was read again.
    pub fn reload(&mut self, request: ReloadRequest, updates: Vec<Update>) {
        let report = if request.dry_run {
            self.pipeline.dry_run(updates)
        } else {
            let (applied, report) = self.pipeline.reload(updates);
            self.publish(applied);
            report
        };
        (request.reply)(report);
    }

    /// The names that somebody has to look up.
    pub fn wanted_names(&self) -> BTreeSet<WantedName> {
        self.pipeline.wanted_names()
    }

    /// Runs until every sender of updates is gone.
    pub async fn run<S: Sources>(mut self, mut channels: Channels, sources: S) {
        // With nothing to wait for, nothing will wake us: the first generation is made at once.
        self.apply(Vec::new());
        loop {
            self.tell_names(&channels.names);
            tokio::select! {
                biased;
                Some(request) = channels.reloads.recv() => {
                    if request.dry_run {
                        let (updates, first) = ask(sources.peek(), &mut channels.updates).await;
                        self.apply(first);
                        self.reload(request, updates);
                    } else {
                        let ((), updates) = ask(sources.reread(), &mut channels.updates).await;
                        self.reload(request, updates);
                    }
                }
                Some(first) = channels.resolved.recv() => {
                    let mut all = drain(first, &mut channels.resolved);
                    // An answer may come when nobody wants it any more.
                    let wanted = hosts(&channels.names.borrow());
                    all.retain(|(host, _)| wanted.contains(host));
                    self.resolve(all);
                }
                first = channels.updates.recv() => match first {
                    Some(first) => {
                        let all = drain(first, &mut channels.updates);
                        self.apply(all);
                    }
                    None => return,
                },
            }
        }
    }

    fn publish(&mut self, applied: Applied) -> Applied {
        if let Some(snapshot) = &applied.snapshot {
            let (routes, plugins) = (applied.changed.routes.len(), &applied.changed.plugins);
            tracing::info!(generation = snapshot.generation, routes, ?plugins, "published");
            self.cell.publish(snapshot.clone());
        }
        // The view says "synced" only after the generation that is meant is there.
        if applied.view_changed || !self.view.load().synced {
            self.view.store(Arc::new(self.pipeline.view()));
        }
        self.log_problems();
        applied
    }

    /// Writes down each problem once when it comes, and of a flood only the beginning.
    fn log_problems(&mut self) {
        let fresh = self.pipeline.take_fresh_problems();
        for problem in fresh.iter().take(LOGGED_PROBLEMS) {
            match problem.severity {
                Severity::Error => tracing::error!("{problem}"),
                Severity::Warning => tracing::warn!("{problem}"),
            }
        }
        if let Some(more) = fresh.len().checked_sub(LOGGED_PROBLEMS).filter(|more| *more > 0) {
            tracing::warn!(more, "more problems: GET /api/problems has them all");
        }
    }

    /// Says which names have to be looked up. What the others led to is forgotten: by the time that somebody wants
    /// them again, it may be somebody else's address.
    fn tell_names(&mut self, names: &watch::Sender<BTreeSet<WantedName>>) {
        let wanted = self.wanted_names();
        names.send_if_modified(|told| {
            let changed = *told != wanted;
            if changed {
                let (before, now) = (hosts(told), hosts(&wanted));
                before.difference(&now).for_each(|host| self.pipeline.forget_name(host));
                *told = wanted;
            }
            changed
        });
    }
}

fn hosts(names: &BTreeSet<WantedName>) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| name.host.clone()).collect()
}

/// What is queued already, into one batch.
fn drain<T>(first: T, queue: &mut mpsc::Receiver<T>) -> Vec<T> {
    std::iter::once(first).chain(queued(queue)).collect()
}

fn queued<T>(queue: &mut mpsc::Receiver<T>) -> impl Iterator<Item = T> {
    std::iter::from_fn(|| queue.try_recv().ok()).take(BATCH)
}
