//! What a hook may return: nothing, or an answer made by `respond` or `redirect`.

use super::fields;
use crate::exchange::Answer;
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use mlua::{Error, Lua, Result, UserData, Value};
use std::sync::Arc;

/// An answer on its way from Lua to the client. Immutable, so a plugin may keep one and return it again.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl UserData for Reply {}

impl Reply {
    /// As an answer of `plugin`.
    pub fn answer(&self, plugin: &Arc<str>) -> Box<Answer> {
        Box::new(Answer {
            status: self.status,
            headers: self.headers.clone(),
            body: self.body.clone(),
            reason: Arc::clone(plugin),
        })
    }

    /// `respond(status, body, headers)` or `respond{ status =, body =, headers = }`.
    pub fn respond(_: &Lua, (first, body, headers): (Value, Value, Value)) -> Result<Self> {
        let (status, body, headers) = match &first {
            Value::Table(table) => {
                for pair in table.pairs::<Value, Value>() {
                    let (key, _) = pair?;
                    let known = key
                        .as_string()
                        .is_some_and(|key| matches!(&*key.as_bytes(), b"status" | b"body" | b"headers"));
                    if !known {
                        return Err(Error::runtime(format!(
                            "respond: unknown key '{}'; valid are: status, body, headers",
                            shown(&key)
                        )));
                    }
                }
                (table.get("status")?, table.get("body")?, table.get("headers")?)
            }
            _ => (first.clone(), body, headers),
        };
        Ok(Self { status: status_of(&status)?, headers: headers_of(&headers)?, body: body_of(&body)? })
    }

    /// `redirect(url, code)`; 302 where no code is said.
    pub fn redirect(_: &Lua, (url, code): (Value, Option<u16>)) -> Result<Self> {
        let code = code.unwrap_or(302);
        if !matches!(code, 301 | 302 | 303 | 307 | 308) {
            return Err(Error::runtime("redirect: the code is 301, 302, 303, 307 or 308"));
        }
        let url = url.as_string().map(|url| url.as_bytes().to_vec()).unwrap_or_default();
        if url.is_empty() || !url.iter().all(|byte| matches!(byte, 0x21..=0x7e)) {
            return Err(Error::runtime("redirect: the URL is a text without spaces and control characters"));
        }
        let location =
            HeaderValue::from_bytes(&url).map_err(|_said_above| Error::runtime("redirect: bad URL"))?;
        let status = StatusCode::from_u16(code).map_err(|_checked| Error::runtime("redirect: bad code"))?;
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(header::LOCATION, location);
        headers.insert(header::CONTENT_TYPE, TEXT);
        let body = Bytes::from(format!("{}\n", status.canonical_reason().unwrap_or("Redirect")));
        Ok(Self { status, headers, body })
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

fn status_of(value: &Value) -> Result<StatusCode> {
    let status = value.as_integer().and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 200);
    let status = status.filter(|code| *code < 600).and_then(|code| StatusCode::from_u16(code).ok());
    status.ok_or_else(|| Error::runtime(format!("respond: the status is 200 to 599, not {}", shown(value))))
}

fn body_of(value: &Value) -> Result<Bytes> {
    match value {
        Value::Nil => Ok(Bytes::new()),
        Value::String(text) => Ok(Bytes::copy_from_slice(&text.as_bytes())),
        other => Err(Error::runtime(format!("respond: the body is a string, not {}", shown(other)))),
    }
}

fn headers_of(value: &Value) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    match value {
        Value::Nil => {}
        Value::Table(table) => {
            for pair in table.pairs::<Value, Value>() {
                let (name, value) = pair?;
                add(&mut headers, &name, &value)?;
            }
        }
        other => return Err(Error::runtime(format!("respond: headers are a table, not {}", shown(other)))),
    }
    headers.entry(header::CONTENT_TYPE).or_insert(TEXT);
    Ok(headers)
}

/// Adds one header, or each of a list of values.
fn add(headers: &mut HeaderMap, name: &Value, value: &Value) -> Result<()> {
    if let Value::Table(list) = value {
        return list.sequence_values::<Value>().try_for_each(|value| add(headers, name, &value?));
    }
    let text = name.as_string().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
    let parsed = HeaderName::from_bytes(&text)
        .map_err(|_named| Error::runtime(format!("respond: '{}' is not a header name", shown(name))))?;
    if fields::belongs_to_connection(&parsed) {
        return Err(Error::runtime(format!("respond: header '{parsed}' belongs to the connection")));
    }
    let value = match value {
        Value::String(value) => value.as_bytes().to_vec(),
        Value::Integer(_) | Value::Number(_) => value.to_string()?.into_bytes(),
        other => {
            return Err(Error::runtime(format!(
                "respond: header '{parsed}' is a string, not {}",
                shown(other)
            )));
        }
    };
    let value = HeaderValue::from_bytes(&value).map_err(|_never_shown| {
        Error::runtime(format!("respond: header '{parsed}' holds control characters"))
    })?;
    headers.append(parsed, value);
    Ok(())
}

/// A value as an error may show it: short, and without its content where it has parts.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "nil".into(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => text.to_string_lossy().chars().take(60).flat_map(char::escape_debug).collect(),
        Value::Table(_) => "a table".into(),
        Value::Function(_) => "a function".into(),
        other => format!("a {}", other.type_name()),
    }
}

/// Reads what a hook returned.
pub fn returned(value: &Value) -> std::result::Result<Option<Reply>, String> {
    match value {
        Value::Nil => Ok(None),
        Value::UserData(userdata) => match userdata.borrow::<Reply>() {
            Ok(reply) => Ok(Some(reply.clone())),
            Err(_) => Err(wrong(value)),
        },
        _ => Err(wrong(value)),
    }
}

fn wrong(value: &Value) -> String {
    format!("a hook returns nothing, respond(...) or redirect(...), not {}", shown(value))
}
