//! The objects themselves: one `req`, `res` and `log` per VM, CIDR sets and password verifiers.

use super::budget::interrupt;
use super::call::{Call, Pending, Phase};
use super::stack::Stack;
use super::{Fault, fields, headers, run, tag};
use crate::ground::net::CidrSet;
use crate::plugin::htpasswd::Verifier;
use crate::plugin::natives::decode_basic;
use crate::plugin::verify::{Credentials, Remembered};
use mlua::ffi::{self, lua_CFunction, lua_State};
use mlua::{AnyUserData, Lua, Value};
use std::ffi::{CStr, c_int, c_void};
use std::net::IpAddr;
use std::sync::Arc;

/// The objects that a VM's hooks get.
#[derive(Clone, Debug)]
pub struct Objects {
    /// `req`
    pub request: AnyUserData,
    /// `res`
    pub response: AnyUserData,
    /// `log`
    pub log: AnyUserData,
}

/// Gives a new VM its objects, its `pairs` and its interrupt. Before it is sandboxed.
pub fn install(lua: &Lua) -> mlua::Result<Objects> {
    // SAFETY: mlua runs the closure protected, on a stack with room for a few values; every push is balanced, and
    // the closure owns nothing with a destructor.
    let (request, response, log) = unsafe {
        lua.exec_raw::<(AnyUserData, AnyUserData, AnyUserData)>((), |state| {
            (*ffi::lua_callbacks(state)).interrupt = Some(interrupt);
            define(state, tag::CIDRS, c"Ranges", &[(c"__namecall", ranges_namecall)]);
            ffi::lua_setuserdatadtor(state, tag::CIDRS, Some(drop_arc::<CidrSet>));
            define(state, tag::VERIFIER, c"Htpasswd", &[(c"__namecall", verifier_namecall)]);
            ffi::lua_setuserdatadtor(state, tag::VERIFIER, Some(drop_arc::<Verifier>));
            replace_pairs(state);
            for (object, map, name, index, newindex) in [
                (
                    tag::REQUEST,
                    Some(tag::REQUEST_HEADERS),
                    c"Request",
                    fields::request_index as lua_CFunction,
                    fields::request_newindex as lua_CFunction,
                ),
                (
                    tag::RESPONSE,
                    Some(tag::RESPONSE_HEADERS),
                    c"Response",
                    fields::response_index,
                    fields::response_newindex,
                ),
                (tag::LOG, None, c"Log", fields::log_index, fields::log_newindex),
            ] {
                push_object(state, object, map, name, index, newindex);
            }
        })?
    };
    Ok(Objects { request, response, log })
}

/// Pushes one cached object; with its headers object as the upvalue of `__index`.
///
/// # Safety
/// A protected call with a few free slots.
unsafe fn push_object(
    state: *mut lua_State,
    object: c_int,
    map: Option<c_int>,
    name: &'static CStr,
    index: lua_CFunction,
    newindex: lua_CFunction,
) {
    // SAFETY: pushes and pops are balanced: one object stays.
    unsafe {
        ffi::lua_newuserdatatagged(state, 0, object);
        new_metatable(state, name);
        match map {
            Some(map) => {
                push_headers(state, map);
                ffi::lua_pushcclosurek(state, index, name.as_ptr(), 1, None);
            }
            None => ffi::lua_pushcclosurek(state, index, name.as_ptr(), 0, None),
        }
        ffi::lua_setfield(state, -2, c"__index".as_ptr());
        ffi::lua_pushcclosurek(state, newindex, name.as_ptr(), 0, None);
        ffi::lua_setfield(state, -2, c"__newindex".as_ptr());
        if object == tag::REQUEST {
            ffi::lua_pushcclosurek(state, fields::request_namecall, name.as_ptr(), 0, None);
            ffi::lua_setfield(state, -2, c"__namecall".as_ptr());
        }
        ffi::lua_setreadonly(state, -1, 1);
        ffi::lua_setmetatable(state, -2);
    }
}

/// # Safety
/// As [`push_object`].
unsafe fn push_headers(state: *mut lua_State, map: c_int) {
    // SAFETY: balanced; `next` is there because the VM is not sandboxed yet.
    unsafe {
        ffi::lua_newuserdatatagged(state, 0, map);
        new_metatable(state, c"Headers");
        for (name, function) in [
            (c"__index", headers::index as lua_CFunction),
            (c"__newindex", headers::newindex),
            (c"__namecall", headers::namecall),
        ] {
            ffi::lua_pushcclosurek(state, function, name.as_ptr(), 0, None);
            ffi::lua_setfield(state, -2, name.as_ptr());
        }
        ffi::lua_getglobal(state, c"next".as_ptr());
        ffi::lua_pushcclosurek(state, headers::iter, c"pairs".as_ptr(), 1, None);
        ffi::lua_setfield(state, -2, c"__iter".as_ptr());
        ffi::lua_setreadonly(state, -1, 1);
        ffi::lua_setmetatable(state, -2);
    }
}

/// # Safety
/// As [`push_object`].
unsafe fn replace_pairs(state: *mut lua_State) {
    // SAFETY: balanced.
    unsafe {
        ffi::lua_getglobal(state, c"next".as_ptr());
        ffi::lua_pushcclosurek(state, headers::pairs, c"pairs".as_ptr(), 1, None);
        ffi::lua_setglobal(state, c"pairs".as_ptr());
    }
}

/// Sets the metatable of a tag.
///
/// # Safety
/// As [`push_object`].
unsafe fn define(
    state: *mut lua_State,
    tag: c_int,
    name: &'static CStr,
    methods: &[(&'static CStr, lua_CFunction)],
) {
    // SAFETY: balanced; `lua_setuserdatametatable` pops the table. Each tag is set once per VM.
    unsafe {
        new_metatable(state, name);
        for (method, function) in methods {
            ffi::lua_pushcclosurek(state, *function, name.as_ptr(), 0, None);
            ffi::lua_setfield(state, -2, method.as_ptr());
        }
        ffi::lua_setreadonly(state, -1, 1);
        ffi::lua_setuserdatametatable(state, tag);
    }
}

/// Pushes a metatable that Lua code cannot see, with the name that `typeof` tells.
///
/// # Safety
/// As [`push_object`].
unsafe fn new_metatable(state: *mut lua_State, name: &'static CStr) {
    // SAFETY: balanced: one table stays.
    unsafe {
        ffi::lua_createtable(state, 0, 6);
        ffi::lua_pushboolean(state, 0);
        ffi::lua_setfield(state, -2, c"__metatable".as_ptr());
        ffi::lua_pushstring_(state, name.as_ptr());
        ffi::lua_setfield(state, -2, c"__type".as_ptr());
    }
}

/// A CIDR set as a Lua value: `ranges:contains(req)`, `ranges:contains("1.2.3.4")`.
pub fn push_cidrs(lua: &Lua, set: &Arc<CidrSet>) -> mlua::Result<Value> {
    push_arc(lua, Arc::clone(set), tag::CIDRS)
}

/// A verifier as a Lua value: `users:verify(user, password)`.
pub fn push_verifier(lua: &Lua, verifier: Arc<Verifier>) -> mlua::Result<Value> {
    push_arc(lua, verifier, tag::VERIFIER)
}

fn push_arc<T>(lua: &Lua, value: Arc<T>, tag: c_int) -> mlua::Result<Value> {
    let mut given = None;
    // SAFETY: protected by mlua. The block is made first (it may raise) and holds a null until the value, whose
    // count is handed over by `into_raw` below, is written into it by a plain store.
    let userdata: Value = unsafe {
        lua.exec_raw((), |state| {
            let block: *mut *const T =
                ffi::lua_newuserdatataggedwithmetatable(state, size_of::<*const T>(), tag).cast();
            block.write(std::ptr::null());
            given = Some(block);
        })?
    };
    if let Some(block) = given {
        // SAFETY: the userdata is alive in `userdata`, so its block is.
        unsafe { block.write(Arc::into_raw(value)) };
    }
    Ok(userdata)
}

/// Destructor of the userdata that [`push_arc`] makes.
unsafe extern "C" fn drop_arc<T>(_state: *mut lua_State, block: *mut c_void) {
    // SAFETY: the block is `push_arc`'s: null, or a count that it owns; Lua calls this once.
    unsafe {
        let value = block.cast::<*const T>().read();
        if !value.is_null() {
            drop(Arc::from_raw(value));
        }
    }
}

/// The value behind the userdata at index 1.
fn shared<T>(stack: &Stack, tag: c_int) -> Option<&T> {
    let block: *mut *const T = stack.userdata(1, tag).cast();
    // SAFETY: a userdata of that tag was made by `push_arc`; it stays alive while it is on the stack.
    unsafe { if block.is_null() { None } else { (*block).as_ref() } }
}

unsafe extern "C-unwind" fn ranges_namecall(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua with its running state.
    unsafe { run(state, contains) }
}

fn contains(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    let set: &CidrSet = shared(stack, tag::CIDRS).ok_or(Fault::Method)?;
    if stack.method() != b"contains" {
        return Err(Fault::Method);
    }
    let address = if stack.is(2, tag::REQUEST) {
        call.exchange().client.ip
    } else {
        let text = stack.text(2).ok_or(Fault::ContainsArgument)?;
        let text = std::str::from_utf8(text).map_err(|_not_text| Fault::Address)?;
        text.parse::<IpAddr>().map_err(|_shown_by_the_fault| Fault::Address)?
    };
    stack.push_bool(set.contains(address));
    Ok(1)
}

unsafe extern "C-unwind" fn verifier_namecall(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua with its running state.
    unsafe {
        match run(state, verify) {
            // The accessor left a ticket: the hook gives up its turn, and is resumed with the answer.
            YIELD => ffi::lua_yield(state, 0),
            results => results,
        }
    }
}

/// What [`verify`] returns where it left a ticket.
const YIELD: c_int = -1;

fn verify(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    let verifier: &Verifier = shared(stack, tag::VERIFIER).ok_or(Fault::Method)?;
    if stack.method() != b"verify" {
        return Err(Fault::Method);
    }
    let (user, password) = stack.text(2).zip(stack.text(3)).ok_or(Fault::VerifyArguments)?;
    if call.phase() != Phase::Request || !call.may_wait() {
        return Err(Fault::VerifyNeeds);
    }
    let credentials = Credentials { verifier, user, password };
    match call.shared().verifications().remembered(&credentials) {
        Remembered::Good => {
            stack.push_bool(true);
            return Ok(1);
        }
        Remembered::Unknown(key) => {
            if !call.waits_on(stack.state()) {
                return Err(Fault::VerifyThread);
            }
            let Some(ticket) = call.shared().verifications().submit(&credentials, key) else {
                call.busy();
                return Err(Fault::Busy);
            };
            call.pending = Some(Pending::Verify(ticket));
        }
    }
    Ok(YIELD)
}

/// `http.basic_credentials(value)`: user and password of a `Basic` Authorization value, or nothing.
pub fn basic_credentials(lua: &Lua) -> mlua::Result<mlua::Function> {
    unsafe extern "C-unwind" fn credentials(state: *mut lua_State) -> c_int {
        let stack = Stack::new(state);
        let Some(value) = stack.text(1) else { return 0 };
        let mut buffer = [0_u8; 1024];
        let Some((user, password)) = decode_basic(value, &mut buffer) else { return 0 };
        stack.push(user);
        stack.push(password);
        2
    }
    // SAFETY: the function looks at its own stack only, and holds nothing with a destructor while it pushes.
    unsafe { lua.create_c_function(credentials) }
}
