//! The rules of one host: a trie over whole path elements, kept flat.
//!
//! The trie's edges stand in one persistent map from (node, element) to the child, so that a change copies a few
//! small nodes of that map, a host with ten thousand paths costs no more to change than one with ten, and
//! neither a lookup nor a drop recurses on paths that a tenant wrote.

use super::{Hasher, Rule};
use crate::ground::names::EntryPoints;
use crate::model::route::PathMatch;
use imbl::shared_ptr::DefaultSharedPtr;
use smallvec::SmallVec;
use std::hash::Hash;
use std::sync::Arc;

/// The rules of one host.
pub(super) struct Table<T> {
    /// Where the host counts as matched: `bare` and the entrypoints of all rules.
    on: EntryPoints,
    /// Where it counts as matched whatever rules it has.
    bare: EntryPoints,
    /// Entrypoints of the rules, each with the number of rules that have exactly these. Few are distinct.
    masks: Vec<(EntryPoints, usize)>,
    default: Rules<T>,
    root: Node<T>,
    edges: imbl::GenericHashMap<Edge, Node<T>, Hasher, DefaultSharedPtr>,
    next_node: u64,
}

/// From a node to its child; the root is node 0.
#[derive(Clone, PartialEq, Eq)]
struct Edge {
    parent: u64,
    element: Arc<str>,
}

/// An [`Edge`] to look up, without owning its text.
struct EdgeRef<'a> {
    parent: u64,
    element: &'a str,
}

/// A path's elements up to here, without a trailing slash.
struct Node<T> {
    id: u64,
    /// How many edges lead on.
    children: usize,
    exact: Rules<T>,
    prefix: Rules<T>,
    /// Prefixes with a trailing slash: they match what `prefix` matches, and are longer.
    slashed: Rules<T>,
}

/// The rules of one slot, best first, without those that can never answer. Nearly always one: it stands here and not
/// behind a pointer, which with ten thousand hosts would be one cache miss more for each request.
pub(super) struct Rules<T>(SmallVec<[Entry<T>; 1]>);

struct Entry<T> {
    priority: i64,
    entrypoints: EntryPoints,
    value: Arc<T>,
}

// === impl Table ===

impl<T> Table<T> {
    pub(super) fn is_on(&self, entrypoint: EntryPoints) -> bool {
        self.on.meets(entrypoint)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bare == EntryPoints::NONE && self.masks.is_empty()
    }

    /// Walks down the path as far as there are nodes. Deeper is longer, so a later find beats an earlier one of
    /// the same priority.
    pub(super) fn find(&self, entrypoint: EntryPoints, path: &str) -> Option<&Arc<T>> {
        let mut best = Best { entrypoint, found: None };
        best.offer(&self.root.prefix);
        best.offer(&self.root.slashed);
        let mut node = &self.root;
        let mut whole = true;
        for element in elements(path) {
            let Some(child) = self.edges.get(&EdgeRef { parent: node.id, element }) else {
                whole = false;
                break;
            };
            best.offer(&child.prefix);
            best.offer(&child.slashed);
            node = child;
        }
        if whole {
            best.offer(&node.exact);
        }
        best.found.map(|entry| &entry.value).or_else(|| self.default.first(entrypoint))
    }

    pub(super) fn set_default(&mut self, rules: Rules<T>) {
        let before = std::mem::replace(&mut self.default, rules);
        self.recount(&before, &self.default.clone());
    }

    pub(super) fn set_bare(&mut self, entrypoints: EntryPoints) {
        self.bare = entrypoints;
        self.recount(&Rules::default(), &Rules::default());
    }

    pub(super) fn set_path(&mut self, path: &str, path_match: PathMatch, rules: Rules<T>) {
        let slashed = path_match == PathMatch::Prefix && path.ends_with('/');
        let path = if slashed { path.strip_suffix('/').unwrap_or(path) } else { path };
        let after = rules.clone();
        let edit = |node: &mut Node<T>| {
            let place = match path_match {
                PathMatch::Exact => &mut node.exact,
                PathMatch::Prefix if slashed => &mut node.slashed,
                PathMatch::Prefix => &mut node.prefix,
            };
            std::mem::replace(place, rules)
        };
        let before = if after.0.is_empty() {
            self.shrink(path, edit)
        } else {
            self.grow(path).map(edit).unwrap_or_default()
        };
        self.recount(&before, &after);
    }

    /// The node of `path`, made if need be.
    fn grow(&mut self, path: &str) -> Option<&mut Node<T>> {
        let mut edge: Option<Edge> = None;
        for element in elements(path) {
            let parent = edge.as_ref().map_or(0, |edge| self.edges.get(edge).map_or(0, |node| node.id));
            let next = Edge { parent, element: element.into() };
            if !self.edges.contains_key(&next) {
                self.next_node += 1;
                self.edges.insert(next.clone(), Node::new(self.next_node));
                if let Some(node) = self.node_mut(edge.as_ref()) {
                    node.children += 1;
                }
            }
            edge = Some(next);
        }
        self.node_mut(edge.as_ref())
    }

    /// Edits the node of `path`, if there is one, and drops the nodes that nothing needs any more.
    fn shrink(&mut self, path: &str, edit: impl FnOnce(&mut Node<T>) -> Rules<T>) -> Rules<T> {
        let mut way: Vec<Edge> = Vec::new();
        let mut parent = 0;
        for element in elements(path) {
            let Some(node) = self.edges.get(&EdgeRef { parent, element }) else { return Rules::default() };
            way.push(Edge { parent, element: element.into() });
            parent = node.id;
        }
        let before = self.node_mut(way.last()).map(edit).unwrap_or_default();
        while let Some(edge) = way.pop() {
            if !self.edges.get(&edge).is_some_and(Node::is_empty) {
                break;
            }
            self.edges.remove(&edge);
            if let Some(node) = self.node_mut(way.last()) {
                node.children -= 1;
            }
        }
        before
    }

    /// The node behind an edge, or the root.
    fn node_mut(&mut self, edge: Option<&Edge>) -> Option<&mut Node<T>> {
        match edge {
            None => Some(&mut self.root),
            Some(edge) => self.edges.get_mut(edge),
        }
    }

    fn recount(&mut self, before: &Rules<T>, after: &Rules<T>) {
        for entry in after.iter() {
            match self.masks.iter_mut().find(|(mask, _)| *mask == entry.entrypoints) {
                Some((_, count)) => *count += 1,
                None => self.masks.push((entry.entrypoints, 1)),
            }
        }
        for entry in before.iter() {
            if let Some((_, count)) = self.masks.iter_mut().find(|(mask, _)| *mask == entry.entrypoints) {
                *count -= 1;
            }
        }
        self.masks.retain(|(_, count)| *count > 0);
        self.on = self.masks.iter().fold(self.bare, |on, (mask, _)| on.union(*mask));
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            on: EntryPoints::NONE,
            bare: EntryPoints::NONE,
            masks: Vec::new(),
            default: Rules::default(),
            root: Node::new(0),
            edges: imbl::GenericHashMap::default(),
            next_node: 0,
        }
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            on: self.on,
            bare: self.bare,
            masks: self.masks.clone(),
            default: self.default.clone(),
            root: self.root.clone(),
            edges: self.edges.clone(),
            next_node: self.next_node,
        }
    }
}

/// `/a/b` is `a`, `b`; `/a/` is `a` and an empty one; `/` is one empty one; an empty path (the prefix `/` without
/// its slash) has none, as has what is no path.
fn elements(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').into_iter().flat_map(|path| path.split('/'))
}

// === impl Edge ===

// Both forms must hash alike.
impl Hash for Edge {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        EdgeRef { parent: self.parent, element: &self.element }.hash(state);
    }
}

impl Hash for EdgeRef<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.parent);
        state.write(self.element.as_bytes());
    }
}

impl equivalent::Equivalent<Edge> for EdgeRef<'_> {
    fn equivalent(&self, key: &Edge) -> bool {
        self.parent == key.parent && *self.element == *key.element
    }
}

// === impl Node ===

impl<T> Node<T> {
    fn new(id: u64) -> Self {
        Self { id, children: 0, exact: Rules::default(), prefix: Rules::default(), slashed: Rules::default() }
    }

    fn is_empty(&self) -> bool {
        self.children == 0 && self.exact.0.is_empty() && self.prefix.0.is_empty() && self.slashed.0.is_empty()
    }
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            children: self.children,
            exact: self.exact.clone(),
            prefix: self.prefix.clone(),
            slashed: self.slashed.clone(),
        }
    }
}

// === impl Rules ===

impl<T> Rules<T> {
    /// Sorts them and leaves out those whose entrypoints are all taken by better ones: what is left is at most
    /// one for each entrypoint.
    pub(super) fn new(mut rules: Vec<Rule<T>>) -> Self {
        rules.sort_by(|one, other| one.rank.cmp(&other.rank));
        let mut taken = EntryPoints::NONE;
        let entries = rules
            .into_iter()
            .filter(|rule| {
                let with_it = taken.union(rule.entrypoints);
                std::mem::replace(&mut taken, with_it) != with_it
            })
            .map(|rule| Entry {
                priority: rule.rank.priority(),
                entrypoints: rule.entrypoints,
                value: rule.value,
            })
            .collect();
        Self(entries)
    }

    fn iter(&self) -> std::slice::Iter<'_, Entry<T>> {
        self.0.iter()
    }

    fn first_entry(&self, entrypoint: EntryPoints) -> Option<&Entry<T>> {
        self.iter().find(|entry| entry.entrypoints.meets(entrypoint))
    }

    /// The best on `entrypoint`.
    pub(super) fn first(&self, entrypoint: EntryPoints) -> Option<&Arc<T>> {
        self.first_entry(entrypoint).map(|entry| &entry.value)
    }
}

impl<T> Default for Rules<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T> Clone for Rules<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { priority: self.priority, entrypoints: self.entrypoints, value: self.value.clone() }
    }
}

/// The best rule so far, on the way down.
struct Best<'a, T> {
    entrypoint: EntryPoints,
    found: Option<&'a Entry<T>>,
}

impl<'a, T> Best<'a, T> {
    fn offer(&mut self, rules: &'a Rules<T>) {
        if let Some(entry) = rules.first_entry(self.entrypoint)
            && self.found.is_none_or(|found| found.priority <= entry.priority)
        {
            self.found = Some(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::Rank;

    fn rules() -> Rules<()> {
        let rank = Rank::of_default();
        Rules::new(vec![Rule { rank, entrypoints: EntryPoints::ALL, value: Arc::new(()) }])
    }

    #[test]
    fn nodes_that_nothing_needs_go_and_others_stay() {
        let mut table = Table::default();
        for path in ["/a/b/c", "/a", "/a/b/", "/x/y"] {
            table.set_path(path, PathMatch::Prefix, rules());
        }
        assert_eq!(table.edges.len(), 5);
        for (path, left) in [("/a/b/c", 4), ("/none/there", 4), ("/a", 4), ("/x/y", 2), ("/a/b/", 0)] {
            table.set_path(path, PathMatch::Prefix, Rules::default());
            assert_eq!(table.edges.len(), left, "{path}");
        }
        assert!(table.is_empty() && table.root.children == 0);
    }
}
