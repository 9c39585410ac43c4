//! What a change costs the control plane, without plugins: loading a world, and changing one object of it. The
//! cost of one change must not grow with the number of Ingresses.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use moongate::control::Pipeline;
use moongate::ground::names::{EntryPoints, HostPattern, ObjectName, PortRef};
use moongate::ground::problem::{Pos, Source};
use moongate::model::chain::Chain;
use moongate::model::objects::{
    BackendRef, BackendTarget, Change, Endpoint, EndpointSlice, Ingress, IngressPath, IngressRule, Meta,
    Object, PathType, Service, ServicePort,
};
use moongate::model::plugins::{PluginFile, PluginSet};
use moongate::model::route::{BackendSettings, RouteSettings};
use moongate::model::settings::Settings;
use moongate::model::vocabulary::{Loaded, Shaped, Target, Vocabulary};
use moongate::provider::{ObjectsUpdate, PluginsUpdate, Update};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Knows no word.
struct Silent(u64);

impl Vocabulary for Silent {
    fn load(&mut self, _: &[PluginFile]) -> Loaded {
        self.0 += 1;
        Loaded {
            set: Arc::new(PluginSet { generation: self.0, plugins: Vec::new() }),
            changed: vec!["all".into()],
            statuses: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn shape(&mut self, target: &Target<'_>) -> Shaped {
        Shaped {
            settings: RouteSettings::default(),
            backend: BackendSettings::default(),
            entrypoints: EntryPoints::ALL,
            path_match: None,
            chain: Arc::new(Chain {
                facts: target.facts.clone(),
                steps: Vec::new(),
                plugins: Vec::new(),
                closed: None,
            }),
            problems: Vec::new(),
            secrets: Vec::new(),
        }
    }

    fn fork(&self) -> Self {
        Self(self.0)
    }
}

fn meta(name: &str) -> Meta {
    Meta {
        name: ObjectName::new("default", name),
        created: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        source: Source { file: "bench.yaml".into() },
        at: Pos::default(),
    }
}

fn change(object: Object) -> Change {
    Change { id: object.id(), object: Some(Arc::new(object)) }
}

fn ingress(number: usize, path: &str) -> Change {
    let service = format!("service-{}", number % 1_000);
    let target = BackendTarget::Service { name: service.into(), port: PortRef::Number(80) };
    let path = IngressPath {
        path: path.into(),
        path_type: PathType::Prefix,
        backend: BackendRef { target, at: Pos::default() },
        at: Pos::default(),
    };
    let host = HostPattern::Exact(format!("host-{number}.example.com").into());
    change(Object::Ingress(Ingress {
        meta: meta(&format!("ingress-{number}")),
        class: None,
        default_backend: None,
        rules: vec![IngressRule { host, at: Pos::default(), paths: Some(vec![path]) }],
        tls: Vec::new(),
    }))
}

fn service(number: usize) -> Change {
    let ports = vec![ServicePort { name: "http".into(), port: 80, app_protocol: None }];
    let meta = meta(&format!("service-{number}"));
    change(Object::Service(Service { meta, external_name: None, ports }))
}

fn slice(number: usize, last: u8) -> Change {
    let end = |last| Endpoint {
        address: [10, (number >> 8) as u8, number as u8, last].into(),
        ready: true,
        serving: true,
        terminating: false,
    };
    change(Object::EndpointSlice(EndpointSlice {
        meta: meta(&format!("slice-{number}")),
        service: format!("service-{number}").into(),
        legacy: false,
        ports: vec![("http".into(), 8080)],
        endpoints: vec![end(1), end(last)],
    }))
}

fn world(count: usize) -> Vec<Change> {
    let services = (0..count.min(1_000)).flat_map(|number| [service(number), slice(number, 2)]);
    services.chain((0..count).map(|number| ingress(number, "/"))).collect()
}

fn said(changes: Vec<Change>) -> Vec<Update> {
    vec![Update::Objects(ObjectsUpdate { provider: "manifests", changes, problems: Arc::new([]) })]
}

fn settings() -> Arc<Settings> {
    Arc::new(Settings { workers: 2, ..Settings::default() })
}

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for count in [1_000, 10_000] {
        let all = world(count);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_batched(
                || said(all.clone()),
                |updates| Pipeline::offline(settings(), Silent(0), updates),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn changes(criterion: &mut Criterion) {
    for count in [1_000, 10_000] {
        let mut pipeline = Pipeline::offline(settings(), Silent(0), said(world(count)));
        // The last generation is held, as a worker would.
        let mut held = pipeline.snapshot().clone();
        let mut turn = 0_usize;
        let mut group = criterion.benchmark_group("one change");
        let mut measure = |name: &str, next: &dyn Fn(usize) -> Change| {
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| {
                    turn += 1;
                    if let Some(next) = pipeline.apply(said(vec![next(turn)])).snapshot {
                        held = next;
                    }
                });
            });
        };
        // Never the same twice, or there would be nothing to do.
        measure("an Ingress", &|turn| ingress(turn.wrapping_mul(7_919) % count, &format!("/v{turn}")));
        measure("an endpoint", &|turn| {
            slice(turn.wrapping_mul(7_919) % 1_000, (turn / 1_000 % 200) as u8 + 3)
        });
        group.finish();
    }
}

fn plugin_edit(criterion: &mut Criterion) {
    let mut pipeline = Pipeline::offline(settings(), Silent(0), said(world(10_000)));
    let mut group = criterion.benchmark_group("plugin edit");
    group.sample_size(10);
    let mut turn = 0_usize;
    group.bench_function(BenchmarkId::from_parameter(10_000), |bencher| {
        bencher.iter(|| {
            turn += 1;
            let file = PluginFile {
                path: "all.lua".into(),
                origin: moongate::model::plugins::Origin::Path,
                text: turn.to_string().into(),
            };
            pipeline.apply(vec![Update::Plugins(PluginsUpdate {
                source: "path",
                files: vec![file],
                problems: Arc::new([]),
            })])
        });
    });
    group.finish();
}

criterion_group!(benches, load, changes, plugin_edit);
criterion_main!(benches);
