//! The precedence of rules, as an order.

use crate::ground::names::ObjectName;
use crate::model::route::PathMatch;
use std::cmp::Reverse;

/// A rule's precedence among the rules of its host: the smallest one that matches answers.
///
/// The fields are compared from first to last, which is the order of `design.md` 1: higher priority; exact path
/// before prefix; longer path before shorter; older Ingress before younger, one without a date being the
/// youngest; then namespace, name and the place in the Ingress, which makes the order total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    priority: Reverse<i64>,
    path_match: PathMatch,
    path_length: Reverse<usize>,
    /// Seconds since 1970; `i64::MAX` without a date.
    created: i64,
    ingress: ObjectName,
    index: u32,
}

impl Rank {
    /// Of a rule with a path.
    pub fn of_path(priority: i64, path: &str, path_match: PathMatch) -> Self {
        Self {
            priority: Reverse(priority),
            path_match,
            path_length: Reverse(path.len()),
            ..Self::of_default()
        }
    }

    /// Of a default: only age decides.
    pub fn of_default() -> Self {
        Self {
            priority: Reverse(0),
            path_match: PathMatch::Prefix,
            path_length: Reverse(0),
            created: i64::MAX,
            ingress: ObjectName::new("", ""),
            index: 0,
        }
    }

    /// Says whose rule it is: the Ingress, its creation and the rule's index in it.
    #[must_use]
    pub fn from_ingress(self, created: Option<i64>, ingress: ObjectName, index: u32) -> Self {
        Self { created: created.unwrap_or(i64::MAX), ingress, index, ..self }
    }

    /// Higher first.
    pub fn priority(&self) -> i64 {
        self.priority.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(priority: i64, path: &str, path_match: PathMatch, age: (Option<i64>, &str, u32)) -> Rank {
        let (created, name, index) = age;
        Rank::of_path(priority, path, path_match).from_ingress(
            created,
            ObjectName::new("default", name),
            index,
        )
    }

    #[test]
    fn each_field_decides_only_where_those_before_it_are_equal() {
        use PathMatch::{Exact, Prefix};
        // Best first: between neighbours one field decides, against all those behind it.
        let ordered = [
            rank(9, "/", Prefix, (None, "z", 9)),
            rank(0, "/a", Exact, (None, "z", 9)),
            rank(0, "/abc/", Prefix, (None, "z", 9)),
            rank(0, "/abc", Prefix, (None, "z", 9)),
            rank(0, "/ab", Prefix, (Some(5), "z", 9)),
            rank(0, "/ab", Prefix, (Some(6), "a", 0)),
            rank(0, "/ab", Prefix, (None, "a", 1)),
            rank(0, "/ab", Prefix, (None, "b", 0)),
            rank(0, "/ab", Prefix, (None, "b", 1)),
            rank(-1, "/abcdef", Exact, (Some(0), "a", 0)),
        ];
        assert!(ordered.is_sorted());
        assert!(ordered.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
