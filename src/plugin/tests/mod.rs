//! Plugins through the whole host: staged, shaped, and run in a worker's VM with a real exchange.

mod bundled;
mod hostile;
mod limits;
mod requests;
mod shaping;
mod staging;

use super::{Shared, Stage, Vm, WorkerHost, on_log, on_request, on_response};
use crate::exchange::{Client, Exchange, Request, Response, Verdict};
use crate::ground::names::ObjectName;
use crate::ground::path::{PathOptions, Target as Path};
use crate::ground::problem::{Pos, Problem, Source};
use crate::ground::text::Ascii;
use crate::model::chain::{Chain, Facts};
use crate::model::objects::{Meta, Secret, SecretBytes, Spanned};
use crate::model::plugins::{Origin, PluginFile};
use crate::model::settings::{EntryPoint, Limits, PluginSettings};
use crate::model::vocabulary::{Loaded, Shaped, Target};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// A host with its control and its worker side.
struct Host {
    stage: Stage,
    worker: Rc<WorkerHost>,
    loaded: Loaded,
    secrets: BTreeMap<String, Arc<Secret>>,
}

impl Host {
    fn new(plugins: &[(&str, &str)]) -> Self {
        Self::with(plugins, &PluginSettings::default(), false, &Limits::default())
    }

    fn with(plugins: &[(&str, &str)], settings: &PluginSettings, strict: bool, limits: &Limits) -> Self {
        let mut stage = Stage::new(limits, settings, strict);
        let loaded = stage.load(&files(plugins));
        Self { stage, worker: WorkerHost::new(limits, Shared::new()), loaded, secrets: BTreeMap::new() }
    }

    /// A host whose one plugin loads without a problem.
    fn one(text: &str) -> Self {
        let host = Self::new(&[("p.lua", text)]);
        assert_eq!(host.loaded.problems, [], "{text}");
        host
    }

    fn load(&mut self, plugins: &[(&str, &str)]) -> Vec<String> {
        self.loaded = self.stage.load(&files(plugins));
        self.loaded.problems.iter().map(ToString::to_string).collect()
    }

    fn secret(&mut self, name: &str, data: &[(&str, &str)]) {
        let data = data
            .iter()
            .map(|(key, value)| ((*key).into(), SecretBytes::new(value.as_bytes().to_vec())))
            .collect();
        let secret = Secret { meta: meta("secret.yaml", &[]), kind: "Opaque".into(), data };
        self.secrets.insert(name.to_owned(), Arc::new(secret));
    }

    fn shape(&mut self, annotations: &[(&str, &str)]) -> Shaped {
        self.shape_at("/foo", "ImplementationSpecific", annotations, None)
    }

    fn shape_at(
        &mut self,
        path: &str,
        path_type: &'static str,
        annotations: &[(&str, &str)],
        service: Option<&[(&str, &str)]>,
    ) -> Shaped {
        let facts = Facts {
            route: "default/web/h.io/foo".into(),
            namespace: "default".into(),
            ingress: "web".into(),
            host: "h.io".into(),
            path: path.into(),
            path_type,
            service: "default/web:80".into(),
        };
        let ingress = meta("web.yaml", annotations);
        let service = service.map(|annotations| meta("service.yaml", annotations));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let entrypoints = [EntryPoint::new("http", address), EntryPoint::new("https", address)];
        let secrets = &self.secrets;
        self.stage.shape(&Target {
            facts: &facts,
            ingress: &ingress,
            service: service.as_ref(),
            entrypoints: &entrypoints,
            secret: &|object| {
                assert_eq!(&*object.namespace, "default");
                secrets.get(&*object.name).map(|secret| &**secret)
            },
        })
    }

    fn vm(&self) -> Rc<Vm> {
        self.worker.vm(&self.loaded.set)
    }

    /// Runs the request hooks; a request that goes on has status 0.
    async fn request(&self, chain: &Arc<Chain>, exchange: &mut Exchange) -> u16 {
        let vm = self.vm();
        match vm.route(chain) {
            Err(answer) => answer.status.as_u16(),
            Ok(hooks) => match on_request(&vm, &hooks, exchange).await {
                Verdict::Pass => 0,
                Verdict::Answer(answer) => answer.status.as_u16(),
            },
        }
    }

    fn errors(&self) -> Vec<String> {
        let errors = self.worker.shared().errors();
        errors.iter().map(|(plugin, kind, count)| format!("{plugin} {} {count}", kind.as_str())).collect()
    }
}

fn files(plugins: &[(&str, &str)]) -> Vec<PluginFile> {
    let file = |(path, text): &(&str, &str)| PluginFile {
        path: (*path).into(),
        origin: Origin::Path,
        text: (*text).into(),
    };
    plugins.iter().map(file).collect()
}

fn meta(file: &str, annotations: &[(&str, &str)]) -> Meta {
    let annotations = annotations.iter().zip(5..).map(|((name, value), line)| {
        ((*name).into(), Spanned { value: (*value).into(), at: Pos { line, column: 5 } })
    });
    Meta {
        name: ObjectName::new("default", "web"),
        created: None,
        labels: BTreeMap::new(),
        annotations: annotations.collect(),
        source: Source { file: file.into() },
        at: Pos { line: 1, column: 1 },
    }
}

fn exchange(path: &'static str, headers: &[(&str, &str)]) -> Exchange {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    Exchange {
        request: Request {
            method: Method::GET,
            target: Path::parse(&Bytes::from_static(path.as_bytes()), PathOptions::default()).unwrap(),
            asked: Path::parse(&Bytes::from_static(path.as_bytes()), PathOptions::default()).unwrap(),
            host: Ascii::from_static("h.io"),
            authority: Ascii::from_static("h.io:8080"),
            version: Version::HTTP_11,
            headers,
        },
        response: None,
        client: Client {
            ip: "1.2.3.4".parse().unwrap(),
            peer: SocketAddr::from(([10, 0, 0, 1], 4711)),
            local: SocketAddr::from(([10, 0, 0, 2], 80)),
            https: false,
            entrypoint: 0,
        },
        facts: crate::exchange::Facts::default(),
    }
}

fn respond(exchange: &mut Exchange, headers: &[(&'static str, &'static str)]) {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    exchange.response = Some(Response { status: StatusCode::OK, headers });
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// A plugin that acts on annotation `t.io/x`, with these lines in its table.
fn plugin(stage: &str, lines: &str) -> String {
    format!(
        "return plugin {{\n name = \"p\", stage = \"{stage}\",\n annotations = {{ x = {{ type = \"string\", names = {{ \"t.io/x\" }} }} }},\n{lines}\n}}\n"
    )
}

const X: &[(&str, &str)] = &[("t.io/x", "1")];
