//! The hot accessors of `req`, `res` and `log`: raw C functions on a thread-local current call, about three times
//! cheaper than userdata methods (`spec/performance.md` C). This module alone may contain `unsafe` of the plugin
//! host. What its soundness stands on:
//!
//! - A `Call` is current only inside `with_call`, which holds it borrowed for as long; outside of it every
//!   accessor raises a Lua error ("late access").
//! - Lua errors leave C functions by unwinding (Luau is built with C++ exceptions). Every function here is
//!   `extern "C-unwind"`, and no Rust value with a destructor is alive where a Lua function that may raise is
//!   called: what allocates happens in inner functions that return plain `Fault`s, which are raised after them.
//! - An accessor holds references into the exchange only while it pushes copies of them; pushing may collect
//!   garbage, whose destructors (`drop_arc`) never reach the exchange.
#![allow(unsafe_code, reason = "raw Lua accessors: three times cheaper than userdata methods (design.md 4)")]

mod budget;
mod call;
mod fields;
mod headers;
mod objects;
mod stack;

pub use budget::limited;
pub use call::{Call, Pending, Phase};
pub use objects::{Objects, basic_credentials, install, push_cidrs, push_verifier};

use call::CURRENT;
use mlua::ffi::{self, lua_State};
use stack::Stack;
use std::ffi::{CStr, c_int};

/// Tags of our userdata (mlua uses 0 and 1).
mod tag {
    use std::ffi::c_int;
    pub const REQUEST: c_int = 20;
    pub const REQUEST_HEADERS: c_int = 21;
    pub const RESPONSE: c_int = 22;
    pub const RESPONSE_HEADERS: c_int = 23;
    pub const LOG: c_int = 24;
    pub const CIDRS: c_int = 25;
    pub const VERIFIER: c_int = 26;
}

/// What an accessor refuses. Plain values: they are raised when nothing else is alive.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Late,
    Field(&'static CStr),
    Method,
    ReadOnly,
    NotNow,
    Path,
    Text(&'static CStr),
    Owned,
    HeaderName,
    HeaderValue,
    HeaderType,
    Status,
    Address,
    ContainsArgument,
    VerifyArguments,
    VerifyNeeds,
    VerifyThread,
    Busy,
}

type Accessor = fn(&Stack, &mut Call<'_>) -> Result<c_int, Fault>;

/// Runs an accessor on the current call; its fault becomes a Lua error.
///
/// # Safety
/// `state` is the Lua state that called us.
unsafe fn run(state: *mut lua_State, accessor: Accessor) -> c_int {
    let stack = Stack::new(state);
    let current = CURRENT.get();
    let outcome = if current.is_null() {
        Err(Fault::Late)
    } else {
        // SAFETY: `with_call` set the pointer from a `&mut Call` that it holds until it clears it, and nobody else
        // uses that borrow meanwhile. Accessors never call back into Lua code, so there is no second reference.
        accessor(&stack, unsafe { &mut *current })
    };
    match outcome {
        Ok(results) => results,
        // SAFETY: `state` is valid; nothing with a destructor is alive here.
        Err(fault) => unsafe { raise(state, fault) },
    }
}

/// # Safety
/// `state` is valid and nothing with a destructor is alive in the calling frames up to Lua.
unsafe fn raise(state: *mut lua_State, fault: Fault) -> c_int {
    // SAFETY: the caller's promise; the key is a Lua string on the stack, so it outlives the formatting, and a
    // value that is no string is shown as '?'.
    unsafe {
        let key = if ffi::lua_type(state, 2) == ffi::LUA_TSTRING {
            ffi::lua_tostring(state, 2)
        } else {
            c"?".as_ptr()
        };
        match fault {
            Fault::Late => ffi::luaL_error(state, c"the request object was used outside of its hook".as_ptr()),
            Fault::Field(of) => ffi::luaL_error(state, c"'%s' has no field '%s'".as_ptr(), of.as_ptr(), key),
            Fault::Method => ffi::luaL_error(state, c"no such method".as_ptr()),
            Fault::ReadOnly => ffi::luaL_error(state, c"'%s' cannot be set".as_ptr(), key),
            Fault::NotNow => ffi::luaL_error(state, c"'%s' is not there in this hook".as_ptr(), key),
            Fault::Path => ffi::luaL_error(
                state,
                c"req.path must begin with '/' and hold no control characters, spaces, '?', '#' or dot segments"
                    .as_ptr(),
            ),
            Fault::Text(of) => {
                ffi::luaL_error(state, c"%s must be a text without control characters".as_ptr(), of.as_ptr())
            }
            Fault::Owned => ffi::luaL_error(
                state,
                c"header '%s' belongs to the connection: the proxy sets it, plugins cannot".as_ptr(),
                key,
            ),
            Fault::HeaderName => ffi::luaL_error(state, c"'%s' is not a header name".as_ptr(), key),
            Fault::HeaderValue => {
                ffi::luaL_error(state, c"header '%s': a value holds no control characters".as_ptr(), key)
            }
            Fault::HeaderType => {
                ffi::luaL_error(state, c"header '%s': a value is a string, a number or nil".as_ptr(), key)
            }
            Fault::Status => ffi::luaL_error(state, c"res.status must be a number from 200 to 599".as_ptr()),
            Fault::Address => ffi::luaL_error(state, c"'%s' is not an IP address".as_ptr(), key),
            Fault::ContainsArgument => {
                ffi::luaL_error(state, c"contains() takes req or an IP address as a string".as_ptr())
            }
            Fault::VerifyArguments => ffi::luaL_error(state, c"verify() takes a user and a password".as_ptr()),
            Fault::VerifyNeeds => ffi::luaL_error(
                state,
                c"verify() may wait: the plugin must say needs = { \"verify\" } and call it in on_request".as_ptr(),
            ),
            Fault::VerifyThread => {
                ffi::luaL_error(state, c"verify() cannot wait inside a coroutine of the plugin's own".as_ptr())
            }
            Fault::Busy => ffi::luaL_error(state, c"too many passwords wait to be verified".as_ptr()),
        }
    }
}

/// Makes `call` current while `f` runs.
pub fn with_call<R>(call: &mut Call<'_>, f: impl FnOnce() -> R) -> R {
    struct Restore(*mut Call<'static>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    // The lifetime is hidden in the pointer; the guard takes the pointer away before the borrow ends.
    let _restore = Restore(CURRENT.replace(std::ptr::from_mut(call).cast()));
    f()
}
