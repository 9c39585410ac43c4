//! Wiring: the only part that knows everyone. Builds the parts, hands out channels, joins threads.
//!
//! Threads: one per worker, one for control (with providers and the resolver), one for admin, one that writes the
//! access log, and the one that called, which waits for signals.

mod control;
mod names;
mod offline;
pub mod worker;

pub use offline::{check, explain};

use crate::admin::{self, AdminState, Health};
use crate::listener;
use crate::model::plugins::PluginSet;
use crate::model::settings::Settings;
use crate::plugin::Shared;
use crate::router::Router;
use crate::snapshot::view::{ReloadRequest, Reloader, View, ViewCell};
use crate::snapshot::{Snapshot, SnapshotCell};
use crate::telemetry::scrape::PluginErrors;
use crate::telemetry::{AccessLog, Metrics};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use worker::{Phase, Worker};

/// Reload requests that may wait for control.
const RELOADS: usize = 16;

/// A running proxy.
#[derive(Debug)]
pub struct App {
    settings: Arc<Settings>,
    health: Arc<Health>,
    phase: watch::Sender<Phase>,
    workers: Vec<JoinHandle<io::Result<()>>>,
    control: JoinHandle<()>,
    admin: JoinHandle<()>,
    log: AccessLog,
    reloads: mpsc::Sender<ReloadRequest>,
    view: ViewCell,
}

impl App {
    /// Binds every address and starts every thread. Requests are answered once everything that `settings` names was
    /// read (`/ping` says so).
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        let settings = Arc::new(settings);
        listener::raise_descriptor_limit();
        let health = Health::new();
        let metrics = Metrics::new(settings.workers);
        let plugins = Shared::new();
        let cell = Arc::new(SnapshotCell::new(nothing()));
        let view: ViewCell = Arc::new(ArcSwap::from_pointee(View::default()));
        let (phase, phases) = watch::channel(Phase::Run);
        let names: Arc<[Arc<str>]> =
            settings.entrypoints.iter().map(|entrypoint| entrypoint.name.clone()).collect();
        let log =
            AccessLog::start(settings.access_log, names.clone()).context("cannot start the access log")?;

        let admin = TcpListener::bind(settings.admin)
            .with_context(|| format!("cannot listen on the admin address {}", settings.admin))?;
        let (addresses, sockets) = bind_all(&settings)?;
        let (reloads, requests) = mpsc::channel(RELOADS);
        let control = control::start(&settings, &cell, &view, requests, phases.clone())?;
        let mut workers = Vec::new();
        for (index, listeners) in sockets.into_iter().enumerate() {
            let worker = Worker {
                index,
                listeners,
                settings: settings.clone(),
                cell: cell.clone(),
                plugins: plugins.clone(),
                metrics: metrics.clone(),
                log: log.logger(metrics.clone(), index),
                phase: phases.clone(),
            };
            workers.push(worker.start().context("cannot start a worker")?);
        }
        health.listening(addresses);
        let state = AdminState {
            entrypoints: names,
            token: settings.admin_token.clone(),
            snapshot: cell,
            view: view.clone(),
            reload: reloader(reloads.clone()),
            metrics,
            health: health.clone(),
            plugin_errors: plugin_errors(plugins),
        };
        let mut stopped = phases;
        let admin = admin::serve(admin, state, async move {
            // The admin address answers to the very end of a drain: that is when people look.
            drop(stopped.wait_for(|phase| *phase == Phase::Stop).await);
        });
        let admin = admin.context("cannot start the admin thread")?;
        Ok(Self { settings, health, phase, workers, control, admin, log, reloads, view })
    }

    /// The entrypoints with the addresses that they are bound to.
    pub fn entrypoints(&self) -> &[(Arc<str>, SocketAddr)] {
        self.health.addresses()
    }

    /// The address that the admin API is bound to.
    pub fn admin(&self) -> SocketAddr {
        self.health.admin().unwrap_or(self.settings.admin)
    }

    /// Whether everything that the settings name was read once.
    pub fn is_synced(&self) -> bool {
        self.view.load().synced
    }

    /// Reads every source again; the outcome is in the log.
    pub fn reload(&self) {
        let request = ReloadRequest {
            dry_run: false,
            reply: Box::new(|report| {
                tracing::info!(generation = report.generation, ok = report.ok, "reloaded");
            }),
        };
        if self.reloads.try_send(request).is_err() {
            tracing::warn!("a reload is under way already");
        }
    }

    /// No new connections; what is in flight goes on.
    pub fn drain(&self) {
        self.health.drain();
        self.phase.send_replace(Phase::Drain);
    }

    /// Whether every worker has finished.
    pub fn is_drained(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// Ends what is left, and every thread.
    pub fn stop(self) {
        self.drain();
        self.phase.send_replace(Phase::Stop);
        for worker in self.workers {
            match worker.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a worker failed"),
                Err(_panic) => tracing::error!("a worker panicked"),
            }
        }
        for thread in [self.control, self.admin] {
            if thread.join().is_err() {
                tracing::error!("a thread of the control plane panicked");
            }
        }
        self.log.finish(Duration::from_secs(1));
    }
}

/// One listener per worker and entrypoint; the first worker's decides the port where any will do.
type Sockets = (Vec<(Arc<str>, SocketAddr)>, Vec<Vec<TcpListener>>);

fn bind_all(settings: &Settings) -> anyhow::Result<Sockets> {
    let mut addresses = Vec::new();
    let mut sockets: Vec<Vec<TcpListener>> = (0..settings.workers).map(|_| Vec::new()).collect();
    for entrypoint in &settings.entrypoints {
        let first =
            listener::bind(entrypoint.address).with_context(|| format!("entrypoint {}", entrypoint.name))?;
        let address = first.local_addr()?;
        let mut first = Some(first);
        for listeners in &mut sockets {
            listeners.push(match first.take() {
                Some(first) => first,
                None => listener::bind_again(address)?,
            });
        }
        addresses.push((entrypoint.name.clone(), address));
    }
    Ok((addresses, sockets))
}

/// The generation before the first.
fn nothing() -> Snapshot {
    Snapshot {
        generation: 0,
        router: Router::default(),
        routes: imbl::OrdMap::new(),
        backends: imbl::Vector::new(),
        plugins: Arc::new(PluginSet { generation: 0, plugins: Vec::new() }),
    }
}

fn reloader(reloads: mpsc::Sender<ReloadRequest>) -> Reloader {
    Arc::new(move |request| reloads.try_send(request).is_ok())
}

fn plugin_errors(plugins: Arc<Shared>) -> admin::PluginErrorSource {
    Arc::new(move || {
        let errors = plugins.errors().into_iter();
        errors.map(|(plugin, kind, count)| PluginErrors { plugin, kind: kind.as_str(), count }).collect()
    })
}

/// Serves until a signal ends it: SIGTERM or SIGINT drains for up to the grace time, a second one ends at once;
/// SIGHUP reloads.
pub fn serve(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let grace = settings.grace;
        let app = App::start(settings)?;
        for (name, address) in app.entrypoints() {
            tracing::info!(entrypoint = %name, %address, "listening");
        }
        tracing::info!(address = %app.admin(), "admin API and dashboard");
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => app.reload(),
            }
        }
        tracing::info!(grace_s = grace.as_secs(), "draining: no new connections");
        app.drain();
        let end = Instant::now() + grace;
        while !app.is_drained() && Instant::now() < end {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        if !app.is_drained() {
            tracing::warn!("ending with requests in flight");
        }
        app.stop();
        Ok(())
    })
}
