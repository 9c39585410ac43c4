//! The documents of one file, from one version of it to the next.

use crate::ground::problem::{Pos, Problem, Severity, Source};
use crate::ground::yaml::{self, YamlError};
use crate::model::objects::{Object, ObjectId};
use crate::provider::decode::{self, Item};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Added to a problem whose object stays as it was.
pub(super) const STAYS: &str = "; the last good version stays in force";

/// One document of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    /// Hash and length of its text.
    text: (u64, usize),
    /// Lines of the file before it, now and when it was parsed.
    lines_before: u32,
    parsed_at: u32,
    /// Why it is not YAML.
    error: Option<YamlError>,
    items: Vec<Held>,
    /// Kinds that we do not act on.
    pub(super) passed_over: BTreeMap<String, usize>,
}

/// An object of the document; or, where that is refused, what stays of its last good version.
#[derive(Clone, Debug)]
struct Held {
    item: Item,
    /// Its last good version, where the newest is refused.
    kept: SmallVec<[Arc<Object>; 1]>,
}

/// What a new version of a file makes of its documents.
#[derive(Debug, Default)]
pub(super) struct Reread {
    /// All documents of the new version.
    pub(super) documents: Vec<Document>,
    /// Objects of documents that are new or changed.
    pub(super) came: Vec<Arc<Object>>,
    /// Objects of documents that were changed or went.
    pub(super) went: Vec<Arc<Object>>,
}

/// The documents of a file's new `text`, given the `old` ones.
pub(super) fn reread(text: &str, source: &Source, old: Vec<Document>) -> Reread {
    let mut old = Old::new(old);
    let mut fresh = Vec::new();
    let mut documents: Vec<Document> = Vec::with_capacity(old.documents.len());
    for (index, part) in yaml::split(text).into_iter().enumerate() {
        let hash = (old.hasher.hash_one(part.text), part.text.len());
        documents.push(if let Some(document) = old.take(index, hash) {
            Document { lines_before: part.lines_before, ..document }
        } else {
            fresh.push(index);
            parse(part, hash, source)
        });
    }
    let went = old.documents.iter().flatten().flat_map(Document::objects).map(|(_, object)| object.clone());
    let went = went.collect();
    keep_last_good(&mut documents, old.documents);
    let fresh = fresh.into_iter().filter_map(|index| documents.get(index));
    let came = fresh.flat_map(Document::objects).map(|(_, object)| object.clone()).collect();
    Reread { documents, came, went }
}

/// The documents of a file's last version; those that go on are taken out.
struct Old {
    documents: Vec<Option<Document>>,
    /// Where each text is; made when the first is not where it was.
    places: Option<HashMap<(u64, usize), Vec<usize>>>,
    hasher: foldhash::quality::FixedState,
}

impl Old {
    fn new(documents: Vec<Document>) -> Self {
        let documents = documents.into_iter().map(Some).collect();
        Self { documents, places: None, hasher: foldhash::quality::FixedState::default() }
    }

    /// The document of this text: usually where it was.
    fn take(&mut self, index: usize, text: (u64, usize)) -> Option<Document> {
        let there = |document: &Option<Document>| document.as_ref().is_some_and(|old| old.text == text);
        if self.documents.get(index).is_some_and(there) {
            return self.documents.get_mut(index)?.take();
        }
        let documents = &self.documents;
        let places = self.places.get_or_insert_with(|| {
            let mut places: HashMap<(u64, usize), Vec<usize>> = HashMap::with_capacity(documents.len());
            for (index, document) in documents.iter().enumerate().rev() {
                if let Some(document) = document {
                    places.entry(document.text).or_default().push(index);
                }
            }
            places
        });
        let places = places.get_mut(&text)?;
        while let Some(index) = places.pop() {
            if let Some(document) = self.documents.get_mut(index).and_then(Option::take) {
                return Some(document);
            }
        }
        None
    }
}

fn parse(part: yaml::Document<'_>, text: (u64, usize), source: &Source) -> Document {
    let (lines_before, parsed_at) = (part.lines_before, part.lines_before);
    let mut document = Document { text, lines_before, parsed_at, ..Document::default() };
    // The parser is not ours. Should it panic, only this document is refused.
    let parsed = catch_unwind(AssertUnwindSafe(|| yaml::parse_from(part.text, part.lines_before)));
    let parsed = parsed.unwrap_or_else(|_panic| {
        let at = Pos { line: part.lines_before + 1, column: 1 };
        Err(YamlError { text: "the parser failed on this document".to_owned(), at })
    });
    match parsed {
        Err(error) => document.error = Some(error),
        Ok(nodes) => {
            for node in nodes.iter().filter(|node| !node.is_null()) {
                let decoded = decode::document(node, source);
                let held = decoded.items.into_iter().map(|item| Held { item, kept: SmallVec::new() });
                document.items.extend(held);
                for (kind, count) in decoded.passed_over {
                    *document.passed_over.entry(kind).or_default() += count;
                }
            }
        }
    }
    document
}

/// Gives refused objects their last good versions, from those `old` documents whose text is no longer there.
fn keep_last_good(documents: &mut [Document], mut old: Vec<Option<Document>>) {
    if old.iter().all(Option::is_none) || !documents.iter().any(Document::needs_last_good) {
        return;
    }
    let declared: HashSet<ObjectId> = documents
        .iter()
        .flat_map(|document| &document.items)
        .filter_map(|held| held.item.id.clone())
        .collect();
    // What says its name finds its own last version.
    let mut last: HashMap<ObjectId, SmallVec<[Arc<Object>; 1]>> = HashMap::new();
    for held in old.iter().flatten().flat_map(|document| &document.items) {
        if let (Some(id), [_, ..]) = (&held.item.id, held.in_force()) {
            last.entry(id.clone()).or_insert_with(|| held.in_force().into());
        }
    }
    for held in documents.iter_mut().flat_map(|document| &mut document.items) {
        if let (true, true, Some(id)) = (held.item.refused(), held.kept.is_empty(), &held.item.id) {
            held.kept = last.get(id).cloned().unwrap_or_default();
        }
    }
    // What does not say it takes the nearest old document that nothing else continues.
    for (index, document) in documents.iter_mut().enumerate() {
        if !document.is_nameless() {
            continue;
        }
        let continued = |old: &Document| {
            old.items.iter().any(|held| held.item.id.as_ref().is_some_and(|id| declared.contains(id)))
        };
        let nearest = old
            .iter()
            .enumerate()
            .filter(|(_, old)| old.as_ref().is_some_and(|old| !continued(old)))
            .min_by_key(|(place, _)| place.abs_diff(index))
            .map(|(place, _)| place);
        if let Some(old) = nearest.and_then(|place| old.get_mut(place)?.take()) {
            document.continue_from(old);
        }
    }
}

impl Held {
    /// The objects that count: the newest, or the last good ones.
    fn in_force(&self) -> &[Arc<Object>] {
        if self.item.refused() { &self.kept } else { &self.item.objects }
    }
}

impl Document {
    /// All objects in force, with their places in the file as it is now.
    pub(super) fn objects(&self) -> impl Iterator<Item = (Pos, &Arc<Object>)> {
        self.items.iter().flat_map(|held| {
            let at = self.moved(held.item.at);
            held.in_force().iter().map(move |object| (at, object))
        })
    }

    /// Its problems.
    pub(super) fn problems(&self, source: &Source, problems: &mut Vec<Problem>) {
        let shift = i64::from(self.lines_before) - i64::from(self.parsed_at);
        if let Some(error) = &self.error {
            let mut text = error.text.clone();
            if self.objects().next().is_some() {
                text.push_str(STAYS);
            }
            let subject = format!("manifest {}", source.file);
            problems.push(Problem::error(subject, text).at(source, self.moved(error.at)));
        }
        for held in &self.items {
            if held.item.faults.is_empty() {
                continue;
            }
            let subject = held.item.subject();
            for fault in &held.item.faults {
                let mut problem = fault.problem(&subject, source, shift);
                if !held.kept.is_empty() && fault.severity == Severity::Error {
                    problem.text.push_str(STAYS);
                }
                problems.push(problem);
            }
        }
    }

    /// A place in the file as it is now.
    fn moved(&self, at: Pos) -> Pos {
        let line = at.line.saturating_sub(self.parsed_at).saturating_add(self.lines_before);
        Pos { line, ..at }
    }

    fn needs_last_good(&self) -> bool {
        self.error.is_some() || self.items.iter().any(|held| held.item.refused())
    }

    /// Whether something in it is bad without saying which object it is.
    fn is_nameless(&self) -> bool {
        let nameless = |held: &Held| held.item.refused() && held.item.id.is_none();
        (self.error.is_some() && self.items.is_empty()) || self.items.iter().any(nameless)
    }

    /// Takes over what `old` had in force.
    fn continue_from(&mut self, old: Self) {
        if self.error.is_some() {
            self.items = old
                .items
                .into_iter()
                .filter(|held| !held.in_force().is_empty())
                .map(|held| {
                    let kept = held.in_force().into();
                    let at = Pos { line: self.parsed_at + 1, column: 1 };
                    let item = Item { at, objects: SmallVec::new(), faults: Vec::new(), ..held.item };
                    Held { item, kept }
                })
                .collect();
            return;
        }
        for (held, old) in self.items.iter_mut().zip(old.items) {
            if held.item.refused() && held.item.id.is_none() {
                held.kept = old.in_force().into();
            }
        }
    }
}
