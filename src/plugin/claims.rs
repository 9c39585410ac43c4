//! Reading a plugin's `annotations`.

use super::claim::{Claim, Kind, On};
use super::reply::shown;
use super::table::{MOST, Reader};
use crate::ground::suggest;
use crate::model::chain::OptionValue;
use mlua::{Table, Value};
use regex::Regex;
use std::sync::Arc;

const CLAIM_KEYS: [&str; 13] = [
    "type",
    "names",
    "default",
    "required",
    "required_if",
    "min",
    "max",
    "pattern",
    "on",
    "shared",
    "when",
    "doc",
    "deprecated",
];

impl Reader<'_> {
    /// Every claim, by key.
    pub(super) fn claims(&mut self, table: &Table) -> Vec<Claim> {
        let claims = match Self::value(table, &["annotations"]) {
            Value::Nil => return Vec::new(),
            Value::Table(claims) => claims,
            other => {
                self.wrong(&["annotations"], "a table of claims", &other);
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for pair in claims.pairs::<Value, Value>().take(MOST) {
            let Ok((key, value)) = pair else { continue };
            let name = shown(&key);
            match value {
                Value::Table(claim) if key.is_string() => read.extend(self.claim(&claim, &name)),
                other => {
                    self.wrong(&["annotations", &name], "a claim: { type = ..., names = { ... } }", &other);
                }
            }
        }
        read.sort_by(|a: &Claim, b| a.key.cmp(&b.key));
        for claim in &read {
            if let Some(other) = &claim.required_if
                && !read.iter().any(|known| known.key == *other)
            {
                let path = ["annotations", &*claim.key, "required_if"];
                self.issue(&path, format!("required_if names no claim: '{other}'"), "");
            }
        }
        read
    }

    fn claim(&mut self, table: &Table, key: &str) -> Option<Claim> {
        let path = |last| ["annotations", key, last];
        self.known_keys(table, &["annotations", key], &CLAIM_KEYS);
        let kind = self.kind(table, key)?;
        let names = self.texts(table, &path("names"), false).unwrap_or_default();
        if names.is_empty()
            || names.iter().any(|name| name.is_empty() || name.chars().any(char::is_whitespace))
        {
            self.issue(&path("names"), format!("claim '{key}' needs names: a list of annotation names"), "");
        }
        let mut claim = Claim {
            key: key.into(),
            kind,
            names,
            default: None,
            required: self.bool(table, &path("required")).unwrap_or(false),
            required_if: self.text(table, &path("required_if")).map(Arc::from),
            min: self.number(table, &path("min")),
            max: self.number(table, &path("max")),
            pattern: self.pattern(table, key),
            on: self.on(table, key),
            shared: self.bool(table, &path("shared")).unwrap_or(false),
            when: self.texts(table, &path("when"), true).unwrap_or_default(),
            deprecated: self.text(table, &path("deprecated")).map(Arc::from),
        };
        self.text(table, &path("doc"));
        self.default(table, &mut claim);
        Some(claim)
    }

    fn kind(&mut self, table: &Table, key: &str) -> Option<Kind> {
        let names: Vec<&str> = Kind::NAMES.iter().map(|(name, _)| *name).chain(["enum(a,b)"]).collect();
        let Some(text) = self.text(table, &["annotations", key, "type"]) else {
            self.issue(&["annotations", key], format!("claim '{key}' needs a type"), names.join(", "));
            return None;
        };
        let kind = Kind::parse(&text);
        if kind.is_none() {
            let hint = suggest::hint(&text, &names);
            self.issue(&["annotations", key, "type"], format!("unknown type '{text}'"), hint);
        }
        kind
    }

    fn on(&mut self, table: &Table, key: &str) -> On {
        match self.text(table, &["annotations", key, "on"]).as_deref() {
            None | Some("ingress") => On::Ingress,
            Some("service") => On::Service,
            Some("both") => On::Both,
            Some(other) => {
                let hint = suggest::hint(other, &["ingress", "service", "both"]);
                self.issue(&["annotations", key, "on"], format!("unknown on '{other}'"), hint);
                On::Ingress
            }
        }
    }

    fn pattern(&mut self, table: &Table, key: &str) -> Option<Regex> {
        let text = self.text(table, &["annotations", key, "pattern"])?;
        match regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build() {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().to_owned();
                self.issue(&["annotations", key, "pattern"], format!("pattern: {last}"), "");
                None
            }
        }
    }

    /// A default is checked as an annotation's text is; `{}` is the empty list or map.
    fn default(&mut self, table: &Table, claim: &mut Claim) {
        let path = ["annotations", &*Arc::clone(&claim.key), "default"];
        let value = Self::value(table, &path);
        let parsed = match (&value, &claim.kind) {
            (Value::Nil, _) => return,
            (_, Kind::Secret) => Err("a Secret has no default".to_owned()),
            (Value::Boolean(value), Kind::Bool) => Ok(OptionValue::Bool(*value)),
            (Value::Integer(number), Kind::Number) => Ok(OptionValue::Number(*number as f64)),
            (Value::Number(number), Kind::Number) => Ok(OptionValue::Number(*number)),
            (Value::Integer(number), Kind::Int | Kind::Duration | Kind::Size) => {
                Ok(OptionValue::Int(*number))
            }
            (Value::Number(number), Kind::Int | Kind::Duration | Kind::Size) if number.fract() == 0.0 => {
                Ok(OptionValue::Int(*number as i64))
            }
            (Value::Table(empty), Kind::List) if empty.is_empty() => Ok(OptionValue::List(Arc::new([]))),
            (Value::Table(empty), Kind::Headers) if empty.is_empty() => {
                Ok(OptionValue::Headers(Arc::new([])))
            }
            (Value::String(text), _) => claim.parse(&text.to_string_lossy()),
            _ => Err(format!("is {}", shown(&value))),
        };
        match parsed {
            Ok(value) => claim.default = Some(value),
            Err(text) => self.issue(&path, format!("default of claim '{}': {text}", claim.key), ""),
        }
    }
}
