use super::*;
use crate::model::route::RouteTarget;
use crate::snapshot::view::Reloads;
use crate::telemetry::fixture;
use std::collections::{BTreeMap, BTreeSet};

/// Samples of a page by `name{labels}`.
///
/// As strict as the format's description: a family has its HELP and TYPE before its samples, all of its samples
/// stand together and none stands twice; a histogram's buckets add up.
fn parse(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let (mut families, mut family, mut kind) = (BTreeSet::new(), "", "");
    let mut bucket = (String::new(), 0.0);
    assert!(page.ends_with('\n'));
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').unwrap().0;
            assert!(families.insert(family), "{family} is there twice");
            assert!(family.starts_with("moongate_"), "{family}");
            let (name, said) =
                lines.next().unwrap().strip_prefix("# TYPE ").unwrap().split_once(' ').unwrap();
            assert_eq!(name, family);
            kind = said;
            assert_eq!(kind == "counter", family.ends_with("_total"), "{family}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels_of(labels.strip_suffix('}').unwrap())),
            None => (series, Vec::new()),
        };
        if kind == "histogram" {
            let suffix = name.strip_prefix(family).unwrap();
            let rest = labels.iter().filter(|(name, _)| name != "le");
            let group = format!("{:?}", rest.collect::<Vec<_>>());
            match suffix {
                "_bucket" => {
                    assert_eq!(labels.last().unwrap().0, "le");
                    assert!(bucket.0 != group || value >= bucket.1, "buckets are cumulative: {line}");
                    bucket = (group, value);
                }
                "_count" => assert_eq!(bucket, (group, value), "the last bucket is the count"),
                other => assert_eq!(other, "_sum"),
            }
        } else {
            assert_eq!(name, family, "samples stand below their family");
        }
        assert!(samples.insert(series.to_owned(), value).is_none(), "{series} is there twice");
    }
    samples
}

/// `a="x",b="y"` with `\\`, `\"` and `\n` as the only escapes.
fn labels_of(text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let name: String = chars.by_ref().take_while(|c| *c != '=').collect();
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        assert_eq!(chars.next(), Some('"'));
        let mut value = String::new();
        loop {
            match chars.next().unwrap() {
                '"' => break,
                '\\' => value.push(match chars.next().unwrap() {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    other => panic!("escape {other:?}"),
                }),
                c => value.push(c),
            }
        }
        labels.push((name, value));
        assert!(matches!(chars.next(), None | Some(',')));
    }
    labels
}

fn page(snapshot: &Snapshot, metrics: &Metrics, plugin_errors: &[PluginErrors]) -> BTreeMap<String, f64> {
    let view = View {
        reloads: Reloads { published: 7, failed: 2 },
        problems: vec![Problem::error("a", "b"), Problem::warning("a", "c")].into(),
        ..View::default()
    };
    parse(
        &Scrape {
            metrics,
            snapshot,
            view: &view,
            entrypoints: &["http".into(), "internal".into()],
            plugin_errors,
            process: Process {
                version: "0.1.0",
                commit: "unknown",
                uptime: Duration::from_millis(1_500),
                resident_bytes: Some(1 << 20),
            },
        }
        .page(),
    )
}

#[test]
fn everything_that_counts_is_on_the_page() {
    let snapshot = fixture::snapshot();
    let route = snapshot.routes.get("default/web/h.io/").unwrap();
    route.tally.record(0, 200, 900);
    route.tally.record(1, 200, 20_000);
    route.tally.record(1, 502, 9_000_000);
    let backend = snapshot.backends.iter().flatten().next().unwrap();
    backend.endpoints[0].state.in_flight.store(3, Ordering::Relaxed);
    backend.endpoints[0].state.requests.store(9, Ordering::Relaxed);
    let metrics = Metrics::new(2);
    metrics.worker(0).connections.opened(0);
    metrics.worker(1).connections.opened(0);
    metrics.worker(1).connections.closed(0);
    metrics.worker(0).refused("bad request");
    metrics.worker(0).requests_started.add(5);
    metrics.worker(0).requests_finished.add(4);
    let errors = [PluginErrors { plugin: "st\"amp\n".into(), kind: "deadline", count: 4 }];
    let samples = page(&snapshot, &metrics, &errors);
    for (series, want) in [
        ("moongate_listener_connections_accepted_total{entrypoint=\"http\"}", 2.0),
        ("moongate_listener_connections_open{entrypoint=\"http\"}", 1.0),
        ("moongate_listener_connections_open{entrypoint=\"internal\"}", 0.0),
        ("moongate_proxy_requests_in_flight", 1.0),
        ("moongate_proxy_requests_refused_total{reason=\"bad request\"}", 1.0),
        ("moongate_proxy_requests_total{route=\"default/web/h.io/\",code=\"200\"}", 2.0),
        ("moongate_proxy_requests_total{route=\"default/web/h.io/\",code=\"502\"}", 1.0),
        ("moongate_proxy_request_duration_seconds_bucket{route=\"default/web/h.io/\",le=\"0.001\"}", 1.0),
        ("moongate_proxy_request_duration_seconds_bucket{route=\"default/web/h.io/\",le=\"0.025\"}", 2.0),
        ("moongate_proxy_request_duration_seconds_bucket{route=\"default/web/h.io/\",le=\"5\"}", 2.0),
        ("moongate_proxy_request_duration_seconds_bucket{route=\"default/web/h.io/\",le=\"+Inf\"}", 3.0),
        ("moongate_proxy_request_duration_seconds_sum{route=\"default/web/h.io/\"}", 9.0209),
        ("moongate_upstream_endpoint_up{backend=\"default/web:80\",endpoint=\"10.0.0.5:8080\"}", 1.0),
        (
            "moongate_upstream_endpoint_requests_in_flight{backend=\"default/web:80\",endpoint=\"10.0.0.5:8080\"}",
            3.0,
        ),
        (
            "moongate_upstream_endpoint_requests_total{backend=\"default/web:80\",endpoint=\"10.0.0.5:8080\"}",
            9.0,
        ),
        ("moongate_control_reloads_total{result=\"published\"}", 7.0),
        ("moongate_control_reloads_total{result=\"failed\"}", 2.0),
        ("moongate_control_problems{severity=\"warning\"}", 1.0),
        ("moongate_control_generation", 41.0),
        ("moongate_control_routes", 2.0),
        ("moongate_plugin_errors_total{plugin=\"st\\\"amp\\n\",kind=\"deadline\"}", 4.0),
        ("moongate_process_workers", 2.0),
        ("moongate_process_uptime_seconds", 1.5),
        ("moongate_process_resident_memory_bytes", 1_048_576.0),
        ("moongate_process_build_info{version=\"0.1.0\",commit=\"unknown\"}", 1.0),
    ] {
        assert_eq!(samples.get(series), Some(&want), "{series}");
    }
}

#[test]
fn routes_and_endpoints_above_the_cap_are_summed() {
    let mut snapshot = fixture::snapshot();
    snapshot.routes.clear();
    for index in 0..ROUTES + 5 {
        let key = format!("default/web/h.io/{index:05}");
        let route = fixture::route(&key, "/", RouteTarget::Nowhere("x".into()), None);
        route.tally.record(0, 404, 10);
        snapshot.routes.insert(key.into(), route);
    }
    let first = snapshot.backends.iter().flatten().next().unwrap().spec.id.clone();
    snapshot.backends.clear();
    for port in 0..600_u16 {
        let mut id = first.clone();
        id.key.port = crate::ground::names::PortRef::Number(port);
        snapshot.backends.push_back(Some(Arc::new(fixture::backend(id))));
    }
    let samples = page(&snapshot, &Metrics::new(1), &[]);
    let count = |name: &str| samples.keys().filter(|series| series.starts_with(name)).count();
    assert_eq!(count("moongate_proxy_requests_total{"), ROUTES + 1);
    assert_eq!(samples.get("moongate_proxy_requests_total{route=\"(other)\",code=\"404\"}"), Some(&5.0));
    assert_eq!(samples.get("moongate_proxy_request_duration_seconds_count{route=\"(other)\"}"), Some(&5.0));
    assert_eq!(count("moongate_upstream_endpoint_up{"), ENDPOINTS + 1);
    assert_eq!(
        samples.get("moongate_upstream_endpoint_up{backend=\"(other)\",endpoint=\"(other)\"}"),
        Some(&200.0)
    );
}

#[test]
fn one_service_port_with_two_kinds_of_settings_is_one_series() {
    let mut snapshot = fixture::snapshot();
    let mut id = snapshot.backends.iter().flatten().next().unwrap().spec.id.clone();
    id.settings.idle_connections = 1;
    let twin = fixture::backend(id);
    twin.endpoints[0].state.requests.store(5, Ordering::Relaxed);
    snapshot.backends.push_back(Some(Arc::new(twin)));
    let samples = page(&snapshot, &Metrics::new(1), &[]);
    let labels = "{backend=\"default/web:80\",endpoint=\"10.0.0.5:8080\"}";
    assert_eq!(samples.get(&format!("moongate_upstream_endpoint_requests_total{labels}")), Some(&5.0));
    assert_eq!(samples.get(&format!("moongate_upstream_endpoint_up{labels}")), Some(&1.0));
}
