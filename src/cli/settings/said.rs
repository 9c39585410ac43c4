//! What was said, where.

use super::entrypoint::EntryPointSaid;
use crate::ground::problem::Pos;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// How often a key may be said, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    One,
    /// Any number of values.
    List,
    /// True or false; saying the flag alone is true.
    Switch,
}

/// A setting that has a flag, an environment name and a key of the config file, all of the same name.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `access-log`: the flag is `--access-log`, the environment's name `MOONGATE_ACCESS_LOG`.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// Set where it belongs to a later version: said in the error.
    pub later: Option<&'static str>,
}

const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, later: None }
}

const fn later(name: &'static str, shape: Shape, what: &'static str) -> Key {
    Key { name, shape, later: Some(what) }
}

const CLUSTER: &str = "routes from a cluster arrive with a later version; --manifests takes them from files";
const STATUS: &str = "publishing an Ingress's status arrives with a later version";
const VIP: &str = "virtual IPs arrive with a later version";

/// Every key.
pub const KEYS: [Key; 24] = [
    key("access-log", Shape::One),
    key("admin", Shape::One),
    key("admin-token-file", Shape::One),
    key("adopt-unclassed", Shape::Switch),
    key("allow-external-names", Shape::Switch),
    key("config", Shape::One),
    key("controller", Shape::List),
    key("entrypoint", Shape::List),
    key("grace", Shape::One),
    key("ingress-class", Shape::List),
    key("log-level", Shape::One),
    key("manifests", Shape::List),
    key("nameserver", Shape::List),
    key("namespace", Shape::List),
    key("plugins", Shape::List),
    key("strict", Shape::Switch),
    key("to", Shape::One),
    key("workers", Shape::One),
    later("kubernetes", Shape::Switch, CLUSTER),
    later("publish-address", Shape::List, STATUS),
    later("publish-service", Shape::One, STATUS),
    later("vip", Shape::List, VIP),
    later("vip-key-file", Shape::One, VIP),
    later("vips", Shape::List, VIP),
];

impl Key {
    /// The key of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }
}

/// Where a word was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `--workers`
    Flag(&'static str),
    /// `MOONGATE_WORKERS`
    Environment(Arc<str>),
    /// `moongate.yaml:3:10: workers`
    File {
        /// As it was named.
        file: Arc<str>,
        /// Of the value, or of the key where the key is wrong.
        pos: Pos,
        /// `limits.head-size`
        key: Arc<str>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Environment(name) => f.write_str(name),
            Self::File { file, pos, key } => {
                write!(f, "{file}:{}:{}", pos.line, pos.column)?;
                if key.is_empty() { Ok(()) } else { write!(f, ": {key}") }
            }
        }
    }
}

/// A word and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it was said.
    pub text: String,
    /// Where.
    pub place: Place,
}

/// Wrong usage: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UsageError {
    /// `--workers`, `MOONGATE_WORKERS`, `moongate.yaml:3:10: workers`; empty where something is missing.
    pub place: String,
    /// The bad value.
    pub value: Option<String>,
    /// What is wrong, and the nearest valid spelling.
    pub text: String,
}

impl UsageError {
    /// About a word.
    pub fn at(word: &Word, text: impl Into<String>) -> Self {
        Self { place: word.place.to_string(), value: Some(word.text.clone()), text: text.into() }
    }

    /// About a place as a whole.
    pub fn about(place: &Place, text: impl Into<String>) -> Self {
        Self { place: place.to_string(), value: None, text: text.into() }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        if let Some(value) = &self.value {
            write!(f, "'{}': ", value.escape_debug())?;
        }
        f.write_str(&self.text)
    }
}

/// What one layer said.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Words by key.
    pub words: BTreeMap<&'static str, Vec<Word>>,
    /// Entrypoints, taken apart: they are said in two forms.
    pub entrypoints: Option<Vec<EntryPointSaid>>,
    /// `limits:` by name, only from the config file.
    pub limits: BTreeMap<&'static str, Word>,
    /// `plugins.disable`
    pub disable: Vec<Word>,
    /// `plugins.deny`
    pub deny: Vec<Word>,
    /// `plugins.settings`: plugin, key, value.
    pub plugin_settings: Vec<(Arc<str>, Arc<str>, Arc<str>)>,
}

impl Said {
    /// Takes from `lower` what this layer does not say.
    pub fn fall_back_to(&mut self, lower: Self) {
        for (key, words) in lower.words {
            self.words.entry(key).or_insert(words);
        }
        self.entrypoints = self.entrypoints.take().or(lower.entrypoints);
        // These are said in one layer only.
        self.limits.extend(lower.limits);
        self.disable.extend(lower.disable);
        self.deny.extend(lower.deny);
        self.plugin_settings.extend(lower.plugin_settings);
    }

    /// Takes down the values of a key.
    pub fn put(&mut self, key: &Key, words: Vec<Word>) {
        if key.name == "entrypoint" {
            self.entrypoints.get_or_insert_default().extend(words.iter().map(EntryPointSaid::of_text));
        } else {
            self.words.entry(key.name).or_default().extend(words);
        }
    }

    /// The value of a key that is said once (the last one, where it was said more often).
    pub fn one(&self, name: &str) -> Option<Word> {
        self.words.get(name).and_then(|words| words.last()).cloned()
    }

    /// The values of a key.
    pub fn list(&self, name: &str) -> &[Word] {
        self.words.get(name).map_or(&[], Vec::as_slice)
    }
}
