//! How much CPU a call into Lua may use. The interrupt fires at every loop back-edge and call; it costs one relaxed
//! load and a compare until the ticker has moved the epoch, and only then looks at the thread's CPU clock. So
//! throttling and preemption kill nobody, and a `pcall` around a loop cannot save it: once killed, every further
//! safepoint raises again.

use crate::plugin::ticker::{self, Running};
use mlua::ffi::{self, lua_State};
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::ffi::c_int;
use std::time::Duration;

struct Budget {
    /// The epoch of the last look; `u64::MAX` to look every time.
    seen: Cell<u64>,
    /// The thread's CPU time at the first look, in nanoseconds; 0 before it.
    since: Cell<u64>,
    /// What it may use, in nanoseconds; 0 where nothing is limited.
    limit: Cell<u64>,
    killed: Cell<bool>,
}

thread_local! {
    static BUDGET: Budget = const {
        Budget { seen: Cell::new(0), since: Cell::new(0), limit: Cell::new(0), killed: Cell::new(false) }
    };
}

/// How a limited call ended.
#[derive(Debug)]
pub struct Outcome<R> {
    /// What it returned.
    pub result: R,
    /// It used up its CPU time; the result is not to be trusted.
    pub killed: bool,
}

/// Runs `f` with at most `limit` of CPU time for the Lua in it.
pub fn limited<R>(limit: Duration, f: impl FnOnce() -> R) -> Outcome<R> {
    let _running = Running::start();
    BUDGET.with(|budget| {
        budget.seen.set(if ticker::works() { ticker::epoch() } else { u64::MAX });
        budget.since.set(0);
        budget.limit.set(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1));
        budget.killed.set(false);
    });
    let result = f();
    let killed = BUDGET.with(|budget| {
        budget.limit.set(0);
        budget.killed.replace(false)
    });
    Outcome { result, killed }
}

/// Takes the place of mlua's own interrupt callback, which wraps errors and costs several times as much.
pub(super) unsafe extern "C-unwind" fn interrupt(state: *mut lua_State, gc: c_int) {
    if gc >= 0 {
        return; // inside the garbage collector nothing may be raised
    }
    let over = BUDGET.with(|budget| ticker::epoch() != budget.seen.get() && look(budget));
    if over {
        // SAFETY: `state` is the running state; a slot is reserved before the message is pushed (Luau asks for it
        // in interrupts), and nothing with a destructor is alive.
        unsafe {
            ffi::lua_rawcheckstack(state, 4);
            ffi::luaL_error(state, c"used up its CPU time".as_ptr());
        }
    }
}

/// Whether the budget is used up.
#[cold]
fn look(budget: &Budget) -> bool {
    if budget.killed.get() {
        return true;
    }
    let limit = budget.limit.get();
    if limit == 0 {
        return false;
    }
    let now = thread_cpu();
    match budget.since.get() {
        0 => budget.since.set(now.max(1)),
        since if now.saturating_sub(since) > limit => {
            budget.killed.set(true);
            budget.seen.set(u64::MAX);
            return true;
        }
        _ => {}
    }
    if ticker::works() {
        budget.seen.set(ticker::epoch());
    }
    false
}

fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}
