//! Why a request goes where it goes: the route that answers and, of every other that could have, why not.

use super::class::is_ours;
use super::contest::Candidate;
use super::pipeline::{Pipeline, State};
use crate::ground::names::{EntryPoints, HostPattern, ObjectName};
use crate::model::objects::Ingress;
use crate::model::route::{PathMatch, Route};
use crate::model::vocabulary::Vocabulary;
use crate::router::Slot;
use crate::snapshot::{Backend, LiveRoute};
use std::sync::Arc;

/// A request to explain. Host and path are in the form in which they are matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where it comes in: exactly one.
    pub entrypoint: EntryPoints,
    /// Lower case, without port and trailing dot.
    pub host: String,
    /// In the one form.
    pub path: String,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The host pattern that the request matches.
    pub matched: Option<HostPattern>,
    /// What answers; none is 404.
    pub answer: Option<Answer>,
    /// Everything else whose host covers the request, the nearest first.
    pub others: Vec<Other>,
}

/// What answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The route: its chain names the plugins in their order.
    pub route: Arc<LiveRoute>,
    /// Why this one.
    pub why: String,
    /// Its backend and endpoints, where it has one.
    pub backend: Option<Arc<Backend>>,
}

/// What does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The route's key, or the Ingress, where it is not ours.
    pub name: String,
    /// Why not.
    pub why: String,
}

impl<V: Vocabulary> Pipeline<V> {
    /// Explains where a request goes.
    pub fn explain(&self, question: &Question) -> Explanation {
        let snapshot = self.snapshot();
        let matched = snapshot.router.matched(question.entrypoint, &question.host);
        let found = snapshot.router.find(question.entrypoint, &question.host, &question.path);
        let answer = found.map(|live| Answer {
            why: why(&live.route, matched.as_ref()),
            backend: live.backend.and_then(|slot| snapshot.backend(slot)).cloned(),
            route: live.clone(),
        });
        let winner = found.map(|live| &live.route);
        let mut others = self.state().other_routes(question, matched.as_ref(), winner);
        others.extend(self.state().foreign(question));
        Explanation { matched, answer, others }
    }
}

impl State {
    /// The routes that could have answered, by nearness of host, then by rank.
    fn other_routes(
        &self,
        question: &Question,
        matched: Option<&HostPattern>,
        winner: Option<&Route>,
    ) -> Vec<Other> {
        let covers = |slot: &&Slot| match slot {
            Slot::Path { host, .. } | Slot::Default(host) => covers(host, &question.host),
            Slot::Global => true,
        };
        let slots = self.contest.slots().filter(covers);
        let mut candidates: Vec<&Candidate> = slots.flat_map(|slot| self.contest.candidates(slot)).collect();
        candidates.retain(|candidate| winner.is_none_or(|winner| winner.key != candidate.route.key));
        candidates.sort_by_key(|it| (it.slot == Slot::Global, &it.route.host, it.route.is_default, &it.rank));
        let why_not = |candidate: &&Candidate| why_not(candidate, question, matched, winner);
        candidates.iter().map(|it| Other { name: it.route.key.to_string(), why: why_not(it) }).collect()
    }

    /// Ingresses that speak of the host, but are not ours.
    fn foreign(&self, question: &Question) -> Vec<Other> {
        let speaks_of = |ingress: &Ingress| {
            ingress.rules.iter().any(|rule| covers(&rule.host, &question.host))
                || (ingress.rules.is_empty() && ingress.default_backend.is_some())
        };
        let mut names: Vec<&ObjectName> = self.objects.ingresses().collect();
        names.sort_unstable();
        let foreign = names.into_iter().filter(|name| {
            self.objects.ingress(name).is_some_and(|(ingress, authority)| {
                speaks_of(ingress) && !is_ours(ingress, authority, &self.settings, &self.objects)
            })
        });
        let why = "its class or namespace is not ours";
        foreign.map(|name| Other { name: format!("Ingress {name}"), why: why.to_owned() }).collect()
    }
}

fn covers(pattern: &HostPattern, host: &str) -> bool {
    match pattern {
        HostPattern::Exact(name) => **name == *host,
        HostPattern::Wildcard(name) => {
            host.split_once('.').is_some_and(|(label, behind)| !label.is_empty() && *behind == **name)
        }
        HostPattern::Any => true,
    }
}

fn why(route: &Route, matched: Option<&HostPattern>) -> String {
    let host = |host: &HostPattern| match host {
        HostPattern::Any => "rules without a host".to_owned(),
        host => format!("host {host}"),
    };
    match (route.is_default, matched) {
        (false, _) => format!("the best match among the paths of {}", host(&route.host)),
        (true, Some(matched)) => format!("no path of {} matches: this is the default", host(matched)),
        (true, None) => "no rule's host matches: this is the default".to_owned(),
    }
}

fn why_not(
    candidate: &Candidate,
    question: &Question,
    matched: Option<&HostPattern>,
    winner: Option<&Route>,
) -> String {
    let route = &candidate.route;
    if !route.entrypoints.meets(question.entrypoint) {
        return "it is not on this entrypoint".to_owned();
    }
    let is_of_host = matched == Some(&route.host) && candidate.slot != Slot::Global;
    match (&candidate.slot, winner) {
        (Slot::Path { .. } | Slot::Default(_), _) if !is_of_host => {
            "a narrower host matches the request, and decides alone".to_owned()
        }
        (Slot::Path { path, path_match, .. }, _) if !path_matches(path, *path_match, &question.path) => {
            let kind = if *path_match == PathMatch::Exact { "exact path" } else { "prefix" };
            format!("{kind} {path} does not match")
        }
        (_, None) => "it does not match".to_owned(),
        (Slot::Path { .. }, Some(winner)) => beaten(route, winner),
        (Slot::Default(_) | Slot::Global, Some(winner)) if !winner.is_default => "a path matches".to_owned(),
        (Slot::Default(_), Some(winner)) => format!("the default of Ingress {} came first", winner.ingress),
        (Slot::Global, Some(winner)) => {
            format!("the default of Ingress {} is nearer or older", winner.ingress)
        }
    }
}

/// Why `winner` is better than `route`, of which both match: the first difference in the order of ranks.
fn beaten(route: &Route, winner: &Route) -> String {
    let better = format!("{} ", winner.key);
    let why = if winner.settings.priority != route.settings.priority {
        format!("has priority {} over {}", winner.settings.priority, route.settings.priority)
    } else if winner.path_match != route.path_match {
        "is an exact path".to_owned()
    } else if winner.path.len() != route.path.len() {
        "has a longer path".to_owned()
    } else if winner.created != route.created {
        "is of an older Ingress".to_owned()
    } else {
        "comes first by name and place".to_owned()
    };
    better + &why
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
