//! The access log: each worker formats lines into a buffer of its own and hands over batches; one thread writes
//! them to standard output. A worker never waits: where the writer does not keep up, lines are dropped and
//! counted.

use super::line::{Clock, Line};
use super::metrics::Metrics;
use crate::exchange::Exchange;
use crate::model::settings::AccessLog as Format;
use crate::snapshot::LiveRoute;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::{Duration, SystemTime};

/// A batch is handed over when it is this large, whatever its age.
const BATCH_BYTES: usize = 32 << 10;
/// Batches that may wait for the writer: 2 MiB in all.
const QUEUE: usize = 64;

/// The writing half: started once, hands a logger to each worker.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    entrypoints: Arc<[Arc<str>]>,
    batches: Option<SyncSender<Vec<u8>>>,
    count: Arc<AtomicU64>,
    /// Disconnects when the writer has ended.
    ended: Receiver<()>,
}

impl AccessLog {
    /// Starts the writer thread, unless `format` is off. `entrypoints` are the names by index.
    pub fn start(format: Format, entrypoints: Arc<[Arc<str>]>) -> io::Result<Self> {
        Self::to(format, entrypoints, io::stdout())
    }

    /// The same, into another place than standard output.
    pub fn to(
        format: Format,
        entrypoints: Arc<[Arc<str>]>,
        place: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let (batches, waiting) = sync_channel(QUEUE);
        let (end, ended) = channel();
        let batches = if format == Format::Off {
            None
        } else {
            std::thread::Builder::new().name("access-log".into()).spawn(move || {
                write_all(&waiting, place);
                drop(end);
            })?;
            Some(batches)
        };
        Ok(Self { format, entrypoints, batches, count: Arc::default(), ended })
    }

    /// The logger of one worker.
    pub fn logger(&self, metrics: Arc<Metrics>, worker: usize) -> AccessLogger {
        AccessLogger {
            entrypoints: Arc::clone(&self.entrypoints),
            pending: Pending {
                format: self.format,
                batches: self.batches.clone(),
                count: Arc::clone(&self.count),
                metrics,
                worker,
                buffer: Vec::new(),
                lines: 0,
                clock: Clock::default(),
            },
        }
    }

    /// Waits until everything is written: call it when the workers, and with them their loggers, are gone.
    /// Gives up after `patience`; false then.
    pub fn finish(self, patience: Duration) -> bool {
        drop(self.batches);
        self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

/// One worker's half.
#[derive(Debug)]
pub struct AccessLogger {
    entrypoints: Arc<[Arc<str>]>,
    pending: Pending,
}

impl AccessLogger {
    /// Whether anything is logged at all.
    pub fn is_on(&self) -> bool {
        self.pending.batches.is_some()
    }

    /// Takes down a finished exchange that began at `started`.
    pub fn record(&mut self, exchange: &Exchange, route: Option<&LiveRoute>, started: SystemTime) {
        if self.is_on() {
            self.pending.write(&Line::of(exchange, route, &self.entrypoints, started));
        }
    }

    /// Takes down a request that never became an exchange: its head was refused with `status`.
    pub fn record_refusal(
        &mut self,
        peer: SocketAddr,
        entrypoint: u8,
        (status, reason, bytes_out): (u16, &str, u64),
        started: SystemTime,
        duration: Duration,
    ) {
        if self.is_on() {
            let mut line = Line::refusal(peer, status, reason, started);
            line.duration_us = duration.as_micros() as u64;
            line.bytes_out = bytes_out;
            line.entrypoint = self.entrypoints.get(usize::from(entrypoint)).map_or("", |name| &**name);
            self.pending.write(&line);
        }
    }

    /// Hands over what there is. The worker calls it from its own tick, at least every 200 ms.
    pub fn flush(&mut self) {
        self.pending.flush();
    }
}

impl Drop for AccessLogger {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Lines that were not handed over yet.
#[derive(Debug)]
struct Pending {
    format: Format,
    batches: Option<SyncSender<Vec<u8>>>,
    count: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
    worker: usize,
    buffer: Vec<u8>,
    lines: u64,
    clock: Clock,
}

impl Pending {
    fn write(&mut self, line: &Line<'_>) {
        match self.format {
            Format::Off => return,
            Format::Common => {
                let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
                line.common(count, &mut self.clock, &mut self.buffer);
            }
            Format::Json => line.json(&mut self.clock, &mut self.buffer),
        }
        self.lines += 1;
        if self.buffer.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.buffer);
        let lines = std::mem::take(&mut self.lines);
        if self.batches.as_ref().is_some_and(|batches| batches.try_send(batch).is_err()) {
            self.metrics.worker(self.worker).log_lines_dropped.add(lines);
        }
    }
}

/// Runs until every sender is gone. A place that fails (a closed pipe) is said once; what comes after it is
/// thrown away, so that no worker notices.
fn write_all(batches: &Receiver<Vec<u8>>, mut place: impl Write) {
    let mut broken = false;
    while let Ok(batch) = batches.recv() {
        if broken {
            continue;
        }
        if let Err(error) = place.write_all(&batch).and_then(|()| place.flush()) {
            tracing::warn!(%error, "the access log cannot be written and is off from now on");
            broken = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Never takes anything until its partner is dropped.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _gone = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn refuse(logger: &mut AccessLogger) {
        let peer = SocketAddr::from(([192, 0, 2, 1], 5));
        logger.record_refusal(
            peer,
            0,
            (400, "bad request", 0),
            SystemTime::UNIX_EPOCH,
            Duration::from_millis(3),
        );
    }

    #[test]
    fn every_line_is_written_by_the_time_the_log_is_finished() {
        let place = Shared::default();
        let log = AccessLog::to(Format::Json, Arc::new(["http".into()]), place.clone()).unwrap();
        let metrics = Metrics::new(2);
        let mut loggers: Vec<_> = (0..2).map(|worker| log.logger(Arc::clone(&metrics), worker)).collect();
        for logger in &mut loggers {
            for _ in 0..500 {
                refuse(logger);
            }
        }
        drop(loggers);
        assert!(log.finish(Duration::from_secs(20)));
        let text = String::from_utf8(place.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1000);
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["reason"], "bad request");
            assert_eq!(line["entrypoint"], "http");
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts_lines_instead_of_blocking() {
        let (release, stuck) = channel();
        let log = AccessLog::to(Format::Common, Arc::new([]), Stuck(stuck)).unwrap();
        let metrics = Metrics::new(1);
        let mut logger = log.logger(Arc::clone(&metrics), 0);
        for _ in 0..QUEUE + 10 {
            refuse(&mut logger);
            logger.flush();
        }
        // One batch may be in the writer's hands.
        let dropped = metrics.sum(|worker| worker.log_lines_dropped.get());
        assert!((9..=10).contains(&dropped), "{dropped}");
        drop(release);
        drop(logger);
        assert!(log.finish(Duration::from_secs(20)));
    }

    #[test]
    fn off_is_off() {
        let log = AccessLog::start(Format::Off, Arc::new([])).unwrap();
        let mut logger = log.logger(Metrics::new(1), 0);
        assert!(!logger.is_on());
        refuse(&mut logger);
        assert!(logger.pending.buffer.is_empty());
    }
}
