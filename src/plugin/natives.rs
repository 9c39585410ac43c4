//! The native modules: globals that every plugin finds, read-only. The few that are called on every request are in
//! [`super::raw`].

use super::htpasswd::Verifier;
use super::raw;
use super::reply::Reply;
use super::shared::Gate;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mlua::{Error, Lua, LuaString, Result, Table, Value, Variadic};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest encoded credentials that are looked at: a name and a password of several hundred bytes.
const LONGEST_CREDENTIALS: usize = 1024;

/// Sets all of them.
pub fn install(lua: &Lua, globals: &Table, gate: &Arc<Gate>) -> Result<()> {
    // `plugin { ... }` marks the table for the reader; the host checks it.
    globals.set("plugin", lua.create_function(|_, table: Table| Ok(table))?)?;
    globals.set("respond", lua.create_function(Reply::respond)?)?;
    globals.set("redirect", lua.create_function(Reply::redirect)?)?;
    globals.set("crypto", crypto(lua)?)?;
    globals.set("base64", base64(lua)?)?;
    globals.set("http", http(lua)?)?;
    globals.set("time", time(lua)?)?;
    let log = log(lua, gate)?;
    globals.set("print", log.get::<Value>("info")?)?;
    globals.set("log", log)
}

fn crypto(lua: &Lua) -> Result<Table> {
    let module = lua.create_table()?;
    module.set(
        "htpasswd",
        // nil and the reason where the text is broken: the plugin knows whose text it is.
        lua.create_function(|lua, text: LuaString| match Verifier::parse(&text.as_bytes()) {
            Ok(verifier) => Ok((raw::push_verifier(lua, Arc::new(verifier))?, None)),
            Err(error) => Ok((Value::Nil, Some(error.to_string()))),
        })?,
    )?;
    Ok(module)
}

fn base64(lua: &Lua) -> Result<Table> {
    let module = lua.create_table()?;
    module.set("encode", lua.create_function(|_, text: LuaString| Ok(STANDARD.encode(text.as_bytes())))?)?;
    module.set(
        "decode",
        lua.create_function(|lua, text: LuaString| match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => lua.create_string(bytes).map(Some),
            Err(_) => Ok(None), // nil: what came from a client is often wrong
        })?,
    )?;
    Ok(module)
}

fn http(lua: &Lua) -> Result<Table> {
    let module = lua.create_table()?;
    module.set("basic_credentials", raw::basic_credentials(lua)?)?;
    Ok(module)
}

/// `user:password` of a `Basic` Authorization value, decoded into `buffer`.
pub fn decode_basic<'b>(
    value: &[u8],
    buffer: &'b mut [u8; LONGEST_CREDENTIALS],
) -> Option<(&'b [u8], &'b [u8])> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") || encoded.len() > LONGEST_CREDENTIALS {
        return None;
    }
    let length = STANDARD.decode_slice(encoded.trim_ascii(), buffer).ok()?;
    let text = buffer.get(..length)?;
    let colon = text.iter().position(|byte| *byte == b':')?;
    let clean = !text.iter().any(u8::is_ascii_control);
    let (user, rest) = text.split_at_checked(colon)?;
    clean.then_some((user, rest.get(1..)?))
}

fn time(lua: &Lua) -> Result<Table> {
    let module = lua.create_table()?;
    module.set(
        "now_ms",
        lua.create_function(|_, ()| {
            Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64))
        })?,
    )?;
    Ok(module)
}

fn log(lua: &Lua, gate: &Arc<Gate>) -> Result<Table> {
    let module = lua.create_table()?;
    for (name, level) in [
        ("debug", tracing::Level::DEBUG),
        ("info", tracing::Level::INFO),
        ("warn", tracing::Level::WARN),
        ("error", tracing::Level::ERROR),
    ] {
        let gate = Arc::clone(gate);
        let write = move |lua: &Lua, parts: Variadic<Value>| {
            let mut text = String::new();
            for part in parts.iter() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&part.to_string()?);
            }
            let text: String = text.chars().take(1000).flat_map(shown).collect();
            let at = position(lua).unwrap_or_default();
            if gate.opens(&(&at, &text)) {
                emit(level, &at, &text);
            }
            Ok(())
        };
        module.set(name, lua.create_function(write)?)?;
    }
    Ok(module)
}

/// Control characters do not reach the log.
fn shown(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let plain = escaped.is_none().then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

fn emit(level: tracing::Level, at: &str, text: &str) {
    match level {
        tracing::Level::ERROR => tracing::error!(%at, "plugin: {text}"),
        tracing::Level::WARN => tracing::warn!(%at, "plugin: {text}"),
        tracing::Level::INFO => tracing::info!(%at, "plugin: {text}"),
        _ => tracing::debug!(%at, "plugin: {text}"),
    }
}

/// `stamp.lua:12`: the plugin's line that called the running function.
pub fn position(lua: &Lua) -> Option<String> {
    // mlua's own `__index` helper stands between the two where a type has methods too.
    (1..=3).find_map(|level| {
        lua.inspect_stack(level, |frame| {
            let file = frame.source().short_src.map(std::borrow::Cow::into_owned)?;
            let line = frame.current_line()?;
            (!file.starts_with("__mlua")).then(|| format!("{file}:{line}"))
        })?
    })
}

/// An error with the place of the Lua line that called the running function, as Lua's own errors have.
pub fn here(lua: &Lua, text: &str) -> Error {
    match position(lua) {
        Some(at) => Error::runtime(format!("{at}: {text}")),
        None => Error::runtime(text),
    }
}
