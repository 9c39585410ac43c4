//! The router against an oracle: a linear scan, written straight from the words of `design.md` 1.

use super::{Rank, Router, Rule, Slot};
use crate::ground::names::{EntryPoints, HostPattern, ObjectName};
use crate::model::route::PathMatch;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One rule as an Ingress would say it.
#[derive(Clone, Debug)]
struct Said {
    slot: Slot,
    entrypoints: EntryPoints,
    priority: i64,
    created: Option<i64>,
    name: u8,
    index: u32,
}

impl Said {
    fn host(&self) -> Option<&HostPattern> {
        match &self.slot {
            Slot::Path { host, .. } | Slot::Default(host) => Some(host),
            Slot::Global => None,
        }
    }

    fn rank(&self) -> Rank {
        match &self.slot {
            Slot::Path { path, path_match, .. } => Rank::of_path(self.priority, path, *path_match),
            Slot::Default(_) | Slot::Global => Rank::of_default(),
        }
        .from_ingress(self.created, ObjectName::new("ns", self.name.to_string()), self.index)
    }

    /// Older is smaller; without a date youngest.
    fn age(&self) -> (bool, Option<i64>, String, u32) {
        (self.created.is_none(), self.created, self.name.to_string(), self.index)
    }
}

/// All rules, and the hosts that stand in rules without paths.
#[derive(Clone, Debug)]
struct World {
    rules: Vec<Said>,
    bare: BTreeMap<HostPattern, EntryPoints>,
}

fn host_matches(pattern: &HostPattern, host: &str) -> bool {
    match pattern {
        HostPattern::Exact(name) => **name == *host,
        HostPattern::Wildcard(name) => host
            .strip_suffix(&**name)
            .and_then(|label| label.strip_suffix('.'))
            .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        HostPattern::Any => true,
    }
}

fn path_matches(rule: &str, path_match: PathMatch, path: &str) -> bool {
    match path_match {
        PathMatch::Exact => rule == path,
        PathMatch::Prefix => {
            let rule = rule.strip_suffix('/').unwrap_or(rule);
            path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}

/// The index of the rule that answers.
fn oracle(said: &World, entrypoint: EntryPoints, host: &str, path: &str) -> Option<usize> {
    let here: Vec<(usize, &Said)> =
        said.rules.iter().enumerate().filter(|(_, rule)| rule.entrypoints.meets(entrypoint)).collect();
    let bare =
        said.bare.iter().filter(|(_, entrypoints)| entrypoints.meets(entrypoint)).map(|(host, _)| host);
    // HostPattern's own order is exact, wildcard, any.
    let matched =
        here.iter().filter_map(|(_, rule)| rule.host()).chain(bare).filter(|p| host_matches(p, host)).min();
    let of_host = |rule: &Said| matched.is_some() && rule.host() == matched;
    let by_path = here
        .iter()
        .filter(|(_, rule)| of_host(rule))
        .filter_map(|(index, rule)| match &rule.slot {
            Slot::Path { path: text, path_match, .. } if path_matches(text, *path_match, path) => {
                let length = Reverse(text.len());
                Some(((-rule.priority, *path_match != PathMatch::Exact, length, rule.age()), *index))
            }
            _ => None,
        })
        .min();
    let oldest = |wanted: &dyn Fn(&Said) -> bool| {
        here.iter()
            .filter(|(_, rule)| wanted(rule))
            .min_by_key(|(_, rule)| rule.age())
            .map(|(index, _)| *index)
    };
    by_path
        .map(|(_, index)| index)
        .or_else(|| oldest(&|rule| matches!(rule.slot, Slot::Default(_)) && of_host(rule)))
        .or_else(|| oldest(&|rule| rule.slot == Slot::Global))
}

fn hosts() -> impl Strategy<Value = HostPattern> {
    prop_oneof![
        prop::sample::select(vec!["a.io", "x.a.io", "b.io", "x.x.a.io"])
            .prop_map(|name| HostPattern::Exact(name.into())),
        prop::sample::select(vec!["a.io", "io", "x.a.io"])
            .prop_map(|name| HostPattern::Wildcard(name.into())),
        Just(HostPattern::Any),
    ]
}

fn paths() -> impl Strategy<Value = String> {
    (prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 0..4), any::<bool>()).prop_map(
        |(elements, slash)| match elements.len() {
            0 => "/".to_owned(),
            _ => format!("/{}{}", elements.join("/"), if slash { "/" } else { "" }),
        },
    )
}

fn slots() -> impl Strategy<Value = Slot> {
    let kinds = prop::sample::select(vec![PathMatch::Exact, PathMatch::Prefix]);
    prop_oneof![
        8 => (hosts(), paths(), kinds)
            .prop_map(|(host, path, path_match)| Slot::Path { host, path: path.into(), path_match }),
        1 => hosts().prop_map(Slot::Default),
        1 => Just(Slot::Global),
    ]
}

fn masks() -> impl Strategy<Value = EntryPoints> {
    prop::sample::select(vec![1, 2, 3, 4, 5, 7, u64::MAX, 0]).prop_map(EntryPoints)
}

fn said() -> impl Strategy<Value = Said> {
    (slots(), masks(), -1..2_i64, prop::option::of(0..3_i64), 0..3_u8).prop_map(
        |(slot, entrypoints, priority, created, name)| Said {
            slot,
            entrypoints,
            priority,
            created,
            name,
            index: 0,
        },
    )
}

fn tables() -> impl Strategy<Value = World> {
    (prop::collection::vec(said(), 0..24), prop::collection::btree_map(hosts(), masks(), 0..2)).prop_map(
        |(mut rules, bare)| {
            for (index, rule) in rules.iter_mut().enumerate() {
                rule.index = index as u32; // a total order, as Ingresses have it
            }
            World { rules, bare }
        },
    )
}

fn requests() -> impl Strategy<Value = (EntryPoints, &'static str, String)> {
    let host =
        prop::sample::select(vec!["a.io", "x.a.io", "y.a.io", "x.x.a.io", "b.io", "io", "", ".io", "z"]);
    let wild = prop_oneof![9 => paths(), 1 => "[/ab]{0,6}".prop_map(|text| format!("/{text}"))];
    (0..3_u8, host, wild).prop_map(|(bit, host, path)| (EntryPoints::one(bit), host, path))
}

/// Sets every slot to what `said` has for it, those of `before` included.
fn bring_to(router: &mut Router<usize>, before: &World, said: &World) {
    let mut slots: BTreeMap<&Slot, Vec<Rule<usize>>> =
        before.rules.iter().map(|rule| (&rule.slot, Vec::new())).collect();
    for (index, rule) in said.rules.iter().enumerate() {
        let value = Arc::new(index);
        let rule_of = Rule { rank: rule.rank(), entrypoints: rule.entrypoints, value };
        slots.entry(&rule.slot).or_default().push(rule_of);
    }
    for (slot, rules) in slots {
        router.set(slot, rules);
    }
    for host in before.bare.keys().chain(said.bare.keys()) {
        router.set_bare(host, said.bare.get(host).copied().unwrap_or(EntryPoints::NONE));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_router_agrees_with_a_linear_scan(
        first in tables(),
        second in tables(),
        asked in prop::collection::vec(requests(), 1..24),
    ) {
        let nothing = World { rules: Vec::new(), bare: BTreeMap::new() };
        let mut router = Router::default();
        // The second table is reached from the first, so that what is removed is seen to be gone.
        for (before, said) in [(&nothing, &first), (&first, &second), (&second, &nothing)] {
            bring_to(&mut router, before, said);
            for (entrypoint, host, path) in &asked {
                let found = router.find(*entrypoint, host, path).map(|index| **index);
                prop_assert_eq!(found, oracle(said, *entrypoint, host, path), "{:?} {} {}", said, host, path);
            }
        }
        prop_assert_eq!(format!("{router:?}"), "Router { exact: 0, wildcard: 0, .. }");
    }
}
