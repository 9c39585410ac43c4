//! Counters of one route: a shard per worker (one writer each, so no read-modify-write instruction is needed),
//! made on the worker's first request and summed when scraped.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the latency histogram's buckets in microseconds; the last bucket is unbounded.
pub const BUCKETS_US: [u64; 11] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// Statuses that are counted one by one; any other is counted as the `x00` of its class.
pub const CODES: [u16; 33] = [
    100, 200, 201, 202, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409, 413,
    414, 421, 422, 429, 431, 499, 500, 501, 502, 503, 504, 0,
];

/// Counters of one route.
#[derive(Debug)]
pub struct RouteTally {
    shards: Box<[OnceLock<Box<Shard>>]>,
}

/// In this order and on a cache line of its own, so that a usual request (200, quick) touches two lines: where there
/// are ten thousand routes, none of them is in the cache.
#[derive(Debug)]
#[repr(C, align(64))]
struct Shard {
    sum_us: AtomicU64,
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    codes: [AtomicU64; CODES.len()],
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            sum_us: AtomicU64::new(0),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            codes: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// Sums over all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteCounts {
    /// Requests by status, only those that occurred, ascending.
    pub codes: Vec<(u16, u64)>,
    /// Requests by latency: counts of [`BUCKETS_US`] and of what lies above, not cumulative.
    pub buckets: [u64; BUCKETS_US.len() + 1],
    /// Sum of latencies in microseconds.
    pub sum_us: u64,
}

impl RouteTally {
    /// For `workers` writers.
    pub fn new(workers: usize) -> Self {
        Self { shards: (0..workers).map(|_| OnceLock::new()).collect() }
    }

    /// Counts a finished request. `worker` is the calling worker's index: each shard has one writer.
    pub fn record(&self, worker: usize, status: u16, duration_us: u64) {
        let Some(shard) = self.shards.get(worker) else { return };
        let shard = shard.get_or_init(Box::default);
        let code = CODES.binary_search_by(|code| sort_key(*code).cmp(&status)).unwrap_or_else(|_| {
            let class = (status / 100).clamp(1, 5) * 100;
            CODES.iter().position(|code| *code == class).unwrap_or(CODES.len() - 1)
        });
        if let Some(counter) = shard.codes.get(code) {
            add(counter, 1);
        }
        if let Some(counter) = shard.buckets.get(BUCKETS_US.partition_point(|bound| *bound < duration_us)) {
            add(counter, 1);
        }
        add(&shard.sum_us, duration_us);
    }

    /// The sums now.
    pub fn counts(&self) -> RouteCounts {
        let mut codes = [0_u64; CODES.len()];
        let mut counts = RouteCounts::default();
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            for (sum, counter) in codes.iter_mut().zip(&shard.codes) {
                *sum += counter.load(Ordering::Relaxed);
            }
            for (sum, counter) in counts.buckets.iter_mut().zip(&shard.buckets) {
                *sum += counter.load(Ordering::Relaxed);
            }
            counts.sum_us += shard.sum_us.load(Ordering::Relaxed);
        }
        counts.codes = CODES.into_iter().zip(codes).filter(|(_, count)| *count > 0).collect();
        counts
    }
}

/// The placeholder 0 at the end sorts last.
fn sort_key(code: u16) -> u16 {
    if code == 0 { u16::MAX } else { code }
}

/// One writer: a plain load and store suffice.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_summed_and_odd_codes_fall_into_their_class() {
        let tally = RouteTally::new(2);
        tally.record(0, 200, 900);
        tally.record(1, 200, 3_000);
        tally.record(1, 418, 9_000_000);
        tally.record(7, 200, 1); // no such worker: nothing
        let counts = tally.counts();
        assert_eq!(counts.codes, [(200, 2), (400, 1)]);
        assert_eq!(counts.buckets.iter().sum::<u64>(), 3);
        assert_eq!((counts.buckets[0], counts.buckets[2], counts.buckets[11]), (1, 1, 1));
        assert_eq!(counts.sum_us, 9_003_900);
    }

    #[test]
    fn every_code_finds_itself() {
        for code in CODES.into_iter().filter(|code| *code != 0) {
            let tally = RouteTally::new(1);
            tally.record(0, code, 0);
            assert_eq!(tally.counts().codes, [(code, 1)]);
        }
    }
}
