//! The clock that makes runaway Lua look up: one thread moves an epoch each millisecond while any thread runs Lua,
//! and sleeps while none does. The interrupt of a VM only compares the epoch with what it saw last; reading a real
//! clock there would cost 2.7 times the loop it guards (`spec/lua-plugins.md` 2).

use std::cell::OnceCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often the epoch moves.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without Lua after which the thread sleeps.
const IDLE_TICKS: u32 = 64;
/// A sleeping ticker looks up once in this time, whatever happened: the answer to a wake-up that got lost.
const SAFETY_NET: Duration = Duration::from_millis(250);

static EPOCH: AtomicU64 = AtomicU64::new(1);
static ASLEEP: AtomicBool = AtomicBool::new(false);
static TICKER: OnceLock<Option<Ticker>> = OnceLock::new();

struct Ticker {
    thread: Thread,
    lanes: Mutex<Vec<Arc<Lane>>>,
}

/// One thread's sign of life: odd while it runs Lua, and moved on by every call. Its own cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Lane(AtomicU64);

thread_local! {
    static LANE: OnceCell<Arc<Lane>> = const { OnceCell::new() };
}

/// The epoch now.
#[inline]
pub fn epoch() -> u64 {
    EPOCH.load(Ordering::Relaxed)
}

/// Whether the epoch moves at all. Without a ticker thread every interrupt has to look at the clock.
pub fn works() -> bool {
    ticker().is_some()
}

/// Says that this thread runs Lua until the guard goes. Stays on its thread.
#[must_use]
#[derive(Debug)]
pub struct Running(PhantomData<*const ()>);

impl Running {
    /// From now on.
    #[inline]
    pub fn start() -> Self {
        LANE.with(|lane| bump(lane.get_or_init(register)));
        // A plain load: if the ticker is just falling asleep and this misses it, the ticker's last look, a whole
        // tick later, sees the lane's store.
        if ASLEEP.load(Ordering::Relaxed) {
            wake();
        }
        Self(PhantomData)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        LANE.with(|lane| bump(lane.get_or_init(register)));
    }
}

/// One writer, so that no read-modify-write instruction is needed.
fn bump(lane: &Lane) {
    lane.0.store(lane.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

#[cold]
fn wake() {
    if let Some(ticker) = ticker() {
        ASLEEP.store(false, Ordering::Relaxed);
        ticker.thread.unpark();
    }
}

fn register() -> Arc<Lane> {
    let lane = Arc::new(Lane::default());
    if let Some(ticker) = ticker() {
        ticker.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&lane));
    }
    lane
}

fn ticker() -> Option<&'static Ticker> {
    TICKER
        .get_or_init(|| {
            let spawned = thread::Builder::new().name("moongate-ticker".into()).spawn(tick);
            match spawned {
                Ok(handle) => Some(Ticker { thread: handle.thread().clone(), lanes: Mutex::default() }),
                Err(error) => {
                    tracing::error!(%error, "no ticker thread: Lua runs slower, its limits still hold");
                    None
                }
            }
        })
        .as_ref()
}

fn tick() {
    let mut last = 0;
    let mut idle = 0;
    loop {
        thread::park_timeout(TICK);
        EPOCH.fetch_add(1, Ordering::Relaxed);
        let Some(ticker) = TICKER.get().and_then(Option::as_ref) else { continue };
        let (now, running) = ticker.look();
        idle = if running || now != last { 0 } else { idle + 1 };
        last = now;
        match idle {
            IDLE_TICKS => ASLEEP.store(true, Ordering::Relaxed),
            // Asleep since a whole tick, and still nobody runs.
            _ if idle > IDLE_TICKS && ASLEEP.load(Ordering::Relaxed) => {
                thread::park_timeout(SAFETY_NET);
                idle = if ASLEEP.load(Ordering::Relaxed) { IDLE_TICKS } else { 0 };
            }
            0 if ASLEEP.load(Ordering::Relaxed) => ASLEEP.store(false, Ordering::Relaxed),
            _ => {}
        }
    }
}

impl Ticker {
    /// A number that changes with every call of Lua, and whether any thread is in one. Lanes of threads that ended
    /// are dropped.
    fn look(&self) -> (u64, bool) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|lane| Arc::strong_count(lane) > 1);
        lanes
            .iter()
            .map(|lane| lane.0.load(Ordering::Relaxed))
            .fold((0, false), |(sum, running), count| (sum.wrapping_add(count), running || count % 2 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn eventually(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            thread::yield_now();
        }
    }

    #[test]
    fn the_epoch_moves_while_lua_runs() {
        let running = Running::start();
        let before = epoch();
        eventually("the epoch moves", || epoch() >= before + 3);
        drop(running);
    }
}
