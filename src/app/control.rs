//! The control plane's thread: providers, resolver and the reconcile loop on one current-thread runtime.

use super::names;
use super::worker::Phase;
use crate::control::{Channels, Control, Sources};
use crate::model::settings::Settings;
use crate::plugin::Stage;
use crate::provider::manifests::Manifests;
use crate::provider::plugins::Plugins;
use crate::provider::watch::{self as files, Reload};
use crate::provider::{Update, to};
use crate::snapshot::SnapshotCell;
use crate::snapshot::view::{ReloadRequest, ViewCell};
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};

/// Updates that may wait for control; a provider with more to say waits itself.
const UPDATES: usize = 64;

/// Starts the thread.
pub(super) fn start(
    settings: &Arc<Settings>,
    cell: &Arc<SnapshotCell>,
    view: &ViewCell,
    reloads: mpsc::Receiver<ReloadRequest>,
    phase: watch::Receiver<Phase>,
) -> anyhow::Result<JoinHandle<()>> {
    let (settings, cell, view) = (settings.clone(), cell.clone(), view.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || runtime.block_on(run(settings, cell, view, reloads, phase)))
        .context("cannot start the control thread")
}

async fn run(
    settings: Arc<Settings>,
    cell: Arc<SnapshotCell>,
    view: ViewCell,
    reloads: mpsc::Receiver<ReloadRequest>,
    mut phase: watch::Receiver<Phase>,
) {
    let stage = Stage::new(&settings.limits, &settings.plugins, settings.strict);
    let control = Control::new(settings.clone(), stage, cell, view);
    let (updates, said) = mpsc::channel(UPDATES);
    let (wanted, names) = watch::channel(BTreeSet::new());
    let (answers, resolved) = mpsc::channel(UPDATES);
    let disk = Disk::start(&settings, updates.clone());
    if let Some((host, port)) = &settings.sources.to {
        // The channel is empty: this cannot fail.
        let _queued = updates.try_send(Update::Objects(to::objects(host, *port)));
    }
    let resolving = tokio::spawn(names::resolve(settings.nameservers.clone(), names, answers));
    let channels = Channels { updates: said, reloads, resolved, names: wanted };
    tokio::select! {
        () = control.run(channels, disk) => {}
        _ = phase.wait_for(|phase| *phase == Phase::Stop) => {}
    }
    resolving.abort();
    drop(updates);
}

/// What is read from disk, and can be read again.
struct Disk {
    providers: Vec<Reload>,
}

impl Disk {
    fn start(settings: &Settings, updates: mpsc::Sender<Update>) -> Self {
        let mut providers = Vec::new();
        if !settings.plugin_dirs.is_empty() {
            let (reload, asks) = files::reload();
            tokio::spawn(files::run(Plugins::new(settings.plugin_dirs.clone()), updates.clone(), asks));
            providers.push(reload);
        }
        if !settings.sources.manifests.is_empty() {
            let (reload, asks) = files::reload();
            tokio::spawn(files::run(Manifests::new(settings.sources.manifests.clone()), updates, asks));
            providers.push(reload);
        }
        Self { providers }
    }
}

impl Sources for Disk {
    async fn reread(&self) {
        for provider in &self.providers {
            if !provider.reread().await {
                tracing::error!("a provider has ended; what it last said stays in force");
            }
        }
    }

    async fn peek(&self) -> Vec<Update> {
        let mut updates = Vec::new();
        for provider in &self.providers {
            updates.extend(provider.peek().await);
        }
        updates
    }
}
