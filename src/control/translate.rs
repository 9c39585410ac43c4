//! One Ingress to its routes, each shaped by its plugins.

use super::contest::Candidate;
use super::endpoints::{external_port, port_of};
use super::objects::{Authority, Objects};
use crate::ground::names::{BackendKey, EntryPoints, HostPattern, ObjectName};
use crate::ground::problem::Problem;
use crate::model::chain::Facts;
use crate::model::objects::{BackendRef, BackendTarget, Ingress, IngressPath, PathType, Service};
use crate::model::route::{BackendId, PathMatch, Route, RouteTarget};
use crate::model::settings::Settings;
use crate::model::vocabulary::{Target, Vocabulary};
use crate::router::{Rank, Slot};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What an Ingress asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// Its routes, in the order of the Ingress.
    pub candidates: Vec<Candidate>,
    /// Hosts of rules without paths: they count as matched.
    pub bare: BTreeSet<HostPattern>,
    /// Secrets that were looked up.
    pub secrets: Vec<ObjectName>,
}

impl Translation {
    /// Every problem of its routes.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.candidates.iter().flat_map(|candidate| &candidate.route.problems)
    }
}

/// Translates an Ingress that is ours.
pub fn translate<V: Vocabulary>(
    ingress: &Ingress,
    objects: &Objects,
    settings: &Settings,
    vocabulary: &mut V,
) -> Translation {
    let mut translator = Translator {
        ingress,
        objects,
        settings,
        vocabulary,
        keys: HashMap::new(),
        index: 0,
        out: Translation::default(),
    };
    for (number, rule) in ingress.rules.iter().enumerate() {
        for (place, path) in rule.paths.iter().flatten().enumerate() {
            let field = format!("spec.rules[{number}].http.paths[{place}].backend");
            translator.path(&rule.host, path, &field);
        }
        if rule.paths.as_ref().is_none_or(Vec::is_empty) {
            translator.out.bare.insert(rule.host.clone());
        }
    }
    if let Some(backend) = &ingress.default_backend {
        translator.default(backend);
    }
    let mut out = translator.out;
    out.secrets.sort_unstable();
    out.secrets.dedup();
    out
}

struct Translator<'a, V> {
    ingress: &'a Ingress,
    objects: &'a Objects,
    settings: &'a Settings,
    vocabulary: &'a mut V,
    /// How often each key was given.
    keys: HashMap<String, u32>,
    index: u32,
    out: Translation,
}

/// A route before it is shaped.
struct Draft<'a> {
    key: String,
    host: &'a HostPattern,
    path: &'a Arc<str>,
    path_type: PathType,
    backend: &'a BackendRef,
    /// The backend's field, for problems.
    field: &'a str,
    /// What it is, if it is a default: for its host, or for everything.
    default: Option<DefaultOf>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DefaultOf {
    Host,
    /// Whether it is worth a problem where another is the global default.
    Everything {
        contends: bool,
    },
}

impl<'a, V: Vocabulary> Translator<'a, V> {
    fn path(&mut self, host: &'a HostPattern, path: &'a IngressPath, field: &str) {
        let draft = Draft {
            key: format!("{}/{host}{}", self.ingress.meta.name, path.path),
            host,
            path: &path.path,
            path_type: path.path_type,
            backend: &path.backend,
            field,
            default: None,
        };
        self.route(draft);
    }

    /// The `defaultBackend` answers for each host of the Ingress and stands for the global default.
    fn default(&mut self, backend: &BackendRef) {
        let hosts: BTreeSet<&HostPattern> = self.ingress.rules.iter().map(|rule| &rule.host).collect();
        let everything = DefaultOf::Everything { contends: hosts.is_empty() };
        let wanted = hosts.into_iter().map(|host| (host, DefaultOf::Host));
        let root: Arc<str> = "/".into();
        for (host, default) in wanted.chain([(&HostPattern::Any, everything)]) {
            let suffix = if default == DefaultOf::Host { "#default" } else { "#global" };
            self.route(Draft {
                key: format!("{}/{host}{suffix}", self.ingress.meta.name),
                host,
                path: &root,
                path_type: PathType::Prefix,
                backend,
                field: "spec.defaultBackend",
                default: Some(default),
            });
        }
    }

    /// Gives each key once: what is said again gets a number.
    fn unique(&mut self, key: String) -> Arc<str> {
        let times = self.keys.entry(key.clone()).and_modify(|times| *times += 1).or_insert(1);
        if *times == 1 { key.into() } else { format!("{key}#{times}").into() }
    }

    fn route(&mut self, draft: Draft<'_>) {
        let meta = &self.ingress.meta;
        let (goal, service) = self.goal(draft.backend, draft.field);
        let said = service_said(self.ingress, draft.backend);
        let key = self.unique(draft.key);
        let facts = Facts {
            route: key.clone(),
            namespace: meta.name.namespace.clone(),
            ingress: meta.name.name.clone(),
            host: draft.host.to_string().into(),
            path: draft.path.clone(),
            path_type: draft.path_type.as_str(),
            service: said.map(|key| key.to_string()).unwrap_or_default().into(),
        };
        let objects = self.objects;
        let shaped = self.vocabulary.shape(&Target {
            facts: &facts,
            ingress: meta,
            service: service.map(|service| &service.meta),
            entrypoints: &self.settings.entrypoints,
            secret: &|name| objects.secret(name),
        });
        let mut problems = shaped.problems;
        let target = match goal {
            Ok(key) => RouteTarget::Backend(BackendId { key, settings: shaped.backend }),
            Err(problem) => {
                let reason = problem.text.as_str().into();
                problems.push(*problem);
                RouteTarget::Nowhere(reason)
            }
        };
        let said = match draft.path_type {
            PathType::Exact => PathMatch::Exact,
            PathType::Prefix | PathType::ImplementationSpecific => PathMatch::Prefix,
        };
        let path_match = if draft.default.is_some() { said } else { shaped.path_match.unwrap_or(said) };
        let route = Route {
            key,
            ingress: meta.name.clone(),
            created: meta.created,
            index: self.index,
            entrypoints: EntryPoints(shaped.entrypoints.0 & all(self.settings).0),
            host: draft.host.clone(),
            path: draft.path.clone(),
            path_match,
            is_default: draft.default.is_some(),
            settings: shaped.settings,
            target,
            chain: shaped.chain,
            problems,
        };
        self.index += 1;
        self.out.secrets.extend(shaped.secrets);
        self.out.candidates.push(candidate(route, draft.default));
    }

    /// Where a backend leads, or why nowhere; and the Service, where there is one.
    fn goal(
        &self,
        backend: &BackendRef,
        field: &str,
    ) -> (Result<BackendKey, Box<Problem>>, Option<&'a Service>) {
        let meta = &self.ingress.meta;
        let problem = |field: String, value: String, text: String| {
            let problem = Problem::error(format!("Ingress {}", meta.name), text).field(field).value(value);
            let hint = "requests to it are answered with 503";
            Err(Box::new(problem.hint(hint).at(&meta.source, backend.at)))
        };
        let key = match (&backend.target, service_said(self.ingress, backend)) {
            (BackendTarget::Service { .. }, Some(key)) => key,
            (BackendTarget::Resource(resource), _)
            | (BackendTarget::Service { name: resource, .. }, None) => {
                let text = "resource backends are not implemented".to_owned();
                return (problem(format!("{field}.resource"), resource.to_string(), text), None);
            }
        };
        let Some((service, authority)) = self.objects.service(&key.service) else {
            let text = format!("Service {} does not exist", key.service);
            return (problem(format!("{field}.service.name"), key.service.name.to_string(), text), None);
        };
        let external = service.external_name.is_some();
        if external && authority == Authority::Cluster && !self.settings.allow_external_names {
            let text = format!("Service {} is an ExternalName, which is not followed", key.service);
            let (value, field) = (key.service.name.to_string(), format!("{field}.service.name"));
            let goal = problem(field, value, text).map_err(|problem: Box<Problem>| {
                Box::new(problem.hint("the operator may allow it with --allow-external-names"))
            });
            return (goal, Some(service));
        }
        let has_port = if external {
            external_port(service, &key.port).is_some()
        } else {
            port_of(service, &key.port).is_some()
        };
        if !has_port {
            let text = format!("Service {} has no port {}", key.service, key.port);
            return (problem(format!("{field}.service.port"), key.port.to_string(), text), Some(service));
        }
        (Ok(key), Some(service))
    }
}

/// The entrypoints that there are.
fn all(settings: &Settings) -> EntryPoints {
    (0..settings.entrypoints.len())
        .fold(EntryPoints::NONE, |all, index| all.union(EntryPoints::one(index as u8)))
}

fn service_said(ingress: &Ingress, backend: &BackendRef) -> Option<BackendKey> {
    match &backend.target {
        BackendTarget::Service { name, port } => Some(BackendKey {
            service: ObjectName { namespace: ingress.meta.name.namespace.clone(), name: name.clone() },
            port: port.clone(),
        }),
        BackendTarget::Resource(_) => None,
    }
}

fn candidate(route: Route, default: Option<DefaultOf>) -> Candidate {
    let host = route.host.clone();
    let (slot, rank) = match default {
        None => (
            Slot::Path { host, path: route.path.clone(), path_match: route.path_match },
            Rank::of_path(route.settings.priority, &route.path, route.path_match),
        ),
        Some(DefaultOf::Host) => (Slot::Default(host), Rank::of_default()),
        Some(DefaultOf::Everything { .. }) => (Slot::Global, Rank::of_default()),
    };
    let rank = rank.from_ingress(route.created, route.ingress.clone(), route.index);
    let contends = default != Some(DefaultOf::Everything { contends: false });
    Candidate { slot, rank, route: Arc::new(route), contends }
}
