//! What a hook costs: no-op, whitelist, strip-prefix, basic auth with a remembered success, and the three
//! together; and what shaping a route costs.
//!
//! Bars of `design.md` 8 and the plugin issue: 0.15, 0.5, 0.7 and 1.0 microseconds; 10,000 routes in 0.5 s.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot start has nothing to measure")]

use base64::Engine as _;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method, Version};
use moongate::exchange::{Client, Exchange, Facts, Request, Verdict};
use moongate::ground::names::ObjectName;
use moongate::ground::path::{PathOptions, Target as Path};
use moongate::ground::problem::{Pos, Source};
use moongate::ground::text::Ascii;
use moongate::model::chain::{self, Chain};
use moongate::model::objects::{Meta, Secret, SecretBytes, Spanned};
use moongate::model::plugins::{Origin, PluginFile};
use moongate::model::settings::{EntryPoint, Limits, PluginSettings};
use moongate::model::vocabulary::Target;
use moongate::plugin::{Shared, Stage, WorkerHost, on_request};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const NOOP: &str = "return plugin { name = 'noop', stage = 'guard',
 annotations = { x = { type = 'string', names = { 'bench/noop' } } },
 on_request = function(req, state) end }";
const LIST: (&str, &str) =
    ("ingress.kubernetes.io/whitelist-source-range", "10.0.0.0/8, 1.2.3.0/24, fe80::/16");
const STRIP: (&str, &str) = ("traefik.frontend.rule.type", "PathPrefixStrip");
const AUTH: [(&str, &str); 2] =
    [("ingress.kubernetes.io/auth-type", "basic"), ("ingress.kubernetes.io/auth-secret", "staff")];

fn meta(annotations: &[(&str, &str)]) -> Meta {
    let annotations = annotations
        .iter()
        .map(|(name, value)| ((*name).into(), Spanned { value: (*value).into(), at: Pos::default() }));
    Meta {
        name: ObjectName::new("default", "web"),
        created: None,
        labels: BTreeMap::new(),
        annotations: annotations.collect(),
        source: Source { file: "web.yaml".into() },
        at: Pos::default(),
    }
}

fn shape(stage: &mut Stage, ingress: &Meta) -> Arc<Chain> {
    let facts = chain::Facts {
        route: "default/web/h.io/foo".into(),
        namespace: "default".into(),
        ingress: "web".into(),
        host: "h.io".into(),
        path: "/foo".into(),
        path_type: "ImplementationSpecific",
        service: "default/web:80".into(),
    };
    let entrypoints = [EntryPoint::new("http", SocketAddr::from(([127, 0, 0, 1], 0)))];
    let text = SecretBytes::new(b"alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_vec());
    let secret =
        Secret { meta: meta(&[]), kind: "Opaque".into(), data: BTreeMap::from([("auth".into(), text)]) };
    let target = Target {
        facts: &facts,
        ingress,
        service: None,
        entrypoints: &entrypoints,
        secret: &|_| Some(&secret),
    };
    stage.shape(&target).chain
}

fn exchange() -> Exchange {
    let mut headers = HeaderMap::new();
    let credentials = base64::engine::general_purpose::STANDARD.encode("alice:password");
    for (name, value) in [
        ("user-agent", "curl/8.0"),
        ("accept", "*/*"),
        ("x-forwarded-for", "1.2.3.4"),
        ("authorization", &format!("Basic {credentials}")),
    ] {
        let name: http::HeaderName = name.parse().expect("a name");
        headers.insert(name, value.parse().expect("a value"));
    }
    Exchange {
        request: Request {
            method: Method::GET,
            target: target(),
            asked: target(),
            host: Ascii::from_static("h.io"),
            authority: Ascii::from_static("h.io"),
            version: Version::HTTP_11,
            headers,
        },
        response: None,
        client: Client {
            ip: [1, 2, 3, 4].into(),
            peer: SocketAddr::from(([1, 2, 3, 4], 4711)),
            local: SocketAddr::from(([10, 0, 0, 2], 80)),
            https: false,
            entrypoint: 0,
        },
        facts: Facts::default(),
    }
}

fn target() -> Path {
    Path::parse(&Bytes::from_static(b"/foo/bar/baz?q=1"), PathOptions::default()).expect("a path")
}

fn stage() -> (Stage, Arc<moongate::model::plugins::PluginSet>) {
    let mut stage = Stage::new(&Limits::default(), &PluginSettings::default(), false);
    let noop = PluginFile { path: "noop.lua".into(), origin: Origin::Path, text: NOOP.into() };
    let loaded = stage.load(&[noop]);
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    (stage, loaded.set)
}

/// CPU time of this thread: a busy machine then measures as a quiet one does.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn hooks(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut stage, set) = stage();
    let host = WorkerHost::new(&Limits::default(), Shared::new());
    let vm = host.vm(&set);
    let mut group = criterion.benchmark_group("hook");
    for (name, annotations) in [
        ("noop", vec![("bench/noop", "1")]),
        ("whitelist", vec![LIST]),
        ("strip-prefix", vec![STRIP]),
        ("basic-auth", AUTH.to_vec()),
        ("three", [&[LIST, STRIP][..], &AUTH].concat()),
    ] {
        let chain = shape(&mut stage, &meta(&annotations));
        let hooks = vm.route(&chain).expect("hooks");
        let mut exchange = exchange();
        let path = target();
        // The first request hashes the password.
        let verdict = runtime.block_on(on_request(&vm, &hooks, &mut exchange));
        assert!(matches!(verdict, Verdict::Pass), "{name}: {verdict:?}");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let start = thread_cpu();
                    for _ in 0..rounds {
                        exchange.request.target = path.clone();
                        black_box(on_request(&vm, &hooks, &mut exchange).await);
                    }
                    thread_cpu().saturating_sub(start)
                })
            });
        });
    }
    group.finish();
}

fn shaping(criterion: &mut Criterion) {
    let (mut stage, set) = stage();
    let mut group = criterion.benchmark_group("control");
    for (name, annotations) in [("shape, two annotations", vec![LIST, STRIP]), ("shape, none", vec![])] {
        let ingress = meta(&annotations);
        group.bench_function(name, |bencher| bencher.iter(|| shape(&mut stage, black_box(&ingress))));
    }
    group.bench_function("a worker's VM", |bencher| {
        bencher.iter(|| WorkerHost::new(&Limits::default(), Shared::new()).vm(&set));
    });
    group.finish();
}

criterion_group!(benches, hooks, shaping);
criterion_main!(benches);
