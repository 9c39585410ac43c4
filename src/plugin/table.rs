//! Reading Lua tables key by key: each value typed, each mistake with its place in the file.

use super::place;
use super::reply::shown;
use crate::ground::problem::Pos;
use crate::ground::suggest;
use mlua::{Table, Value};
use std::sync::Arc;

/// What is wrong with a table, and where.
#[derive(Clone, Debug)]
pub struct Issue {
    /// Where in the file.
    pub pos: Pos,
    /// What.
    pub text: String,
    /// What to do.
    pub hint: String,
}

/// Claims of one plugin, and names of one claim: more is a mistake.
pub(super) const MOST: usize = 200;

/// Reads a table, and collects what is wrong with it. Paths name keys from the plugin's table down.
pub(super) struct Reader<'s> {
    pub(super) source: &'s str,
    pub(super) issues: Vec<Issue>,
}

impl Reader<'_> {
    pub(super) fn issue(&mut self, path: &[&str], text: impl Into<String>, hint: impl Into<String>) {
        let pos = place::of_key(self.source, path);
        self.issues.push(Issue { pos, text: text.into(), hint: hint.into() });
    }

    pub(super) fn known_keys(&mut self, table: &Table, path: &[&str], keys: &[&str]) {
        for pair in table.pairs::<Value, Value>() {
            let Ok((key, _)) = pair else { continue };
            let word = shown(&key);
            if !(key.is_string() && keys.contains(&word.as_str())) {
                let mut place = path.to_vec();
                place.push(&word);
                self.issue(&place, format!("unknown key '{word}'"), suggest::hint(&word, keys));
            }
        }
    }

    pub(super) fn value(table: &Table, path: &[&str]) -> Value {
        path.last().and_then(|key| table.raw_get(*key).ok()).unwrap_or(Value::Nil)
    }

    pub(super) fn wrong(&mut self, path: &[&str], want: &str, value: &Value) {
        let key = path.last().copied().unwrap_or_default();
        self.issue(path, format!("{key} must be {want}, not {}", shown(value)), "");
    }

    pub(super) fn text(&mut self, table: &Table, path: &[&str]) -> Option<String> {
        match Self::value(table, path) {
            Value::Nil => None,
            Value::String(text) => Some(text.to_string_lossy().clone()),
            other => {
                self.wrong(path, "a string", &other);
                None
            }
        }
    }

    pub(super) fn number(&mut self, table: &Table, path: &[&str]) -> Option<f64> {
        match Self::value(table, path) {
            Value::Nil => None,
            Value::Integer(number) => Some(number as f64),
            Value::Number(number) if number.is_finite() => Some(number),
            other => {
                self.wrong(path, "a number", &other);
                None
            }
        }
    }

    pub(super) fn bool(&mut self, table: &Table, path: &[&str]) -> Option<bool> {
        match Self::value(table, path) {
            Value::Nil => None,
            Value::Boolean(value) => Some(value),
            other => {
                self.wrong(path, "true or false", &other);
                None
            }
        }
    }

    /// A list of strings, or one string where `single` allows it.
    pub(super) fn texts(&mut self, table: &Table, path: &[&str], single: bool) -> Option<Vec<Arc<str>>> {
        match Self::value(table, path) {
            Value::Nil => None,
            Value::String(text) if single => Some(vec![text.to_string_lossy().as_str().into()]),
            Value::Table(list) => {
                let texts: Result<Vec<String>, _> = list.sequence_values::<String>().take(MOST).collect();
                match texts {
                    Ok(texts) if texts.len() == list.raw_len() => {
                        Some(texts.into_iter().map(Arc::from).collect())
                    }
                    _ => {
                        self.wrong(path, "a list of strings", &Value::Table(list));
                        None
                    }
                }
            }
            other => {
                self.wrong(path, "a list of strings", &other);
                None
            }
        }
    }

    pub(super) fn function(&mut self, table: &Table, key: &str) -> bool {
        match Self::value(table, &[key]) {
            Value::Nil => false,
            Value::Function(_) => true,
            other => {
                self.wrong(&[key], "a function", &other);
                false
            }
        }
    }
}
