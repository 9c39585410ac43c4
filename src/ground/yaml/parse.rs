//! Events into the tree, with an explicit stack: input cannot make us recurse.

use super::node::{Entry, Node, Value};
use super::scalar;
use crate::ground::problem::Pos;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Deepest nesting taken.
pub const MAX_DEPTH: usize = 64;

/// Most bytes that the anchors and aliases of one document may add to it.
pub const MAX_COPIED: usize = 4 << 20;

/// What a value costs beside its text, in bytes.
const NODE_COST: usize = 64;

/// Mappings up to this size look for doubled keys by comparing; larger ones by hashing.
const SMALL_MAP: usize = 16;

/// Why a text is not YAML that we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct YamlError {
    /// What is wrong.
    pub text: String,
    /// Where.
    pub at: Pos,
}

/// All documents of a text.
pub fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    parse_from(text, 0)
}

/// All documents of a text that has `lines_before` lines before it in its file.
pub fn parse_from(text: &str, lines_before: u32) -> Result<Vec<Node>, YamlError> {
    let mut builder = Builder { lines_before, ..Builder::default() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.scan_error(&error))?;
        builder.event(event, span)?;
    }
    Ok(builder.documents)
}

#[derive(Default)]
struct Builder {
    lines_before: u32,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    /// Bytes that anchors and aliases have added to this document.
    copied: usize,
}

/// A value that aliases may repeat, and what one more of it costs.
struct Anchored {
    node: Node,
    cost: usize,
}

/// A collection whose end has not come yet.
struct Open {
    at: Pos,
    anchor: usize,
    collection: Collection,
}

enum Collection {
    Seq(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// The key whose value comes next.
        key: Option<(Box<str>, Pos)>,
        /// Keys so far, once there are more than a few.
        seen: HashSet<Box<str>>,
        /// What `<<` brings in.
        merged: Vec<Entry>,
    },
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let at = self.pos(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.copied = 0;
                Ok(())
            }
            Event::Alias(id) => {
                let Some(anchored) = self.anchors.get(&id) else {
                    return Err(error(at, "this alias stands inside of what it repeats"));
                };
                let cost = anchored.cost;
                self.spend(cost, at)?;
                let node = self.anchors.get(&id).map(|anchored| anchored.node.clone());
                node.map_or(Ok(()), |node| self.value(node, 0))
            }
            Event::Scalar(text, style, anchor, tag) => {
                if self.expects_key() {
                    return self.key(&text, style, at);
                }
                let value = scalar_value(&text, style, tag.as_deref(), at)?;
                self.value(Node { value, at }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(at, anchor, tag, "seq", Collection::Seq(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let map = Collection::Map {
                    entries: Vec::new(),
                    key: None,
                    seen: HashSet::new(),
                    merged: Vec::new(),
                };
                self.start(at, anchor, tag, "map", map)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn start(
        &mut self,
        at: Pos,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        tag_name: &str,
        collection: Collection,
    ) -> Result<(), YamlError> {
        if self.expects_key() {
            return Err(error(at, "a key must be a text"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(error(at, format!("nested deeper than {MAX_DEPTH}")));
        }
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && tag.suffix == tag_name)) {
            return Err(error(at, format!("the tag {tag} is not known here")));
        }
        self.open.push(Open { at, anchor, collection });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(Open { at, anchor, collection }) = self.open.pop() else { return Ok(()) };
        let value = match collection {
            Collection::Seq(elements) => Value::Seq(elements),
            Collection::Map { mut entries, merged, .. } => {
                bring_in(&mut entries, merged);
                Value::Map(entries)
            }
        };
        self.value(Node { value, at }, anchor)
    }

    /// Whether the next value is a key of the innermost mapping.
    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { collection: Collection::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, text: &str, style: ScalarStyle, at: Pos) -> Result<(), YamlError> {
        let Some(Open { collection: Collection::Map { entries, key, seen, .. }, .. }) = self.open.last_mut()
        else {
            return Ok(());
        };
        if text.is_empty() && style == ScalarStyle::Plain {
            return Err(error(at, "a key is missing before ':'"));
        }
        let name: Box<str> = text.into();
        let doubled = if entries.len() < SMALL_MAP {
            entries.iter().any(|entry| entry.key == name)
        } else {
            if seen.is_empty() {
                seen.extend(entries.iter().map(|entry| entry.key.clone()));
            }
            !seen.insert(name.clone())
        };
        if doubled {
            let first = entries.iter().find(|entry| entry.key == name).map_or(0, |entry| entry.at.line);
            return Err(error(at, format!("the key '{name}' is given twice (first in line {first})")));
        }
        *key = Some((name, at));
        Ok(())
    }

    /// A finished value goes to where it belongs.
    fn value(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        if anchor > 0 {
            let cost = cost(&node);
            self.spend(cost, node.at)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), cost });
        }
        match self.open.last_mut().map(|open| &mut open.collection) {
            None => self.documents.push(node),
            Some(Collection::Seq(elements)) => elements.push(node),
            Some(Collection::Map { entries, key, merged, .. }) => match key.take() {
                // Only an alias can stand where a key is due.
                None => return Err(error(node.at, "a key must be a text, not an alias")),
                Some((name, at)) if &*name == "<<" => merge(node, at, merged)?,
                Some((key, at)) => entries.push(Entry { key, at, value: node }),
            },
        }
        Ok(())
    }

    /// Bounds what anchors and aliases make of a small text.
    fn spend(&mut self, cost: usize, at: Pos) -> Result<(), YamlError> {
        self.copied += cost;
        if self.copied > MAX_COPIED {
            return Err(error(at, "aliases repeat too much: more than 4 MiB in one document"));
        }
        Ok(())
    }

    fn pos(&self, span: Span) -> Pos {
        Pos {
            line: self.lines_before.saturating_add(span.start.line() as u32),
            column: span.start.col() as u32 + 1,
        }
    }

    fn scan_error(&self, scan: &ScanError) -> YamlError {
        let at = self.pos(Span::empty(*scan.marker()));
        error(at, format!("this is not YAML: {}", scan.info()))
    }
}

/// Adds those of `entries` whose keys are not there yet.
fn bring_in(into: &mut Vec<Entry>, entries: Vec<Entry>) {
    if entries.is_empty() {
        return;
    }
    let mut there: HashSet<Box<str>> = into.iter().map(|entry| entry.key.clone()).collect();
    into.extend(entries.into_iter().filter(|entry| there.insert(entry.key.clone())));
}

/// The merge key of YAML 1.1, which Kubernetes takes: a mapping's own keys win, earlier merges before later.
fn merge(node: Node, at: Pos, merged: &mut Vec<Entry>) -> Result<(), YamlError> {
    let maps = match node.value {
        Value::Map(_) => vec![node],
        Value::Seq(elements) => elements,
        _ => return Err(error(at, "'<<' takes a mapping or a list of mappings")),
    };
    for map in maps {
        let Value::Map(entries) = map.value else {
            return Err(error(at, "'<<' takes a mapping or a list of mappings"));
        };
        bring_in(merged, entries);
    }
    Ok(())
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Pos) -> Result<Value, YamlError> {
    let Some(tag) = tag else {
        return Ok(match style {
            ScalarStyle::Plain => scalar::resolve(text),
            _ => Value::String { text: text.into(), quoted: true },
        });
    };
    // `!` alone means: a text, whatever it looks like.
    let name = match (tag.is_yaml_core_schema(), tag.handle.as_str(), tag.suffix.as_str()) {
        (true, _, suffix) => suffix,
        (false, "!", "") | (false, "", "!") => "str",
        _ => return Err(error(at, format!("the tag {tag} is not known here"))),
    };
    scalar::tagged(name, text).ok_or_else(|| error(at, format!("'{text}' is no value of the tag !!{name}")))
}

/// What one more of `node` costs.
fn cost(node: &Node) -> usize {
    NODE_COST
        + match &node.value {
            Value::Seq(elements) => elements.iter().map(cost).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.key.len() + cost(&entry.value)).sum(),
            _ => node.size(),
        }
}

fn error(at: Pos, text: impl Into<String>) -> YamlError {
    YamlError { text: text.into(), at }
}
