//! `ctx`: what `configure` knows of its route, and may set of it. Every field is typed and checked where it is
//! assigned, so that an error names the plugin's own line.

use super::natives::here;
use super::reply::shown;
use crate::ground::amount;
use crate::ground::names::EntryPoints;
use crate::ground::suggest;
use crate::model::chain::Facts;
use crate::model::route::{BackendSettings, PathMatch, RouteSettings};
use mlua::{Lua, MetaMethod, Result, Table, UserData, UserDataMethods, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What plugins have made of a route so far.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// `ctx.route`
    pub settings: RouteSettings,
    /// `ctx.backend`
    pub backend: BackendSettings,
    /// `ctx.route.entrypoints`
    pub entrypoints: Option<EntryPoints>,
    /// `ctx.route.path_type`
    pub path_match: Option<PathMatch>,
    /// What the running plugin said.
    pub notes: Vec<Note>,
}

/// Something that a plugin said of its annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// `ctx:fail(key, text)`: the value is bad, `configure` ended there.
    Fail(Arc<str>, String),
    /// `ctx:report(key, text)`: the value is bad, the rest of it acts.
    Report(Arc<str>, String),
    /// `ctx:warn(text)`
    Warn(String),
}

/// What a `ctx` is made of.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where we are.
    pub facts: Facts,
    /// The operator's settings of this plugin.
    pub settings: Arc<BTreeMap<Arc<str>, Arc<str>>>,
    /// The entrypoints that there are, by name; none where assignments are only checked.
    pub entrypoints: Option<Rc<[Arc<str>]>>,
    /// What is set.
    pub draft: Rc<RefCell<Draft>>,
}

/// Fields of `ctx.route`.
const ROUTE: [&str; 8] = [
    "priority",
    "path_type",
    "entrypoints",
    "pass_host",
    "body_limit",
    "response_timeout",
    "read_timeout",
    "retries",
];
/// Fields of `ctx.backend`.
const BACKEND: [&str; 2] = ["connect_timeout", "idle_connections"];
/// Fields of `ctx`.
const FIELDS: [&str; 9] =
    ["namespace", "ingress", "host", "path", "path_type", "service", "settings", "route", "backend"];
/// Longest time that may be set: a day.
const LONGEST: Duration = Duration::from_secs(86_400);

struct Route(Context);
struct Backend(Context);

impl UserData for Context {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("fail", |lua, this, (key, text): (String, String)| -> Result<()> {
            this.note(Note::Fail(key.as_str().into(), text.clone()));
            Err(here(lua, &text))
        });
        methods.add_method("report", |_, this, (key, text): (String, String)| {
            this.note(Note::Report(key.as_str().into(), text));
            Ok(())
        });
        methods.add_method("warn", |_, this, text: String| {
            this.note(Note::Warn(text));
            Ok(())
        });
        methods.add_meta_method(MetaMethod::Index, |lua, this, key: String| {
            let facts = &this.facts;
            let text = match key.as_str() {
                "namespace" => &*facts.namespace,
                "ingress" => &*facts.ingress,
                "host" => &*facts.host,
                "path" => &*facts.path,
                "path_type" => facts.path_type,
                "service" => &*facts.service,
                "settings" => return this.settings_table(lua).map(Value::Table),
                "route" => return Ok(Value::UserData(lua.create_userdata(Route(this.clone()))?)),
                "backend" => return Ok(Value::UserData(lua.create_userdata(Backend(this.clone()))?)),
                _ => return Err(unknown(lua, "ctx", &key, &FIELDS)),
            };
            lua.create_string(text).map(Value::String)
        });
        methods.add_meta_method(MetaMethod::NewIndex, |lua, _, (key, _): (String, Value)| -> Result<()> {
            Err(here(lua, &format!("ctx.{key} cannot be set; set fields of ctx.route or ctx.backend")))
        });
    }
}

impl Context {
    fn note(&self, note: Note) {
        let mut draft = self.draft.borrow_mut();
        if draft.notes.len() < 100 {
            draft.notes.push(note);
        }
    }

    fn settings_table(&self, lua: &Lua) -> Result<Table> {
        let table = lua.create_table_from(self.settings.iter().map(|(key, value)| (&**key, &**value)))?;
        table.set_readonly(true);
        Ok(table)
    }

    /// The set that a list of names means. Unknown names are reported, and are in no set.
    fn entrypoints(&self, lua: &Lua, value: &Value) -> Result<EntryPoints> {
        let bad = || here(lua, "ctx.route.entrypoints must be a list of names");
        let names: Vec<String> = match value {
            Value::Table(list) => list.sequence_values().collect::<Result<_>>().map_err(|_not_text| bad())?,
            _ => return Err(bad()),
        };
        let Some(known) = &self.entrypoints else { return Ok(EntryPoints::ALL) };
        let mut set = EntryPoints::NONE;
        for name in names {
            if let Some(index) = known.iter().position(|known| **known == *name) {
                set = set.union(EntryPoints::one(index as u8));
            } else {
                let words: Vec<&str> = known.iter().map(|name| &**name).collect();
                let hint = suggest::hint(&name, &words);
                self.note(Note::Report("".into(), format!("there is no entrypoint '{name}'; {hint}")));
            }
        }
        Ok(set)
    }
}

impl UserData for Route {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, Self(ctx), key: String| {
            let draft = ctx.draft.borrow();
            let settings = &draft.settings;
            Ok(match key.as_str() {
                "priority" => Value::Number(settings.priority as f64),
                "path_type" => match draft.path_match {
                    Some(PathMatch::Exact) => Value::String(lua.create_string("Exact")?),
                    Some(PathMatch::Prefix) => Value::String(lua.create_string("Prefix")?),
                    None => Value::Nil,
                },
                "pass_host" => Value::Boolean(settings.pass_host),
                "body_limit" => settings.body_limit.map_or(Value::Nil, |limit| Value::Number(limit as f64)),
                "response_timeout" => milliseconds(settings.response_timeout),
                "read_timeout" => milliseconds(settings.read_timeout),
                "retries" => settings.retries.map_or(Value::Nil, |retries| Value::Number(f64::from(retries))),
                "entrypoints" => return Err(here(lua, "ctx.route.entrypoints can be set, not read")),
                _ => return Err(unknown(lua, "ctx.route", &key, &ROUTE)),
            })
        });
        methods.add_meta_method(MetaMethod::NewIndex, |lua, Self(ctx), (key, value): (String, Value)| {
            let field = Field { lua, name: &format!("ctx.route.{key}"), value: &value };
            let entrypoints = if key == "entrypoints" { Some(ctx.entrypoints(lua, &value)?) } else { None };
            let mut draft = ctx.draft.borrow_mut();
            match key.as_str() {
                "priority" => draft.settings.priority = field.integer(-(1 << 31), 1 << 31)?,
                "path_type" => draft.path_match = Some(field.path_match()?),
                "entrypoints" => draft.entrypoints = entrypoints,
                "pass_host" => draft.settings.pass_host = field.bool()?,
                "body_limit" => draft.settings.body_limit = field.optional(Field::size)?,
                "response_timeout" => draft.settings.response_timeout = field.duration()?,
                "read_timeout" => draft.settings.read_timeout = field.duration()?,
                "retries" => {
                    draft.settings.retries =
                        field.optional(|field| field.integer(0, 100).map(|retries| retries as u32))?;
                }
                _ => return Err(unknown(lua, "ctx.route", &key, &ROUTE)),
            }
            Ok(())
        });
    }
}

impl UserData for Backend {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, Self(ctx), key: String| {
            let draft = ctx.draft.borrow();
            match key.as_str() {
                "connect_timeout" => Ok(milliseconds(draft.backend.connect_timeout)),
                "idle_connections" => Ok(Value::Number(f64::from(draft.backend.idle_connections))),
                _ => Err(unknown(lua, "ctx.backend", &key, &BACKEND)),
            }
        });
        methods.add_meta_method(MetaMethod::NewIndex, |lua, Self(ctx), (key, value): (String, Value)| {
            let field = Field { lua, name: &format!("ctx.backend.{key}"), value: &value };
            let mut draft = ctx.draft.borrow_mut();
            match key.as_str() {
                "connect_timeout" => draft.backend.connect_timeout = field.duration()?,
                "idle_connections" => draft.backend.idle_connections = field.integer(0, 100_000)? as u32,
                _ => return Err(unknown(lua, "ctx.backend", &key, &BACKEND)),
            }
            Ok(())
        });
    }
}

fn milliseconds(duration: Duration) -> Value {
    Value::Number(duration.as_millis() as f64)
}

fn unknown(lua: &Lua, of: &str, key: &str, fields: &[&str]) -> mlua::Error {
    here(lua, &format!("{of} has no field '{key}'; {}", suggest::hint(key, fields)))
}

/// A value on its way into a typed field.
struct Field<'a> {
    lua: &'a Lua,
    name: &'a str,
    value: &'a Value,
}

impl Field<'_> {
    fn wrong(&self, want: &str) -> mlua::Error {
        here(self.lua, &format!("{} must be {want}, not {}", self.name, shown(self.value)))
    }

    fn optional<T>(&self, read: impl FnOnce(&Self) -> Result<T>) -> Result<Option<T>> {
        if self.value.is_nil() { Ok(None) } else { read(self).map(Some) }
    }

    fn number(&self) -> Option<f64> {
        match self.value {
            Value::Integer(number) => Some(*number as f64),
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn integer(&self, min: i64, max: i64) -> Result<i64> {
        let number = self.number().filter(|n| n.fract() == 0.0 && (min as f64..=max as f64).contains(n));
        number.map(|n| n as i64).ok_or_else(|| self.wrong(&format!("a whole number from {min} to {max}")))
    }

    fn bool(&self) -> Result<bool> {
        self.value.as_boolean().ok_or_else(|| self.wrong("true or false"))
    }

    fn size(&self) -> Result<u64> {
        let text = self.value.as_string().map(|text| text.to_string_lossy().clone());
        let size = match text {
            Some(text) => amount::size(&text).ok(),
            None => self.number().filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n)).map(|n| n as u64),
        };
        size.ok_or_else(|| self.wrong("bytes, or a size like \"8m\""))
    }

    fn duration(&self) -> Result<Duration> {
        let text = self.value.as_string().map(|text| text.to_string_lossy().clone());
        let duration = match text {
            Some(text) => amount::duration(&text).ok(),
            None => self
                .number()
                .filter(|n| (0.0..=LONGEST.as_millis() as f64).contains(n))
                .map(|ms| Duration::from_micros((ms * 1_000.0) as u64)),
        };
        duration
            .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
            .ok_or_else(|| self.wrong("milliseconds above 0, or a duration like \"5s\", at most 24h"))
    }

    fn path_match(&self) -> Result<PathMatch> {
        let text = self.value.as_string().map(|text| text.to_string_lossy().clone());
        match text.as_deref() {
            Some("Exact") => Ok(PathMatch::Exact),
            Some("Prefix") => Ok(PathMatch::Prefix),
            _ => Err(self.wrong("\"Exact\" or \"Prefix\"")),
        }
    }
}
