//! Who refers to what: the other direction of a reference, so that an edit finds whom it touches without a scan.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// For each key, those that refer to it, in order.
#[derive(Clone, Debug)]
pub struct Index<K, V> {
    referrers: HashMap<K, BTreeSet<V>>,
}

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Self { referrers: HashMap::new() }
    }
}

impl<K: Hash + Eq, V: Ord> Index<K, V> {
    /// `referrer` refers to `key` from now on.
    pub fn link(&mut self, key: K, referrer: V) {
        self.referrers.entry(key).or_default().insert(referrer);
    }

    /// It does no longer.
    pub fn unlink<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, referrer: &V)
    where
        K: Borrow<Q>,
    {
        if let Some(referrers) = self.referrers.get_mut(key) {
            referrers.remove(referrer);
            if referrers.is_empty() {
                self.referrers.remove(key);
            }
        }
    }

    /// All that refer to `key`, in order.
    pub fn of<'a, Q: Hash + Eq + ?Sized>(&'a self, key: &Q) -> impl Iterator<Item = &'a V> + use<'a, K, V, Q>
    where
        K: Borrow<Q>,
    {
        self.referrers.get(key).into_iter().flatten()
    }

    /// Every key that is referred to, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.referrers.keys()
    }
}
