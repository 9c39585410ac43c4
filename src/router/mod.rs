//! Which route answers? Entrypoint, then host (exact, one-label wildcard, none; no falling from a host that
//! matched to a wider one), then [`Rank`]; where no path of the host matches, the host's default, then the
//! global one. `design.md` 1 has the words.
//!
//! Pure and persistent: a clone shares everything that is not changed afterwards, a change costs the logarithm
//! of what there is. A lookup hashes the host and walks the path's elements as far as there are rules: its cost
//! depends neither on the number of hosts nor on the number of routes of a host, and it allocates nothing.

mod rank;
mod table;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use rank::Rank;
use table::{Rules, Table};

use crate::ground::names::{EntryPoints, HostPattern};
use crate::model::route::PathMatch;
use std::fmt;
use std::sync::Arc;

/// Names from outside are hashed with a key of our own, so that nobody can make them collide.
type Hasher = foldhash::quality::RandomState;
type Hosts<T> = imbl::GenericHashMap<Arc<str>, Arc<Table<T>>, Hasher, imbl::shared_ptr::DefaultSharedPtr>;

/// Finds the route of a request.
pub struct Router<T> {
    exact: Hosts<T>,
    /// By the name behind `*.`.
    wildcard: Hosts<T>,
    any: Arc<Table<T>>,
    global: Rules<T>,
}

/// What rules compete for: of two rules with the same slot and entrypoint, only the one of better [`Rank`] can
/// ever answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A path of a host.
    Path {
        /// The host.
        host: HostPattern,
        /// The path, in the one form.
        path: Arc<str>,
        /// How it is matched.
        path_match: PathMatch,
    },
    /// What answers where no path of this host did.
    Default(HostPattern),
    /// What answers where nothing else did.
    Global,
}

/// A rule, as it stands for a [`Slot`].
#[derive(Debug)]
pub struct Rule<T> {
    /// Its precedence.
    pub rank: Rank,
    /// Where it answers.
    pub entrypoints: EntryPoints,
    /// What it leads to.
    pub value: Arc<T>,
}

// === impl Router ===

impl<T> Router<T> {
    /// The route that answers `path` of `host` on `entrypoint` (exactly one bit). `host` is in lower case, without
    /// port and trailing dot, empty where the request has none; `path` is in the one form.
    pub fn find(&self, entrypoint: EntryPoints, host: &str, path: &str) -> Option<&Arc<T>> {
        self.table(entrypoint, host)
            .and_then(|table| table.find(entrypoint, path))
            .or_else(|| self.global.first(entrypoint))
    }

    /// The pattern that `host` matches on `entrypoint`: where a request's rule is looked for.
    pub fn matched(&self, entrypoint: EntryPoints, host: &str) -> Option<HostPattern> {
        let on = |table: Option<&Arc<Table<T>>>| table.is_some_and(|table| table.is_on(entrypoint));
        if on(self.exact.get(host)) {
            return Some(HostPattern::Exact(host.into()));
        }
        match behind_first_label(host) {
            Some(name) if on(self.wildcard.get(name)) => Some(HostPattern::Wildcard(name.into())),
            _ => self.any.is_on(entrypoint).then_some(HostPattern::Any),
        }
    }

    fn table(&self, entrypoint: EntryPoints, host: &str) -> Option<&Table<T>> {
        let on = |table: &&Arc<Table<T>>| table.is_on(entrypoint);
        self.exact
            .get(host)
            .filter(on)
            .or_else(|| self.wildcard.get(behind_first_label(host)?).filter(on))
            .or_else(|| Some(&self.any).filter(on))
            .map(|table| &**table)
    }

    /// Replaces all rules of `slot`; none removes it.
    pub fn set(&mut self, slot: &Slot, rules: Vec<Rule<T>>) {
        match slot {
            Slot::Path { host, path, path_match } => {
                self.change(host, |table| table.set_path(path, *path_match, Rules::new(rules)));
            }
            Slot::Default(host) => self.change(host, |table| table.set_default(Rules::new(rules))),
            Slot::Global => self.global = Rules::new(rules),
        }
    }

    /// Says on which entrypoints `host` counts as matched although it may have no rule there: it stands in a rule
    /// without paths.
    pub fn set_bare(&mut self, host: &HostPattern, entrypoints: EntryPoints) {
        self.change(host, |table| table.set_bare(entrypoints));
    }

    /// Changes a host's table; one that is empty afterwards is dropped.
    fn change(&mut self, host: &HostPattern, edit: impl FnOnce(&mut Table<T>)) {
        let (hosts, name) = match host {
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Wildcard(name) => (&mut self.wildcard, name),
            HostPattern::Any => return edit(Arc::make_mut(&mut self.any)),
        };
        let mut table = hosts.remove(&**name).unwrap_or_default();
        edit(Arc::make_mut(&mut table));
        if !table.is_empty() {
            hosts.insert(name.clone(), table);
        }
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self {
            exact: Hosts::default(),
            wildcard: Hosts::default(),
            any: Arc::default(),
            global: Rules::default(),
        }
    }
}

impl<T> Clone for Router<T> {
    fn clone(&self) -> Self {
        Self {
            exact: self.exact.clone(),
            wildcard: self.wildcard.clone(),
            any: self.any.clone(),
            global: self.global.clone(),
        }
    }
}

impl<T> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("exact", &self.exact.len())
            .field("wildcard", &self.wildcard.len())
            .finish_non_exhaustive()
    }
}

/// What a wildcard must name to cover `host`: exactly one label, which may not be empty, goes.
fn behind_first_label(host: &str) -> Option<&str> {
    host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, behind)| behind)
}
