//! Objects in short, and a vocabulary of five words.

use crate::control::Pipeline;
use crate::ground::names::{EntryPoints, HostPattern, ObjectName, PortRef};
use crate::ground::problem::{Pos, Problem, Source};
use crate::model::chain::{Chain, Hooks, OnError, OptionValue, Step};
use crate::model::objects::{
    BackendRef, BackendTarget, Change, Endpoint, EndpointSlice, Ingress, IngressClass, IngressPath,
    IngressRule, Meta, Object, PathType, Secret, SecretBytes, Service, ServicePort, Spanned,
};
use crate::model::plugins::{PluginFile, PluginSet};
use crate::model::route::{BackendSettings, PathMatch, RouteSettings};
use crate::model::settings::{EntryPoint, Settings};
use crate::model::vocabulary::{Loaded, Shaped, Target, Vocabulary};
use crate::provider::{ObjectsUpdate, PluginsUpdate, Update};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Knows `priority`, `entrypoints`, `exact`, `secret` (of the Ingress) and `connect` (of the Service), and as many
/// plugins that act on everything as there are files.
#[derive(Clone, Debug, Default)]
pub struct Words {
    files: Vec<PluginFile>,
    generation: u64,
    /// How many routes were shaped.
    pub shaped: Arc<std::sync::atomic::AtomicUsize>,
}

impl Vocabulary for Words {
    fn load(&mut self, files: &[PluginFile]) -> Loaded {
        let changed: Vec<Arc<str>> = files
            .iter()
            .filter(|file| !self.files.contains(file))
            .chain(self.files.iter().filter(|file| !files.contains(file)))
            .map(|file| file.path.clone())
            .collect();
        self.files = files.to_vec();
        self.generation += u64::from(!changed.is_empty());
        let set = PluginSet { generation: self.generation, plugins: Vec::new() };
        let problems = files.iter().filter(|file| &*file.text == "bad");
        Loaded {
            set: Arc::new(set),
            changed,
            statuses: Vec::new(),
            problems: problems
                .map(|file| Problem::error(format!("plugin {}", file.path), "is bad"))
                .collect(),
        }
    }

    fn shape(&mut self, target: &Target<'_>) -> Shaped {
        self.shaped.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let word = |name: &str| target.ingress.annotations.get(name).map(|annotation| &*annotation.value);
        let mut problems = Vec::new();
        let mut settings = RouteSettings::default();
        match word("priority").map(str::parse) {
            Some(Ok(priority)) => settings.priority = priority,
            Some(Err(_)) => {
                let subject = format!("Ingress {}", target.ingress.name);
                problems.push(Problem::error(subject, "is no number").field("annotation priority"));
            }
            None => {}
        }
        let entrypoints = word("entrypoints").map_or(EntryPoints::ALL, |names| {
            let bits = target.entrypoints.iter().enumerate();
            let named = bits.filter(|(_, entry)| names.split(',').any(|name| *name == *entry.name));
            named.fold(EntryPoints::NONE, |all, (bit, _)| all.union(EntryPoints::one(bit as u8)))
        });
        let connect = target.service.and_then(|service| service.annotations.get("connect"));
        let mut backend = BackendSettings::default();
        if let Some(ms) = connect.and_then(|connect| connect.value.parse().ok()) {
            backend.connect_timeout = Duration::from_millis(ms);
        }
        let secrets: Vec<ObjectName> = word("secret")
            .map(|name| ObjectName::new(target.ingress.name.namespace.clone(), name))
            .into_iter()
            .collect();
        let found = secrets.iter().filter_map(|name| (target.secret)(name));
        let mut options: BTreeMap<Arc<str>, OptionValue> = BTreeMap::new();
        for secret in found {
            options.insert("keys".into(), OptionValue::Number(secret.data.len() as f64));
        }
        let options = Arc::new(options);
        let steps = self.files.iter().map(|file| Step {
            plugin: file.path.clone(),
            hash: file.text.len() as u64,
            options: options.clone(),
            hooks: Hooks::REQUEST,
            on_error: OnError::Open,
        });
        let steps: Vec<Step> = steps.collect();
        let plugins = steps.iter().map(|step| step.plugin.clone()).collect();
        let chain = Arc::new(Chain { facts: target.facts.clone(), steps, plugins, closed: None });
        let path_match = word("exact").map(|_| PathMatch::Exact);
        Shaped { settings, backend, entrypoints, path_match, chain, problems, secrets }
    }

    fn fork(&self) -> Self {
        self.clone()
    }
}

pub fn settings() -> Arc<Settings> {
    let address = ([127, 0, 0, 1], 0).into();
    let entrypoints = vec![EntryPoint::new("http", address), EntryPoint::new("https", address)];
    Arc::new(Settings { entrypoints, workers: 2, ..Settings::default() })
}

pub fn pipeline() -> Pipeline<Words> {
    Pipeline::new(settings(), Words::default())
}

pub fn name(text: &str) -> ObjectName {
    match text.split_once('/') {
        Some((namespace, name)) => ObjectName::new(namespace, name),
        None => ObjectName::new("default", text),
    }
}

pub fn host(text: &str) -> HostPattern {
    match text.strip_prefix("*.") {
        _ if text.is_empty() => HostPattern::Any,
        Some(name) => HostPattern::Wildcard(name.into()),
        None => HostPattern::Exact(text.into()),
    }
}

pub fn spanned(text: &str) -> Spanned<Arc<str>> {
    Spanned { value: text.into(), at: Pos::default() }
}

pub fn meta(text: &str) -> Meta {
    Meta {
        name: name(text),
        created: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        source: Source { file: "test.yaml".into() },
        at: Pos::default(),
    }
}

pub fn annotate(meta: &mut Meta, annotations: &[(&str, &str)]) {
    meta.annotations = annotations.iter().map(|(key, value)| ((*key).into(), spanned(value))).collect();
}

/// `web:80`, or `web:http`.
pub fn backend(text: &str) -> BackendRef {
    let (service, port) = text.split_once(':').unwrap();
    let port = port.parse().map_or_else(|_| PortRef::Name(port.into()), PortRef::Number);
    BackendRef { target: BackendTarget::Service { name: service.into(), port }, at: Pos::default() }
}

/// Each rule is `host path backend`, `host =path backend` for an exact path, or `host` alone.
pub fn ingress(text: &str, rules: &[&str]) -> Ingress {
    let rules = rules.iter().map(|rule| {
        let mut words = rule.split(' ');
        let host = host(words.next().unwrap());
        let path = words.next().map(|path| IngressPath {
            path: path.trim_start_matches('=').into(),
            path_type: if path.starts_with('=') { PathType::Exact } else { PathType::Prefix },
            backend: backend(words.next().unwrap()),
            at: Pos::default(),
        });
        IngressRule { host, at: Pos::default(), paths: path.map(|path| vec![path]) }
    });
    Ingress { meta: meta(text), class: None, default_backend: None, rules: rules.collect(), tls: Vec::new() }
}

/// Ports are `name=number`; an unnamed one is `=80`.
pub fn service(text: &str, ports: &[&str]) -> Service {
    let ports = ports.iter().map(|port| {
        let (name, number) = port.split_once('=').unwrap();
        ServicePort { name: name.into(), port: number.parse().unwrap(), app_protocol: None }
    });
    Service { meta: meta(text), external_name: None, ports: ports.collect() }
}

pub fn external(text: &str, host: &str) -> Service {
    Service { external_name: Some(spanned(host)), ..service(text, &[]) }
}

/// Ready endpoints; `-` before one means it is terminating and still serves, `!` that it is not ready at all.
pub fn slice(text: &str, service: &str, port: &str, addresses: &[&str]) -> EndpointSlice {
    let (port, number) = port.split_once('=').unwrap();
    let endpoints = addresses.iter().map(|address| {
        let plain = address.trim_start_matches(['-', '!']);
        Endpoint {
            address: plain.parse().unwrap(),
            ready: plain.len() == address.len(),
            serving: !address.starts_with('!'),
            terminating: address.starts_with('-'),
        }
    });
    EndpointSlice {
        meta: meta(text),
        service: service.into(),
        legacy: false,
        ports: vec![(port.into(), number.parse().unwrap())],
        endpoints: endpoints.collect(),
    }
}

pub fn secret(text: &str, keys: &[&str]) -> Secret {
    let data = keys.iter().map(|key| ((*key).into(), SecretBytes::new(*b"x"))).collect();
    Secret { meta: meta(text), kind: "Opaque".into(), data }
}

pub fn class(text: &str, controller: &str, is_default: bool) -> IngressClass {
    let mut meta = meta(text);
    meta.name = ObjectName::new("", text);
    IngressClass { meta, controller: controller.into(), is_default }
}

/// What becomes a change.
pub trait IntoObject {
    fn object(self) -> Object;
}

macro_rules! into_object {
    ($($kind:ident),*) => {
        $(impl IntoObject for $kind {
            fn object(self) -> Object {
                Object::$kind(self)
            }
        })*
    };
}

into_object!(Ingress, IngressClass, Service, EndpointSlice, Secret);

pub fn came(object: impl IntoObject) -> Change {
    let object = object.object();
    Change { id: object.id(), object: Some(Arc::new(object)) }
}

pub fn went(object: impl IntoObject) -> Change {
    Change { id: object.object().id(), object: None }
}

pub fn said_by(provider: &'static str, changes: Vec<Change>) -> Vec<Update> {
    vec![Update::Objects(ObjectsUpdate { provider, changes, problems: Arc::new([]) })]
}

pub fn said(changes: Vec<Change>) -> Vec<Update> {
    said_by("manifests", changes)
}

pub fn plugins(files: &[(&str, &str)]) -> Vec<Update> {
    let files = files.iter().map(|(path, text)| PluginFile {
        path: (*path).into(),
        origin: crate::model::plugins::Origin::Path,
        text: (*text).into(),
    });
    vec![Update::Plugins(PluginsUpdate { source: "path", files: files.collect(), problems: Arc::new([]) })]
}

/// The key of the route that answers on the first entrypoint.
pub fn answers(pipeline: &Pipeline<Words>, host: &str, path: &str) -> Option<String> {
    let found = pipeline.snapshot().router.find(EntryPoints::one(0), host, path);
    found.map(|live| live.route.key.to_string())
}

/// All problems as texts.
pub fn problems(pipeline: &Pipeline<Words>) -> Vec<String> {
    pipeline.view().problems.iter().map(ToString::to_string).collect()
}
