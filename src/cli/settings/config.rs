//! What the config file says: YAML, its keys named as the flags are, and beside them `entrypoints:` with all
//! options, `limits:` and `plugins: { dirs, disable, deny, settings }`. Paths are taken from where the program
//! was started, as those of flags.

use super::entrypoint::{self, EntryPointSaid};
use super::resolve::LIMITS;
use super::said::{KEYS, Key, Place, Said, Shape, UsageError, Word};
use crate::ground::problem::Pos;
use crate::ground::suggest;
use crate::ground::yaml::{self, Entry, Node};
use std::sync::Arc;

pub(super) fn said(file: &str, text: &str, errors: &mut Vec<UsageError>) -> Said {
    let mut reader = Reader { file: file.into(), said: Said::default(), errors };
    match yaml::parse(text).as_deref() {
        Ok([]) => {}
        Ok([document]) if document.is_null() => {}
        Ok([document]) => reader.document(document),
        Ok([_, second, ..]) => reader.wrong("", second.at, "a config file is one YAML document"),
        Err(error) => reader.wrong("", error.at, &error.text),
    }
    reader.said
}

struct Reader<'a> {
    file: Arc<str>,
    said: Said,
    errors: &'a mut Vec<UsageError>,
}

impl Reader<'_> {
    fn document(&mut self, document: &Node) {
        for entry in self.entries("", document) {
            match &*entry.key {
                "entrypoints" => self.entrypoints(&entry.value),
                "limits" => self.limits(&entry.value),
                "plugins" if entry.value.as_map().is_some() => self.plugins(&entry.value),
                "config" => self.wrong("", entry.at, "a config file cannot name another one"),
                name => {
                    if let Some(key) = Key::named(name) {
                        match key.later {
                            // Whatever its value is.
                            Some(text) => self.wrong(name, entry.at, text),
                            None => self.key(key, &entry.value),
                        }
                    } else {
                        let names = KEYS.iter().map(|key| key.name).chain(["entrypoints", "limits"]);
                        self.unknown("", entry, names);
                    }
                }
            }
        }
    }

    fn key(&mut self, key: &'static Key, node: &Node) {
        let words = match (key.shape, node.as_seq()) {
            (Shape::List, Some(elements)) => {
                elements.iter().filter_map(|element| self.word(key.name, element)).collect()
            }
            _ => Vec::from_iter(self.word(key.name, node)),
        };
        self.said.put(key, words);
    }

    /// A list of texts (as the flag takes them) or of mappings with a name, or a mapping by name.
    fn entrypoints(&mut self, node: &Node) {
        self.said.entrypoints.get_or_insert_default();
        if node.as_seq().is_some_and(<[Node]>::is_empty) || node.as_map().is_some_and(<[Entry]>::is_empty) {
            self.wrong("entrypoints", node.at, "needs at least one entrypoint, like http: '[::]:8000'");
        }
        if let Some(elements) = node.as_seq() {
            for element in elements {
                if element.as_map().is_some() {
                    self.entrypoint(None, element);
                } else if let Some(word) = self.word("entrypoints", element) {
                    self.add(EntryPointSaid::of_text(&word));
                }
            }
            return;
        }
        for entry in self.entries("entrypoints", node) {
            if entry.value.as_map().is_some() {
                self.entrypoint(Some(entry), &entry.value);
            } else {
                let key = format!("entrypoints.{}", entry.key);
                let address = self.word(&key, &entry.value);
                let named = entrypoint::named(&entry.key, self.place(&key, entry.at));
                if address.is_some() {
                    self.add(EntryPointSaid { address, ..named });
                }
            }
        }
    }

    fn entrypoint(&mut self, by: Option<&Entry>, node: &Node) {
        let name = by.map(|entry| entry.key.to_string());
        let key = format!("entrypoints.{}", name.as_deref().unwrap_or_default());
        let key = key.trim_end_matches('.').to_owned();
        let mut said = entrypoint::named(&name.unwrap_or_default(), self.place(&key, node.at));
        for entry in self.entries(&key, node) {
            let inner = format!("{key}.{}", entry.key);
            match &*entry.key {
                "name" if by.is_none() => {
                    if let Some(word) = self.word(&inner, &entry.value) {
                        said.name = word.text;
                    }
                }
                "address" => said.address = self.word(&inner, &entry.value),
                option if entrypoint::OPTIONS.contains(&option) || matches!(option, "tls" | "http3") => {
                    let name = Word { text: option.to_owned(), place: self.place(&inner, entry.at) };
                    let value = self.joined(&inner, &entry.value);
                    said.options.push((name, value));
                }
                _ => {
                    let own = if by.is_none() { &["name", "address"][..] } else { &["address"] };
                    self.unknown(&key, entry, own.iter().chain(&entrypoint::OPTIONS).copied());
                }
            }
        }
        if said.address.is_none() {
            self.wrong(&key, node.at, "an entrypoint needs an address, like address: '[::]:8000'");
        } else {
            self.add(said);
        }
    }

    fn add(&mut self, said: EntryPointSaid) {
        self.said.entrypoints.get_or_insert_default().push(said);
    }

    fn limits(&mut self, node: &Node) {
        for entry in self.entries("limits", node) {
            match LIMITS.iter().find(|(name, _)| *name == &*entry.key) {
                Some((name, _)) => {
                    if let Some(word) = self.word(&format!("limits.{name}"), &entry.value) {
                        self.said.limits.insert(name, word);
                    }
                }
                None => self.unknown("limits", entry, LIMITS.iter().map(|(name, _)| *name)),
            }
        }
    }

    fn plugins(&mut self, node: &Node) {
        for entry in self.entries("plugins", node) {
            match &*entry.key {
                "dirs" => {
                    let words = self.words("plugins.dirs", &entry.value);
                    self.said.words.entry("plugins").or_default().extend(words);
                }
                "disable" => self.said.disable = self.words("plugins.disable", &entry.value),
                "deny" => self.said.deny = self.words("plugins.deny", &entry.value),
                "settings" => self.plugin_settings(&entry.value),
                _ => self.unknown("plugins", entry, ["dirs", "disable", "deny", "settings"]),
            }
        }
    }

    fn plugin_settings(&mut self, node: &Node) {
        for plugin in self.entries("plugins.settings", node) {
            let key = format!("plugins.settings.{}", plugin.key);
            for entry in self.entries(&key, &plugin.value) {
                if let Some(word) = self.word(&format!("{key}.{}", entry.key), &entry.value) {
                    let setting = (plugin.key.as_ref().into(), entry.key.as_ref().into(), word.text.into());
                    self.said.plugin_settings.push(setting);
                }
            }
        }
    }

    /// A list, one word, or a set written `{a, b}` (which is YAML for keys without values).
    fn words(&mut self, key: &str, node: &Node) -> Vec<Word> {
        if let Some(elements) = node.as_seq() {
            return elements.iter().filter_map(|element| self.word(key, element)).collect();
        }
        match node.as_map() {
            Some(entries) if entries.iter().all(|entry| entry.value.is_null()) => entries
                .iter()
                .map(|entry| Word { text: entry.key.to_string(), place: self.place(key, entry.at) })
                .collect(),
            _ => Vec::from_iter(self.word(key, node)),
        }
    }

    /// A word, or a list's words joined as an entrypoint's option takes them.
    fn joined(&mut self, key: &str, node: &Node) -> Option<Word> {
        let Some(elements) = node.as_seq() else { return self.word(key, node) };
        let texts: Vec<String> =
            elements.iter().filter_map(|element| self.word(key, element)).map(|word| word.text).collect();
        Some(Word { text: texts.join("+"), place: self.place(key, node.at) })
    }

    fn word(&mut self, key: &str, node: &Node) -> Option<Word> {
        let text = if node.is_null() { None } else { node.scalar_text() };
        if text.is_none() {
            self.wrong(key, node.at, &format!("wants a value, not {}", node.kind_name()));
        }
        text.map(|text| Word { text: text.to_owned(), place: self.place(key, node.at) })
    }

    fn entries<'n>(&mut self, key: &str, node: &'n Node) -> &'n [Entry] {
        node.as_map().unwrap_or_else(|| {
            self.wrong(key, node.at, &format!("wants a mapping, not {}", node.kind_name()));
            &[]
        })
    }

    fn unknown<'n>(&mut self, parent: &str, entry: &Entry, names: impl IntoIterator<Item = &'n str>) {
        let names: Vec<&str> = names.into_iter().collect();
        let hint = suggest::hint(&entry.key, &names);
        self.wrong(parent, entry.at, &format!("unknown key '{}': {hint}", entry.key.escape_debug()));
    }

    fn wrong(&mut self, key: &str, at: Pos, text: &str) {
        let place = self.place(key, at);
        self.errors.push(UsageError::about(&place, text));
    }

    fn place(&self, key: &str, pos: Pos) -> Place {
        Place::File { file: Arc::clone(&self.file), pos, key: key.into() }
    }
}
