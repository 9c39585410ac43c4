//! `req.headers` and `res.headers`: `h[name]`, `h[name] = value`, `h:add(name, value)`, `h:all(name)`, and
//! iteration over a snapshot. A repeated header reads as its values joined with `", "`, so that a guard sees all.

use super::call::Call;
use super::stack::Stack;
use super::{Fault, run, tag};
use crate::plugin::fields;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use mlua::ffi::{self, lua_State};
use std::ffi::c_int;

pub(super) unsafe extern "C-unwind" fn index(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua with its running state.
    unsafe { run(state, get) }
}

pub(super) unsafe extern "C-unwind" fn newindex(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { run(state, set) }
}

pub(super) unsafe extern "C-unwind" fn namecall(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { run(state, method) }
}

/// `for name, value in headers do`: hands the loop `next` (our upvalue) and a snapshot.
pub(super) unsafe extern "C-unwind" fn iter(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { run(state, snapshot) }
}

/// The global `pairs`: as Luau's own, and over headers too.
pub(super) unsafe extern "C-unwind" fn pairs(state: *mut lua_State) -> c_int {
    let stack = Stack::new(state);
    if stack.is(1, tag::REQUEST_HEADERS) || stack.is(1, tag::RESPONSE_HEADERS) {
        // SAFETY: as above.
        return unsafe { run(state, snapshot) };
    }
    // SAFETY: a C function called with at least one value (checked) has room for three more.
    unsafe {
        ffi::luaL_checkany(state, 1);
        stack.push_upvalue(1);
        ffi::lua_pushvalue(state, 1);
        stack.push_nil();
    }
    3
}

/// Which map the object at index 1 stands for.
fn of_response(stack: &Stack) -> Result<bool, Fault> {
    if stack.is(1, tag::REQUEST_HEADERS) {
        Ok(false)
    } else if stack.is(1, tag::RESPONSE_HEADERS) {
        Ok(true)
    } else {
        Err(Fault::Method)
    }
}

fn map<'c>(stack: &Stack, call: &'c Call<'_>) -> Result<&'c HeaderMap, Fault> {
    if of_response(stack)? { Ok(&call.response()?.headers) } else { Ok(&call.request().headers) }
}

fn get(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    let name = stack.text(2).ok_or(Fault::HeaderName)?;
    if name.eq_ignore_ascii_case(b"host") && !of_response(stack)? {
        stack.push(call.request().authority.bytes());
        return Ok(1);
    }
    let name = std::str::from_utf8(name).map_err(|_not_ascii| Fault::HeaderName)?;
    push_joined(stack, map(stack, call)?, name);
    Ok(1)
}

/// Pushes all values of `name`, joined, or nil.
fn push_joined(stack: &Stack, headers: &HeaderMap, name: &str) {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return stack.push_nil() };
    stack.push(first.as_bytes());
    for value in values {
        stack.push(b", ");
        stack.push(value.as_bytes());
        stack.concat(3);
    }
}

fn set(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    change(stack, call, false)
}

fn change(stack: &Stack, call: &mut Call<'_>, append: bool) -> Result<c_int, Fault> {
    let of_response = of_response(stack)?;
    let deletes = stack.is_nil(3) && !append;
    let value = if deletes { None } else { Some(stack.text_or_number(3).ok_or(Fault::HeaderType)?) };
    let name = HeaderName::from_bytes(stack.text(2).ok_or(Fault::HeaderName)?);
    let name = name.map_err(|_shown_by_the_fault| Fault::HeaderName)?;
    if fields::belongs_to_connection(&name) {
        return Err(Fault::Owned);
    }
    let value = value.map(HeaderValue::from_bytes).transpose().map_err(|_never_shown| Fault::HeaderValue)?;
    call.set_header(of_response, name, value, append)?;
    Ok(0)
}

fn method(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    match stack.method() {
        b"add" => change(stack, call, true),
        b"all" => all(stack, call),
        _ => Err(Fault::Method),
    }
}

fn all(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    let name = stack.text(2).and_then(|name| std::str::from_utf8(name).ok()).ok_or(Fault::HeaderName)?;
    let headers = map(stack, call)?;
    stack.new_table();
    for (index, value) in headers.get_all(name).iter().enumerate() {
        stack.push(value.as_bytes());
        stack.set_item(index + 1);
    }
    Ok(1)
}

fn snapshot(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    let headers = map(stack, call)?;
    stack.push_upvalue(1);
    stack.new_table();
    stack.reserve(8);
    for name in headers.keys() {
        stack.push(name.as_str().as_bytes());
        push_joined(stack, headers, name.as_str());
        stack.set_field();
    }
    stack.push_nil();
    Ok(3)
}
