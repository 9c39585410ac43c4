//! A worker: one thread, one current-thread runtime, its own listeners, pools and Lua VM.

use crate::clock::{Clock, TICK};
use crate::listener::{self, Site};
use crate::model::settings::Settings;
use crate::plugin::{Shared, WorkerHost};
use crate::proxy::{Parts, Proxy};
use crate::snapshot::SnapshotCell;
use crate::telemetry::{AccessLogger, Metrics};
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::SystemTime;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Serving.
    Run,
    /// No new connections; what is in flight is finished.
    Drain,
    /// At once.
    Stop,
}

/// What a worker is made of; goes to its thread.
pub struct Worker {
    /// Its index.
    pub index: usize,
    /// Its listeners, in the order of the entrypoints.
    pub listeners: Vec<TcpListener>,
    /// How the process is set up.
    pub settings: Arc<Settings>,
    /// Where generations come from.
    pub cell: Arc<SnapshotCell>,
    /// What plugin hosts share.
    pub plugins: Arc<Shared>,
    /// Counters of all workers.
    pub metrics: Arc<Metrics>,
    /// Its access log.
    pub log: AccessLogger,
    /// How far the process is.
    pub phase: watch::Receiver<Phase>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Worker {
    /// Starts its thread.
    pub fn start(self) -> io::Result<JoinHandle<io::Result<()>>> {
        std::thread::Builder::new().name(format!("worker-{}", self.index)).spawn(move || self.run())
    }

    fn run(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(tokio::runtime::LocalOptions::default())?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> io::Result<()> {
        let clock = Clock::new(SystemTime::now());
        let limits = self.settings.limits.clone();
        let proxy = Proxy::new(Parts {
            cell: self.cell,
            plugins: WorkerHost::new(&limits, self.plugins),
            clock: clock.clone(),
            settings: self.settings.clone(),
            metrics: self.metrics.clone(),
            worker: self.index,
            log: self.log,
        });
        let site =
            Site::new(proxy, clock.clone(), &limits, &self.settings.entrypoints, (self.metrics, self.index));
        let ticking = tokio::task::spawn_local(tick(clock.clone(), site.clone()));
        let mut accepting = Vec::new();
        for (entrypoint, listener) in self.listeners.into_iter().enumerate() {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            accepting.push(tokio::task::spawn_local(listener::accept(
                listener,
                entrypoint as u8,
                site.clone(),
            )));
        }
        let mut phase = self.phase;
        // A sender that is gone means the same as Drain: nobody is left to wait for.
        drop(phase.wait_for(|phase| *phase != Phase::Run).await);
        clock.drain();
        for task in accepting {
            let _joined = task.await;
        }
        finish(&site, &mut phase).await;
        ticking.abort();
        Ok(())
    }
}

/// Until the last connection is gone or the process has no more patience.
async fn finish(site: &Rc<Site<Proxy>>, phase: &mut watch::Receiver<Phase>) {
    let mut look = tokio::time::interval(TICK);
    while site.open() > 0 && *phase.borrow() != Phase::Stop {
        tokio::select! {
            _ = look.tick() => {}
            changed = phase.changed() => if changed.is_err() { return },
        }
    }
}

/// The worker's heartbeat.
async fn tick(clock: Clock, site: Rc<Site<Proxy>>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let start = tokio::time::Instant::now();
    loop {
        let now = interval.tick().await;
        let due = (now.duration_since(start).as_millis() / TICK.as_millis()) as u64;
        let behind = due.saturating_sub(clock.ticks());
        if behind > 0 {
            clock.advance(behind, SystemTime::now());
        }
        site.handler().tick();
    }
}
