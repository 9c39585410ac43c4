//! The table that a plugin file returns, checked: every key, every type, every claim.

use super::claim::{Claim, Kind};
use super::reply::shown;
use super::table::{Issue, Reader};
use crate::ground::suggest;
use crate::model::chain::{Hooks, OnError};
use crate::model::plugins::Stage;
use mlua::{Table, Value};
use std::sync::Arc;

/// What a plugin says of itself.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its identity.
    pub name: Arc<str>,
    /// When it acts.
    pub stage: Stage,
    /// Inside the stage, higher first.
    pub priority: u8,
    /// Capabilities that it asks for.
    pub needs: Vec<Arc<str>>,
    /// What an error means.
    pub on_error: OnError,
    /// It acts on every route.
    pub always: bool,
    /// What it reads.
    pub claims: Vec<Claim>,
    /// Its hooks.
    pub hooks: Hooks,
}

const KEYS: [&str; 14] = [
    "name",
    "doc",
    "version",
    "stage",
    "priority",
    "annotations",
    "needs",
    "on_error",
    "always",
    "configure",
    "on_request",
    "on_response",
    "on_log",
    "tests",
];
/// Capabilities that this version grants.
const CAPABILITIES: [&str; 2] = ["secrets", "verify"];
/// Reads a plugin's table; `stem` is its name where it says none.
pub fn read(table: &Table, stem: &str, source: &str) -> Result<Definition, Vec<Issue>> {
    let mut reader = Reader { source, issues: Vec::new() };
    let definition = reader.plugin(table, stem);
    match definition {
        Some(definition) if reader.issues.is_empty() => Ok(definition),
        _ => Err(reader.issues),
    }
}

impl Reader<'_> {
    fn plugin(&mut self, table: &Table, stem: &str) -> Option<Definition> {
        self.known_keys(table, &[], &KEYS);
        let name = self.text(table, &["name"]).unwrap_or_else(|| stem.to_owned());
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            self.issue(&["name"], format!("name '{name}' must be of a-z, 0-9 and '-'"), "");
        }
        self.text(table, &["version"]);
        self.text(table, &["doc"]);
        let stage = self.stage(table)?;
        let priority = self.number(table, &["priority"]).unwrap_or(50.0);
        if !(0.0..=100.0).contains(&priority) || priority.fract() != 0.0 {
            self.issue(&["priority"], "priority must be a whole number from 0 to 100", "");
        }
        let needs = self.needs(table);
        let on_error = self.on_error(table, stage);
        let always = self.bool(table, &["always"]).unwrap_or(false);
        let claims = self.claims(table);
        let mut hooks = Hooks(0);
        for (key, hook) in
            [("on_request", Hooks::REQUEST), ("on_response", Hooks::RESPONSE), ("on_log", Hooks::LOG)]
        {
            if self.function(table, key) {
                hooks = hooks.union(hook);
            }
        }
        self.function(table, "configure");
        self.tests(table);
        if claims.iter().any(|claim| claim.kind == Kind::Secret)
            && !needs.iter().any(|need| &**need == "secrets")
        {
            self.issue(&["annotations"], "a claim of type secret", "add needs = { \"secrets\" }");
        }
        if claims.is_empty() && !always && self.issues.is_empty() {
            self.issue(
                &["annotations"],
                "nothing makes this plugin act",
                "claim an annotation, or say always = true",
            );
        }
        Some(Definition {
            name: name.into(),
            stage,
            priority: priority as u8,
            needs,
            on_error,
            always,
            claims,
            hooks,
        })
    }

    fn stage(&mut self, table: &Table) -> Option<Stage> {
        let names = Stage::ALL.map(|(_, name)| name);
        let Some(text) = self.text(table, &["stage"]) else {
            self.issue(&["stage"], "stage is missing", format!("one of {}", names.join(", ")));
            return None;
        };
        let stage = Stage::ALL.iter().find(|(_, name)| *name == text).map(|(stage, _)| *stage);
        if stage.is_none() {
            self.issue(&["stage"], format!("unknown stage '{text}'"), suggest::hint(&text, &names));
        }
        stage
    }

    fn on_error(&mut self, table: &Table, stage: Stage) -> OnError {
        match self.text(table, &["on_error"]).as_deref() {
            None => stage.on_error(),
            Some("closed") => OnError::Closed,
            Some("open") => OnError::Open,
            Some(other) => {
                self.issue(&["on_error"], format!("unknown on_error '{other}'"), "valid are: closed, open");
                OnError::Closed
            }
        }
    }

    fn needs(&mut self, table: &Table) -> Vec<Arc<str>> {
        let needs = self.texts(table, &["needs"], false).unwrap_or_default();
        for need in &needs {
            if !CAPABILITIES.contains(&&**need) {
                let hint = suggest::hint(need, &CAPABILITIES);
                self.issue(&["needs"], format!("unknown capability '{need}'"), hint);
            }
        }
        needs
    }

    fn tests(&mut self, table: &Table) {
        let Value::Table(tests) = Self::value(table, &["tests"]) else {
            if !Self::value(table, &["tests"]).is_nil() {
                self.wrong(&["tests"], "a table of functions", &Self::value(table, &["tests"]));
            }
            return;
        };
        for pair in tests.pairs::<Value, Value>() {
            let Ok((name, test)) = pair else { continue };
            if !name.is_string() || !test.is_function() {
                self.issue(&["tests"], format!("test '{}' must be a function by name", shown(&name)), "");
            }
        }
    }
}
