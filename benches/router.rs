//! A lookup's cost against the number of routes: beyond cache misses it must not depend on it.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use moongate::ground::names::{EntryPoints, HostPattern};
use moongate::model::route::PathMatch;
use moongate::router::{Rank, Router, Rule, Slot};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

const HTTP: EntryPoints = EntryPoints::one(0);

fn set(router: &mut Router<usize>, host: &str, path: &str, value: usize) {
    let host = HostPattern::Exact(host.into());
    let slot = Slot::Path { host, path: path.into(), path_match: PathMatch::Prefix };
    let rank = Rank::of_path(0, path, PathMatch::Prefix);
    router.set(&slot, vec![Rule { rank, entrypoints: EntryPoints::ALL, value: Arc::new(value) }]);
}

/// A name that looks like any other, and is not in the order of its number.
fn name(number: usize) -> String {
    let mixed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("app-{mixed:016x}.example.com")
}

/// An order that the prefetcher does not guess.
#[derive(Default)]
struct Turns(usize);

impl Turns {
    fn next(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }
}

/// Asks for one after another.
fn ask(
    criterion: &mut Criterion,
    group: &str,
    count: usize,
    router: &Router<usize>,
    asked: &[(String, Arc<str>)],
) {
    let mut group = criterion.benchmark_group(group);
    let mut turns = Turns::default();
    group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
        bencher.iter(|| {
            let request = asked.get(turns.next(asked.len()));
            request.and_then(|(host, path)| router.find(HTTP, black_box(host), black_box(path)))
        });
    });
    group.finish();
}

fn hosts(criterion: &mut Criterion) {
    for count in [10, 1_000, 100_000] {
        let mut router = Router::default();
        (0..count).for_each(|number| set(&mut router, &name(number), "/", number));
        let path: Arc<str> = "/some/path".into();
        let all: Vec<_> = (0..count).map(|number| (name(number), path.clone())).collect();
        // The same few hosts among many: what the number of routes costs beside cache misses.
        let few: Vec<_> = all.iter().take(10).cloned().collect();
        ask(criterion, "hosts, ten of them asked", count, &router, &few);
        ask(criterion, "hosts, all of them asked", count, &router, &all);
        // What the cache misses alone cost: the standard hash map over the same names.
        let plain: HashMap<&str, usize> = all.iter().map(|(host, _)| (host.as_str(), host.len())).collect();
        let mut group = criterion.benchmark_group("standard hash map, all of them asked");
        let mut turns = Turns::default();
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                all.get(turns.next(count)).and_then(|(host, _)| plain.get(black_box(host.as_str())))
            });
        });
        group.finish();
    }
}

fn paths(criterion: &mut Criterion) {
    for count in [10, 10_000] {
        let mut router = Router::default();
        for number in 0..count {
            set(&mut router, "h.io", &format!("/api/v{}/item{number}", number % 7), number);
        }
        let all: Vec<_> = (0..count)
            .map(|number| ("h.io".to_owned(), format!("/api/v{}/item{number}/x", number % 7).into()))
            .collect();
        let few: Vec<_> = all.iter().take(10).cloned().collect();
        ask(criterion, "paths of one host, ten of them asked", count, &router, &few);
        ask(criterion, "paths of one host, all of them asked", count, &router, &all);
    }
}

fn hostile(criterion: &mut Criterion) {
    let mut router = Router::default();
    (0..1_000).for_each(|number| set(&mut router, "h.io", &format!("/item{number}"), number));
    let slashes = vec![("h.io".to_owned(), "/".repeat(16 << 10).into())];
    ask(criterion, "16 KiB of slashes", 1_000, &router, &slashes);
}

fn changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one change, one clone");
    for count in [10, 100_000] {
        let mut router = Router::default();
        (0..count).for_each(|number| set(&mut router, &name(number), "/", number));
        let mut turn = 0_usize;
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                turn += 1;
                let mut next = router.clone();
                set(&mut next, &name(turn % count), "/", turn);
                router = next;
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hosts, paths, hostile, changes);
criterion_main!(benches);
