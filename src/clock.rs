//! Coarse timers of one worker: a deadline is a number in a table that one tick looks through, not a timer object.
//!
//! Setting, moving and clearing a deadline is a store. Deadlines fire up to two ticks late and never early. The
//! table also carries the worker's idea of now: read once per tick, for the `Date` field and for sweeps.

use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

/// How often deadlines are looked at.
pub const TICK: Duration = Duration::from_millis(50);

/// A worker's timers. Cheap to clone; not for other threads.
#[derive(Clone)]
pub struct Clock(Rc<Table>);

struct Table {
    ticks: Cell<u64>,
    entries: RefCell<Slab<Entry>>,
    date: Cell<[u8; 29]>,
    draining: Cell<bool>,
}

#[derive(Default)]
struct Entry {
    /// Tick at which it has passed; `u64::MAX` while none is set.
    deadline: u64,
    waker: Option<Waker>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("ticks", &self.0.ticks.get()).finish_non_exhaustive()
    }
}

impl Clock {
    /// A clock at tick 0. Somebody has to call [`Clock::tick`].
    pub fn new(now: SystemTime) -> Self {
        let clock = Self(Rc::new(Table {
            ticks: Cell::new(0),
            entries: RefCell::default(),
            date: Cell::new([b' '; 29]),
            draining: Cell::new(false),
        }));
        clock.set_date(now);
        clock
    }

    /// One [`TICK`] has passed: wakes every task whose deadline has. `now` is for the `Date` field.
    pub fn tick(&self, now: SystemTime) {
        self.advance(1, now);
    }

    /// Several ticks at once, where the worker was late.
    pub fn advance(&self, ticks: u64, now: SystemTime) {
        let before = self.0.ticks.get();
        self.0.ticks.set(before + ticks);
        let per_second = 1_000 / TICK.as_millis() as u64;
        if before / per_second != (before + ticks) / per_second {
            self.set_date(now);
        }
        let due = before + ticks;
        self.wake(|entry| entry.deadline <= due);
    }

    /// From now on [`Clock::is_draining`]; every task that waits on a timer looks again.
    pub fn drain(&self) {
        self.0.draining.set(true);
        self.wake(|_| true);
    }

    /// Whether the worker is on its way out.
    pub fn is_draining(&self) -> bool {
        self.0.draining.get()
    }

    fn wake(&self, due: impl Fn(&Entry) -> bool) {
        // Wakers may run code that touches the table: collect first.
        let wakers: Vec<Waker> = self
            .0
            .entries
            .borrow_mut()
            .iter_mut()
            .filter(|(_, entry)| due(entry))
            .filter_map(|(_, entry)| entry.waker.take())
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn set_date(&self, now: SystemTime) {
        let text = httpdate::fmt_http_date(now);
        if let Ok(date) = text.as_bytes().try_into() {
            self.0.date.set(date);
        }
    }

    /// The `Date` field's value, at most a second old.
    pub fn date(&self) -> [u8; 29] {
        self.0.date.get()
    }

    /// Ticks so far.
    pub fn ticks(&self) -> u64 {
        self.0.ticks.get()
    }

    /// A timer without a deadline.
    pub fn timer(&self) -> Timer {
        let key = self.0.entries.borrow_mut().insert(Entry { deadline: u64::MAX, waker: None });
        Timer { clock: self.clone(), key }
    }

    /// How many timers there are.
    pub fn timers(&self) -> usize {
        self.0.entries.borrow().len()
    }
}

/// How many ticks `duration` is, rounded up, and one more: a deadline never fires early.
pub fn ticks(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(TICK.as_millis()) as u64 + 1
}

/// One deadline.
pub struct Timer {
    clock: Clock,
    key: usize,
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clock.0.entries.borrow_mut().try_remove(self.key);
    }
}

impl Timer {
    /// Sets or moves the deadline to `after` from now.
    pub fn set(&self, after: Duration) {
        let deadline = self.clock.0.ticks.get() + ticks(after);
        if let Some(entry) = self.clock.0.entries.borrow_mut().get_mut(self.key) {
            entry.deadline = deadline;
        }
    }

    /// Whether it has a deadline.
    pub fn is_set(&self) -> bool {
        self.clock.0.entries.borrow().get(self.key).is_some_and(|entry| entry.deadline != u64::MAX)
    }

    /// No deadline any more.
    pub fn clear(&self) {
        if let Some(entry) = self.clock.0.entries.borrow_mut().get_mut(self.key) {
            entry.deadline = u64::MAX;
            entry.waker = None;
        }
    }

    /// Ready once the deadline has passed; otherwise the task is woken then, and when the worker drains.
    pub fn poll_elapsed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut entries = self.clock.0.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.key) else { return Poll::Pending };
        if entry.deadline <= self.clock.0.ticks.get() {
            return Poll::Ready(());
        }
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// `future`, or none if the deadline passes first.
    pub async fn bound<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| self.poll_bound(future.as_mut(), cx)).await
    }

    fn poll_bound<F: Future>(&self, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if let Poll::Ready(output) = future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        self.poll_elapsed(cx).map(|()| None)
    }

    /// The clock that it belongs to.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const EPOCH: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_deadline_wakes_its_task_once_and_never_early() {
        let clock = Clock::new(EPOCH);
        let timer = clock.timer();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        timer.set(TICK * 3);
        for _ in 0..3 {
            assert!(timer.poll_elapsed(&mut cx).is_pending());
            clock.tick(EPOCH);
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        clock.tick(EPOCH);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(timer.poll_elapsed(&mut cx).is_ready());
    }

    #[test]
    fn a_moved_or_cleared_deadline_does_not_fire() {
        let clock = Clock::new(EPOCH);
        let timer = clock.timer();
        let waker = Waker::noop();
        let mut cx = Context::from_waker(waker);
        timer.set(TICK);
        timer.set(TICK * 10);
        clock.advance(5, EPOCH);
        assert!(timer.poll_elapsed(&mut cx).is_pending());
        timer.clear();
        clock.advance(100, EPOCH);
        assert!(timer.poll_elapsed(&mut cx).is_pending());
    }

    #[test]
    fn draining_wakes_everybody() {
        let clock = Clock::new(EPOCH);
        let timer = clock.timer();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        assert!(timer.poll_elapsed(&mut Context::from_waker(&waker)).is_pending());
        clock.drain();
        assert!(clock.is_draining());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_date_follows_and_timers_are_given_back() {
        let clock = Clock::new(EPOCH);
        assert_eq!(&clock.date(), b"Thu, 01 Jan 1970 00:00:00 GMT");
        clock.advance(20, EPOCH + Duration::from_secs(1));
        assert_eq!(&clock.date(), b"Thu, 01 Jan 1970 00:00:01 GMT");
        let timer = clock.timer();
        assert_eq!(clock.timers(), 1);
        drop(timer);
        assert_eq!(clock.timers(), 0);
    }
}
