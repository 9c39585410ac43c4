//! Kubernetes manifests on disk.
//!
//! A file is split into documents; a document whose text is the same as before is not parsed again. One that
//! has become bad leaves in force what it declared before, and a problem says so. Where two documents declare
//! the same object, the one that comes first (by root, path, place in the file) wins.

mod document;

use super::files::{Files, Reading, Touched, Wanted};
use super::watch::OnDisk;
use super::{ObjectsUpdate, Update};
use crate::ground::problem::{Pos, Problem, Source};
use crate::model::objects::{Change, Object, ObjectId};
use document::{Document, reread};
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// This provider's name.
pub const PROVIDER: &str = "manifests";

/// What is read: at most 100,000 files of at most 64 MiB.
const WANTED: Wanted =
    Wanted { extensions: &["yaml", "yml", "json"], max_size: 64 << 20, max_files: 100_000, what: "manifest" };

/// The manifests of some files and folders, and what they declare.
#[derive(Clone, Debug)]
pub struct Manifests {
    files: Files,
    read: BTreeMap<Key, File>,
    /// Who declares an object, in no order.
    claims: HashMap<ObjectId, SmallVec<[Claim; 1]>>,
    /// Objects that more than one document declares.
    doubled: BTreeSet<ObjectId>,
    /// What was said last.
    published: HashMap<ObjectId, Arc<Object>>,
    problems: Arc<[Problem]>,
}

/// A file's place in the order of files: its root's place, then its path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    root: usize,
    path: PathBuf,
}

/// One file as it was read last.
#[derive(Clone, Debug)]
struct File {
    key: Arc<Key>,
    source: Source,
    documents: Vec<Document>,
    /// Why its newest version cannot be read.
    unreadable: Option<String>,
}

/// One declaration of an object.
#[derive(Clone, Debug)]
struct Claim {
    file: Arc<Key>,
    object: Arc<Object>,
}

impl Manifests {
    /// The manifests of `paths`; nothing is read yet.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            files: Files::new(paths, WANTED),
            read: BTreeMap::new(),
            claims: HashMap::new(),
            doubled: BTreeSet::new(),
            published: HashMap::new(),
            problems: Arc::from([]),
        }
    }

    /// Reads everything and says what there is, even if that is nothing.
    pub fn load(&mut self) -> ObjectsUpdate {
        self.refresh(&Touched::everything()).unwrap_or_else(|| ObjectsUpdate {
            provider: PROVIDER,
            changes: Vec::new(),
            problems: self.problems.clone(),
        })
    }

    /// Reads what was touched; nothing if nothing changed in effect.
    pub fn refresh(&mut self, touched: &Touched) -> Option<ObjectsUpdate> {
        let mut affected = Vec::new();
        for (path, reading) in self.files.read(touched) {
            self.take_in(path, reading, &mut affected);
        }
        let changes = self.changes(affected);
        let problems = self.all_problems();
        if changes.is_empty() && *problems == *self.problems {
            return None;
        }
        self.problems = problems.into();
        Some(ObjectsUpdate { provider: PROVIDER, changes, problems: self.problems.clone() })
    }

    /// Kinds that we do not act on, by how many objects there are.
    pub fn passed_over(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for document in self.read.values().flat_map(|file| &file.documents) {
            for (kind, count) in &document.passed_over {
                *counts.entry(kind.as_str()).or_default() += count;
            }
        }
        counts
    }

    /// How many objects are in force.
    pub fn len(&self) -> usize {
        self.published.len()
    }

    /// Whether no object is in force.
    pub fn is_empty(&self) -> bool {
        self.published.is_empty()
    }

    /// One file's new state.
    fn take_in(&mut self, path: PathBuf, reading: Reading, affected: &mut Vec<ObjectId>) {
        let root = self.files.root_of(&path).unwrap_or(usize::MAX);
        let key = Key { root, path };
        match reading {
            Reading::Gone => {
                if let Some(file) = self.read.remove(&key) {
                    let went: Vec<Arc<Object>> = file.objects().map(|(_, object)| object.clone()).collect();
                    self.withdraw(&file.key, &went, affected);
                }
            }
            Reading::Unreadable(why) => {
                self.read.entry(key.clone()).or_insert_with(|| File::new(key)).unreadable = Some(why);
            }
            Reading::Text(text) => {
                let mut file = self.read.remove(&key).unwrap_or_else(|| File::new(key.clone()));
                file.unreadable = None;
                let reread = reread(&text, &file.source, std::mem::take(&mut file.documents));
                file.documents = reread.documents;
                self.withdraw(&file.key, &reread.went, affected);
                self.declare(&file.key, reread.came, affected);
                // Documents may have changed places.
                affected.extend(self.doubled.iter().cloned());
                self.read.insert(key, file);
            }
        }
    }

    fn withdraw(&mut self, file: &Arc<Key>, went: &[Arc<Object>], affected: &mut Vec<ObjectId>) {
        for object in went {
            let id = object.id();
            if let Some(claims) = self.claims.get_mut(&id) {
                claims.retain(|claim| !(claim.file == *file && Arc::ptr_eq(&claim.object, object)));
            }
            affected.push(id);
        }
    }

    fn declare(&mut self, file: &Arc<Key>, came: Vec<Arc<Object>>, affected: &mut Vec<ObjectId>) {
        for object in came {
            let id = object.id();
            affected.push(id.clone());
            self.claims.entry(id).or_default().push(Claim { file: file.clone(), object });
        }
    }

    /// What changed in effect about the `affected` objects.
    fn changes(&mut self, affected: Vec<ObjectId>) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut done = HashSet::with_capacity(affected.len());
        let mut places = Places::default();
        for id in affected {
            if !done.insert(id.clone()) {
                continue;
            }
            let claims = self.claims.get_mut(&id).filter(|claims| !claims.is_empty());
            let Some(claims) = claims else {
                self.claims.remove(&id);
                self.doubled.remove(&id);
                if self.published.remove(&id).is_some() {
                    changes.push(Change { id, object: None });
                }
                continue;
            };
            if claims.len() > 1 {
                claims.sort_by_cached_key(|claim| (claim.file.clone(), places.of(&self.read, claim)));
                self.doubled.insert(id.clone());
            } else {
                self.doubled.remove(&id);
            }
            let Some(winner) = claims.first() else { continue };
            let same = |old: &Arc<Object>| Arc::ptr_eq(old, &winner.object) || *old == winner.object;
            if !self.published.get(&id).is_some_and(same) {
                self.published.insert(id.clone(), winner.object.clone());
                changes.push(Change { id, object: Some(winner.object.clone()) });
            }
        }
        changes
    }

    fn all_problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.files.problems().cloned().collect();
        for file in self.read.values() {
            file.problems(&mut problems);
        }
        let mut places = Places::default();
        for claims in self.doubled.iter().filter_map(|id| self.claims.get(id)) {
            let mut places = claims.iter().map(|claim| (claim, places.of(&self.read, claim)));
            let Some((winner, (_, first))) = places.next() else { continue };
            let first = source(&winner.file.path).at(first).unwrap_or_default();
            problems.extend(places.map(|(loser, (_, at))| doubled(&first, loser, at)));
        }
        problems
    }
}

impl OnDisk for Manifests {
    fn files(&mut self) -> &mut Files {
        &mut self.files
    }

    fn load(&mut self) -> Update {
        Update::Objects(Self::load(self))
    }

    fn refresh(&mut self, touched: &Touched) -> Option<Update> {
        Self::refresh(self, touched).map(Update::Objects)
    }
}

fn doubled(first: &str, loser: &Claim, at: Pos) -> Problem {
    let text = format!("it is declared twice; {first} comes first and is in force, this one is passed over");
    Problem::error(loser.object.id().to_string(), text)
        .hint("delete one of them, or give it another name or namespace")
        .at(&source(&loser.file.path), at)
}

/// Where in its file each object stands now; made only for files whose objects are declared twice.
#[derive(Default)]
struct Places {
    files: BTreeMap<Arc<Key>, HashMap<*const Object, (usize, Pos)>>,
}

impl Places {
    /// Which of its file's objects it is, and where it stands.
    fn of(&mut self, read: &BTreeMap<Key, File>, claim: &Claim) -> (usize, Pos) {
        let places = self.files.entry(claim.file.clone()).or_insert_with(|| {
            let objects = read.get(&*claim.file).into_iter().flat_map(File::objects).enumerate();
            objects.map(|(nth, (at, object))| (Arc::as_ptr(object), (nth, at))).collect()
        });
        places.get(&Arc::as_ptr(&claim.object)).copied().unwrap_or_default()
    }
}

fn source(path: &Path) -> Source {
    Source { file: path.to_string_lossy().into() }
}

impl File {
    fn new(key: Key) -> Self {
        let source = source(&key.path);
        Self { key: Arc::new(key), source, documents: Vec::new(), unreadable: None }
    }

    /// All objects in force, with their places.
    fn objects(&self) -> impl Iterator<Item = (Pos, &Arc<Object>)> {
        self.documents.iter().flat_map(Document::objects)
    }

    fn problems(&self, problems: &mut Vec<Problem>) {
        if let Some(why) = &self.unreadable {
            let mut text = why.clone();
            if self.documents.iter().any(|document| document.objects().next().is_some()) {
                text.push_str(document::STAYS);
            }
            let subject = format!("manifest {}", self.source.file);
            problems.push(Problem::error(subject, text).at(&self.source, Pos::default()));
        }
        for document in &self.documents {
            document.problems(&self.source, problems);
        }
    }
}

#[cfg(test)]
mod tests;
