//! Counters of the process that belong to no route: a block per worker, with that worker as its only writer, so
//! that counting is a plain load and store. Summed when scraped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Entrypoints are at most this many (`ground::names::EntryPoints`).
const ENTRYPOINTS: usize = 64;
/// Distinct reasons of refusal that are told apart; more fall together as `(other)`.
const REASONS: usize = 64;

/// All workers' counters.
#[derive(Debug)]
pub struct Metrics {
    workers: Box<[WorkerMetrics]>,
    /// What an index without a worker gets, so that counting cannot fail.
    spare: WorkerMetrics,
}

impl Metrics {
    /// For `workers` workers.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers: (0..workers).map(|_| WorkerMetrics::default()).collect(),
            spare: WorkerMetrics::default(),
        })
    }

    /// The counters that only worker `index` writes.
    pub fn worker(&self, index: usize) -> &WorkerMetrics {
        self.workers.get(index).unwrap_or(&self.spare)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The sum of one counter over all workers.
    pub fn sum(&self, counter: impl Fn(&WorkerMetrics) -> u64) -> u64 {
        self.workers.iter().fold(0, |sum, worker| sum.wrapping_add(counter(worker)))
    }

    /// Refused requests by reason, sorted by reason.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        let mut sums = std::collections::BTreeMap::new();
        for (reason, count) in self.workers.iter().flat_map(|worker| worker.refusals.counts()) {
            *sums.entry(reason).or_insert(0_u64) += count;
        }
        sums.into_iter().collect()
    }
}

/// One worker's counters. A monotonic pair (`accepted`, `closed`) makes a gauge: the difference, never negative
/// to a reader because the second is read first.
#[derive(Debug, Default)]
#[repr(align(128))] // two cache lines: neighbours are prefetched in pairs
pub struct WorkerMetrics {
    /// Connections by entrypoint.
    pub connections: Connections,
    /// Requests whose head was complete and valid.
    pub requests_started: Counter,
    /// Of those, the ones that are over, however they ended.
    pub requests_finished: Counter,
    /// Requests that no route answers (404).
    pub unrouted: Counter,
    /// Body bytes from clients.
    pub bytes_in: Counter,
    /// Body bytes to clients.
    pub bytes_out: Counter,
    /// Connections made to endpoints.
    pub upstream_connects: Counter,
    /// Requests sent on a kept connection.
    pub upstream_reuses: Counter,
    /// Connections to endpoints that could not be made.
    pub upstream_connect_failures: Counter,
    /// Requests sent again, to another endpoint or on another connection.
    pub upstream_retries: Counter,
    /// Lua VMs built.
    pub vms_built: Counter,
    /// Access log lines dropped because the writer did not keep up.
    pub log_lines_dropped: Counter,
    refusals: Refusals,
}

impl WorkerMetrics {
    /// Counts a request (or a connection) that was refused before any route: `bad request`, `header timeout`,
    /// `too many connections`. Reasons are texts of the program, few in number.
    pub fn refused(&self, reason: &'static str) {
        self.refusals.count(reason);
    }
}

/// Counts up; one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// `amount` more. Only the worker that owns the counter calls this, so no locked instruction is needed.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Release);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Connections by entrypoint.
#[derive(Debug)]
pub struct Connections {
    accepted: [Counter; ENTRYPOINTS],
    closed: [Counter; ENTRYPOINTS],
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            accepted: std::array::from_fn(|_| Counter::default()),
            closed: std::array::from_fn(|_| Counter::default()),
        }
    }
}

impl Connections {
    /// One was accepted.
    pub fn opened(&self, entrypoint: u8) {
        if let Some(counter) = self.accepted.get(usize::from(entrypoint)) {
            counter.inc();
        }
    }

    /// One is gone.
    pub fn closed(&self, entrypoint: u8) {
        if let Some(counter) = self.closed.get(usize::from(entrypoint)) {
            counter.inc();
        }
    }

    /// How many were accepted so far.
    pub fn accepted(&self, entrypoint: u8) -> u64 {
        self.accepted.get(usize::from(entrypoint)).map_or(0, Counter::get)
    }

    /// How many are open now.
    pub fn open(&self, entrypoint: u8) -> u64 {
        let closed = self.closed.get(usize::from(entrypoint)).map_or(0, Counter::get);
        self.accepted(entrypoint).saturating_sub(closed)
    }
}

/// A small table that fills as reasons occur. A reason is found by its address first: the same call site
/// always passes the same text.
#[derive(Debug)]
struct Refusals {
    slots: [(OnceLock<&'static str>, Counter); REASONS],
    others: Counter,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            slots: std::array::from_fn(|_| (OnceLock::new(), Counter::default())),
            others: Counter::default(),
        }
    }
}

impl Refusals {
    fn count(&self, reason: &'static str) {
        for (slot, counter) in &self.slots {
            let found = *slot.get_or_init(|| reason);
            if std::ptr::eq(found, reason) || found == reason {
                return counter.inc();
            }
        }
        self.others.inc();
    }

    fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let known =
            self.slots.iter().map_while(|(slot, counter)| slot.get().map(|reason| (*reason, counter.get())));
        let others = self.others.get();
        known.chain((others > 0).then_some(("(other)", others)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_count_apart_and_are_summed() {
        let metrics = Metrics::new(2);
        metrics.worker(0).bytes_in.add(10);
        metrics.worker(1).bytes_in.add(5);
        metrics.worker(9).bytes_in.add(100); // no such worker: counted nowhere, and nothing breaks
        assert_eq!(metrics.sum(|worker| worker.bytes_in.get()), 15);
    }

    #[test]
    fn open_connections_are_those_not_closed() {
        let metrics = Metrics::new(1);
        let connections = &metrics.worker(0).connections;
        connections.opened(3);
        connections.opened(3);
        connections.closed(3);
        connections.opened(200); // no such entrypoint
        assert_eq!((connections.accepted(3), connections.open(3), connections.open(0)), (2, 1, 0));
    }

    #[test]
    fn reasons_meet_by_text_even_where_their_addresses_differ() {
        let metrics = Metrics::new(2);
        let copy: &'static str = String::from("bad request").leak();
        metrics.worker(0).refused("bad request");
        metrics.worker(0).refused(copy);
        metrics.worker(1).refused("bad request");
        metrics.worker(1).refused("a timeout");
        assert_eq!(metrics.refusals(), [("a timeout", 1), ("bad request", 3)]);
    }

    #[test]
    fn too_many_reasons_fall_together() {
        let metrics = Metrics::new(1);
        for index in 0..REASONS + 3 {
            metrics.worker(0).refused(format!("reason {index:03}").leak());
        }
        let refusals = metrics.refusals();
        assert_eq!(refusals.len(), REASONS + 1);
        assert_eq!(refusals.first(), Some(&("(other)", 3)));
    }
}
