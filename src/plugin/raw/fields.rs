//! The fields of `req`, `res` and `log`.

use super::call::{Call, Phase};
use super::stack::Stack;
use super::{Fault, run, tag};
use http::StatusCode;
use mlua::ffi::lua_State;
use std::ffi::c_int;
use std::io::Write as _;
use std::net::IpAddr;

/// Upvalue of `__index`: the headers object that belongs to the object.
const HEADERS: c_int = 1;

pub(super) unsafe extern "C-unwind" fn request_index(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua with its running state.
    unsafe { run(state, get_request) }
}

pub(super) unsafe extern "C-unwind" fn request_newindex(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { run(state, set_request) }
}

pub(super) unsafe extern "C-unwind" fn request_namecall(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { run(state, request_method) }
}

pub(super) unsafe extern "C-unwind" fn response_index(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { run(state, get_response) }
}

pub(super) unsafe extern "C-unwind" fn response_newindex(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { run(state, set_response) }
}

pub(super) unsafe extern "C-unwind" fn log_index(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { run(state, get_log) }
}

pub(super) unsafe extern "C-unwind" fn log_newindex(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe { run(state, |_, _| Err(Fault::ReadOnly)) }
}

fn get_request(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    let unknown = Fault::Field(c"req");
    let request = call.request();
    match stack.text(2).ok_or(unknown)? {
        b"path" => stack.push(request.target.path().as_bytes()),
        b"headers" => stack.push_upvalue(HEADERS),
        b"method" => stack.push(request.method.as_str().as_bytes()),
        b"host" => stack.push(request.host.bytes()),
        b"scheme" => stack.push(scheme(call)),
        b"client_ip" => push_address(stack, call.exchange().client.ip),
        b"peer_ip" => push_address(stack, crate::ground::net::canonical(call.exchange().client.peer.ip())),
        b"query" => match request.target.query() {
            Some(query) => stack.push(query.as_bytes()),
            None => stack.push_nil(),
        },
        b"uri" => stack.push(request.target.text()),
        b"url" => {
            stack.push(scheme(call));
            stack.push(b"://");
            stack.push(request.authority.bytes());
            stack.push(request.target.text());
            stack.concat(4);
        }
        b"user" => push_option(stack, call.exchange().facts.user.as_deref()),
        _ => return Err(unknown),
    }
    Ok(1)
}

fn set_request(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    match stack.text(2).ok_or(Fault::Field(c"req"))? {
        b"path" => {
            let path = stack.text(3).and_then(|path| std::str::from_utf8(path).ok()).ok_or(Fault::Path)?;
            call.set_path(path)?;
        }
        b"user" if stack.is_nil(3) => call.set_user(None)?,
        b"user" => {
            let user = stack.text(3).and_then(|user| std::str::from_utf8(user).ok());
            let user =
                user.filter(|user| !user.chars().any(char::is_control)).ok_or(Fault::Text(c"req.user"))?;
            call.set_user(Some(user))?;
        }
        b"headers" | b"method" | b"host" | b"scheme" | b"client_ip" | b"peer_ip" | b"query" | b"uri"
        | b"url" => {
            return Err(Fault::ReadOnly);
        }
        _ => return Err(Fault::Field(c"req")),
    }
    Ok(0)
}

fn request_method(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    if stack.method() != b"strip" || !stack.is(1, tag::REQUEST) {
        return Err(Fault::Method);
    }
    let prefix = stack.text(2).and_then(|prefix| std::str::from_utf8(prefix).ok()).ok_or(Fault::Path)?;
    let stripped = strip(call, prefix)?;
    stack.push_bool(stripped);
    Ok(1)
}

/// `req:strip(prefix)`: takes whole path elements off; whether they were there.
fn strip(call: &mut Call<'_>, prefix: &str) -> Result<bool, Fault> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = match call.request().target.path().strip_prefix(prefix) {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => return Ok(false),
    };
    call.set_path(&rest)?;
    Ok(true)
}

fn get_response(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    let unknown = Fault::Field(c"res");
    match stack.text(2).ok_or(unknown)? {
        b"status" => stack.push_number(f64::from(call.response()?.status.as_u16())),
        b"headers" => stack.push_upvalue(HEADERS),
        _ => return Err(unknown),
    }
    Ok(1)
}

fn set_response(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    match stack.text(2).ok_or(Fault::Field(c"res"))? {
        b"status" => {
            let status = stack.number(3).filter(|n| n.fract() == 0.0 && (200.0..600.0).contains(n));
            let status = status.and_then(|n| StatusCode::from_u16(n as u16).ok()).ok_or(Fault::Status)?;
            call.set_status(status)?;
            Ok(0)
        }
        b"headers" => Err(Fault::ReadOnly),
        _ => Err(Fault::Field(c"res")),
    }
}

fn get_log(stack: &Stack, call: &mut Call<'_>) -> Result<c_int, Fault> {
    let unknown = Fault::Field(c"log");
    if call.phase() != Phase::Log {
        return Err(Fault::Late);
    }
    let exchange = call.exchange();
    let facts = &exchange.facts;
    match stack.text(2).ok_or(unknown)? {
        b"status" => stack.push_number(f64::from(facts.status)),
        b"bytes_in" => stack.push_number(facts.bytes_in as f64),
        b"bytes_out" => stack.push_number(facts.bytes_out as f64),
        b"duration_ms" => stack.push_number(facts.duration_us as f64 / 1_000.0),
        b"upstream" => match facts.upstream {
            Some(address) => push_shown(stack, address),
            None => stack.push_nil(),
        },
        b"upstream_ms" => stack.push_number(facts.upstream_us as f64 / 1_000.0),
        b"network_error" => stack.push_bool(facts.network_error),
        b"attempts" => stack.push_number(f64::from(facts.attempts)),
        b"user" => push_option(stack, facts.user.as_deref()),
        b"reason" => push_option(stack, facts.reason.as_deref()),
        b"method" => stack.push(exchange.request.method.as_str().as_bytes()),
        b"host" => stack.push(exchange.request.host.bytes()),
        b"path" => stack.push(exchange.request.asked.path().as_bytes()),
        b"client_ip" => push_address(stack, exchange.client.ip),
        _ => return Err(unknown),
    }
    Ok(1)
}

fn scheme(call: &Call<'_>) -> &'static [u8] {
    if call.exchange().client.https { b"https" } else { b"http" }
}

fn push_option(stack: &Stack, text: Option<&str>) {
    match text {
        Some(text) => stack.push(text.as_bytes()),
        None => stack.push_nil(),
    }
}

fn push_address(stack: &Stack, address: IpAddr) {
    push_shown(stack, address);
}

/// Formats into a buffer on the stack, so that nothing is alive if the push raises.
fn push_shown(stack: &Stack, value: impl std::fmt::Display + Copy) {
    let mut buffer = [0_u8; 64];
    let mut rest: &mut [u8] = &mut buffer;
    let fits = write!(rest, "{value}").is_ok();
    let used = 64 - rest.len();
    stack.push(if fits { buffer.get(..used).unwrap_or_default() } else { b"" });
}
