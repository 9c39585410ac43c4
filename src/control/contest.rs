//! Who wins a slot: routes of the same host, path and kind of match compete, by entrypoint; the best rank
//! answers, the others are reported and take over when it goes.

use crate::ground::names::EntryPoints;
use crate::ground::problem::Problem;
use crate::model::route::Route;
use crate::router::{Rank, Slot};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A route that wants a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it wants.
    pub slot: Slot,
    /// Its precedence there.
    pub rank: Rank,
    /// Itself.
    pub route: Arc<Route>,
    /// Whether it is worth a problem if it does not win. Not so for the global default of an Ingress that also
    /// answers for hosts of its own.
    pub contends: bool,
}

/// All candidates, by slot.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    slots: HashMap<Slot, BTreeMap<Rank, Candidate>>,
}

/// How a slot stands.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Those that answer somewhere, best first.
    pub winners: Vec<Candidate>,
    /// About those that do not, or not everywhere.
    pub problems: Vec<Problem>,
}

impl Contest {
    /// Enters a candidate.
    pub fn enter(&mut self, candidate: Candidate) {
        self.slots.entry(candidate.slot.clone()).or_default().insert(candidate.rank.clone(), candidate);
    }

    /// Takes one back.
    pub fn withdraw(&mut self, candidate: &Candidate) {
        if let Some(candidates) = self.slots.get_mut(&candidate.slot) {
            candidates.remove(&candidate.rank);
            if candidates.is_empty() {
                self.slots.remove(&candidate.slot);
            }
        }
    }

    /// Who has won `slot`.
    pub fn standing(&self, slot: &Slot) -> Standing {
        let mut standing = Standing::default();
        let mut taken = EntryPoints::NONE;
        for candidate in self.candidates(slot) {
            let wanted = candidate.route.entrypoints;
            let winner = standing.winners.iter().find(|winner| winner.route.entrypoints.meets(wanted));
            let everywhere = taken.union(wanted) == taken;
            if let Some(winner) = winner.filter(|_| candidate.contends) {
                standing.problems.push(lost(&candidate.route, &winner.route, everywhere));
            }
            if !everywhere {
                taken = taken.union(wanted);
                standing.winners.push(candidate.clone());
            }
        }
        standing
    }

    /// All that want `slot`, best first.
    pub fn candidates(&self, slot: &Slot) -> impl Iterator<Item = &Candidate> {
        self.slots.get(slot).into_iter().flat_map(BTreeMap::values)
    }

    /// Every slot that anybody wants, in no order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.keys()
    }
}

fn lost(loser: &Route, winner: &Route, everywhere: bool) -> Problem {
    let what = match (loser.is_default, everywhere) {
        (false, true) => "is not used",
        (false, false) => "is used on some of its entrypoints only",
        (true, true) => "its defaultBackend is not used",
        (true, false) => "its defaultBackend is used on some of its entrypoints only",
    };
    let why = if loser.settings.priority == winner.settings.priority || loser.is_default {
        "came first"
    } else {
        "has a higher priority"
    };
    let text = if loser.is_default {
        format!("{what}: that of Ingress {} {why}", winner.ingress)
    } else {
        format!("{what}: Ingress {} has the same host and path and {why}", winner.ingress)
    };
    Problem::warning(format!("Ingress {}", loser.ingress), text)
        .field(if loser.is_default { "spec.defaultBackend" } else { "spec.rules" })
        .value(if loser.is_default {
            loser.host.to_string()
        } else {
            format!("{}{}", loser.host, loser.path)
        })
}
