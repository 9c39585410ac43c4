//! `GET /metrics`: sums everything that counts into one page. Names are `moongate_<part>_<thing>_<unit>`.
//! Labels that grow with what tenants declare are capped, and what is above the cap is summed as `(other)`.

use super::exposition::{Family, Kind, Page};
use super::metrics::Metrics;
use crate::ground::problem::{Problem, Severity};
use crate::snapshot::view::View;
use crate::snapshot::{BUCKETS_US, RouteCounts, Snapshot};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Routes with series of their own.
const ROUTES: usize = 1_000;
/// Endpoints with series of their own.
const ENDPOINTS: usize = 1_000;
/// The label of what is above a cap.
const OTHER: &str = "(other)";

/// Everything that is shown.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// The workers' counters.
    pub metrics: &'a Metrics,
    /// The current generation.
    pub snapshot: &'a Snapshot,
    /// What control says about it.
    pub view: &'a View,
    /// Names of the entrypoints, by index.
    pub entrypoints: &'a [Arc<str>],
    /// What went wrong in plugins' hooks.
    pub plugin_errors: &'a [PluginErrors],
    /// About the process.
    pub process: Process<'a>,
}

/// Errors of one kind in one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginErrors {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// `error`, `deadline`, `memory`.
    pub kind: &'static str,
    /// How often.
    pub count: u64,
}

/// About the process.
#[derive(Clone, Copy, Debug)]
pub struct Process<'a> {
    /// `0.1.0`
    pub version: &'a str,
    /// Of the sources.
    pub commit: &'a str,
    /// Since the start.
    pub uptime: Duration,
    /// Resident memory, where the system says it.
    pub resident_bytes: Option<u64>,
}

impl Scrape<'_> {
    /// The page.
    pub fn page(&self) -> String {
        let mut page = Page::default();
        self.listener(&mut page);
        self.proxy(&mut page);
        self.routes(&mut page);
        self.upstream(&mut page);
        self.endpoints(&mut page);
        self.control(&mut page);
        self.process(&mut page);
        page.finish()
    }

    fn listener(&self, page: &mut Page) {
        let mut by_entrypoint = |name, kind, help, count: fn(&super::WorkerMetrics, u8) -> u64| {
            let mut family = page.family(name, kind, help);
            for (index, entrypoint) in (0_u8..64).zip(self.entrypoints) {
                let sum = self.metrics.sum(|worker| count(worker, index));
                family.sample(&[("entrypoint", entrypoint)], sum);
            }
        };
        by_entrypoint(
            "moongate_listener_connections_accepted_total",
            Kind::Counter,
            "Connections accepted from clients.",
            |worker, index| worker.connections.accepted(index),
        );
        by_entrypoint(
            "moongate_listener_connections_open",
            Kind::Gauge,
            "Connections of clients that are open now.",
            |worker, index| worker.connections.open(index),
        );
    }

    fn proxy(&self, page: &mut Page) {
        let sum = |counter: fn(&super::WorkerMetrics) -> u64| self.metrics.sum(counter);
        // What is finished is read first: the difference can then be late, but never negative.
        let finished = sum(|worker| worker.requests_finished.get());
        let in_flight = sum(|worker| worker.requests_started.get()).saturating_sub(finished);
        page.single(
            "moongate_proxy_requests_in_flight",
            Kind::Gauge,
            "Requests that are being answered now.",
            in_flight,
        );
        page.single(
            "moongate_proxy_requests_unrouted_total",
            Kind::Counter,
            "Requests that no route answers (404).",
            sum(|worker| worker.unrouted.get()),
        );
        let mut family = page.family(
            "moongate_proxy_requests_refused_total",
            Kind::Counter,
            "Requests and connections refused before any route, by reason.",
        );
        for (reason, count) in self.metrics.refusals() {
            family.sample(&[("reason", reason)], count);
        }
        page.single(
            "moongate_proxy_received_bytes_total",
            Kind::Counter,
            "Body bytes from clients.",
            sum(|worker| worker.bytes_in.get()),
        );
        page.single(
            "moongate_proxy_sent_bytes_total",
            Kind::Counter,
            "Body bytes to clients.",
            sum(|worker| worker.bytes_out.get()),
        );
        page.single(
            "moongate_access_log_lines_dropped_total",
            Kind::Counter,
            "Access log lines dropped because the writer did not keep up.",
            sum(|worker| worker.log_lines_dropped.get()),
        );
    }

    fn routes(&self, page: &mut Page) {
        let mut named: Vec<(&str, RouteCounts)> = Vec::new();
        let mut others = RouteCounts::default();
        for (index, (key, route)) in self.snapshot.routes.iter().enumerate() {
            let counts = route.tally.counts();
            if counts.codes.is_empty() {
                continue;
            }
            if index < ROUTES {
                named.push((key, counts));
            } else {
                merge(&mut others, &counts);
            }
        }
        if !others.codes.is_empty() {
            named.push((OTHER, others));
        }
        let mut family = page.family(
            "moongate_proxy_requests_total",
            Kind::Counter,
            "Requests by route and status; statuses that are not counted one by one are the x00 of their class.",
        );
        for (route, counts) in &named {
            for (code, count) in &counts.codes {
                family.sample(&[("route", route), ("code", &code.to_string())], count);
            }
        }
        let bounds: Vec<f64> = BUCKETS_US.iter().map(|bound| *bound as f64 / 1e6).collect();
        let mut family = page.family(
            "moongate_proxy_request_duration_seconds",
            Kind::Histogram,
            "Time from a request's first byte to the end of its answer, by route.",
        );
        for (route, counts) in &named {
            family.histogram(&[("route", route)], &bounds, &counts.buckets, counts.sum_us as f64 / 1e6);
        }
    }

    fn upstream(&self, page: &mut Page) {
        let sum = |counter: fn(&super::WorkerMetrics) -> u64| self.metrics.sum(counter);
        for (name, help, count) in [
            (
                "moongate_upstream_connects_total",
                "Connections made to endpoints.",
                sum(|worker| worker.upstream_connects.get()),
            ),
            (
                "moongate_upstream_reuses_total",
                "Requests sent on a kept connection.",
                sum(|worker| worker.upstream_reuses.get()),
            ),
            (
                "moongate_upstream_connect_failures_total",
                "Connections to endpoints that could not be made.",
                sum(|worker| worker.upstream_connect_failures.get()),
            ),
            (
                "moongate_upstream_retries_total",
                "Requests sent again.",
                sum(|worker| worker.upstream_retries.get()),
            ),
        ] {
            page.single(name, Kind::Counter, help, count);
        }
    }

    fn endpoints(&self, page: &mut Page) {
        let rows = self.endpoint_rows();
        let mut each = |name, kind, help, value: fn(&EndpointRow) -> u64| {
            let mut family: Family<'_> = page.family(name, kind, help);
            for ((backend, endpoint), row) in &rows {
                family.sample(&[("backend", backend), ("endpoint", endpoint)], value(row));
            }
        };
        each(
            "moongate_upstream_endpoint_up",
            Kind::Gauge,
            "1 where the endpoint takes requests; of (other), how many do.",
            |row| row.up,
        );
        each(
            "moongate_upstream_endpoint_requests_in_flight",
            Kind::Gauge,
            "Requests on their way to the endpoint.",
            |row| row.in_flight,
        );
        each(
            "moongate_upstream_endpoint_requests_total",
            Kind::Counter,
            "Requests sent to the endpoint.",
            |row| row.requests,
        );
        each(
            "moongate_upstream_endpoint_failures_total",
            Kind::Counter,
            "Connects to the endpoint that failed and connections to it that broke.",
            |row| row.failures,
        );
    }

    /// A Service's port used with two kinds of settings is two backends; they are one to the reader, and a
    /// sample may stand on a page only once.
    fn endpoint_rows(&self) -> BTreeMap<(String, String), EndpointRow> {
        let mut exact: BTreeMap<(String, SocketAddr), EndpointRow> = BTreeMap::new();
        for backend in self.snapshot.backends.iter().flatten() {
            let key = backend.spec.id.key.to_string();
            for endpoint in &backend.endpoints {
                let row = exact.entry((key.clone(), endpoint.spec.address)).or_default();
                row.up = 1;
                row.in_flight += u64::from(endpoint.state.in_flight.load(Ordering::Relaxed));
                row.requests += endpoint.state.requests.load(Ordering::Relaxed);
                row.failures += endpoint.state.failures.load(Ordering::Relaxed);
            }
        }
        let mut rows: BTreeMap<(String, String), EndpointRow> = BTreeMap::new();
        for (index, ((backend, address), row)) in exact.into_iter().enumerate() {
            if index < ENDPOINTS {
                rows.insert((backend, address.to_string()), row);
            } else {
                let others = rows.entry((OTHER.to_owned(), OTHER.to_owned())).or_default();
                others.up += row.up;
                others.in_flight += row.in_flight;
                others.requests += row.requests;
                others.failures += row.failures;
            }
        }
        rows
    }

    fn control(&self, page: &mut Page) {
        page.single(
            "moongate_control_generation",
            Kind::Gauge,
            "Counts up with each published change.",
            self.snapshot.generation,
        );
        let reloads = self.view.reloads;
        page.family("moongate_control_reloads_total", Kind::Counter, "Changes by result.")
            .sample(&[("result", "published")], reloads.published)
            .sample(&[("result", "failed")], reloads.failed);
        let count =
            |severity| self.view.problems.iter().filter(|p: &&Problem| p.severity == severity).count();
        page.family("moongate_control_problems", Kind::Gauge, "Problems that there are now.")
            .sample(&[("severity", "error")], count(Severity::Error))
            .sample(&[("severity", "warning")], count(Severity::Warning));
        page.single(
            "moongate_control_routes",
            Kind::Gauge,
            "Routes that can answer.",
            self.snapshot.routes.len(),
        );
        let mut family = page.family(
            "moongate_plugin_errors_total",
            Kind::Counter,
            "Hook calls that ended in an error, by plugin and kind.",
        );
        for errors in self.plugin_errors {
            family.sample(&[("plugin", &errors.plugin), ("kind", errors.kind)], errors.count);
        }
        page.single(
            "moongate_plugin_vms_built_total",
            Kind::Counter,
            "Lua VMs built by workers.",
            self.metrics.sum(|worker| worker.vms_built.get()),
        );
    }

    fn process(&self, page: &mut Page) {
        let process = self.process;
        page.family("moongate_process_build_info", Kind::Gauge, "Always 1; the labels say what runs.")
            .sample(&[("version", process.version), ("commit", process.commit)], 1);
        page.single("moongate_process_workers", Kind::Gauge, "Worker threads.", self.metrics.workers());
        page.single(
            "moongate_process_uptime_seconds",
            Kind::Gauge,
            "Since the start.",
            process.uptime.as_secs_f64(),
        );
        if let Some(bytes) = process.resident_bytes {
            page.single("moongate_process_resident_memory_bytes", Kind::Gauge, "Resident memory.", bytes);
        }
    }
}

#[derive(Debug, Default)]
struct EndpointRow {
    up: u64,
    in_flight: u64,
    requests: u64,
    failures: u64,
}

fn merge(into: &mut RouteCounts, counts: &RouteCounts) {
    for (code, count) in &counts.codes {
        match into.codes.binary_search_by_key(code, |(code, _)| *code) {
            Ok(index) => {
                if let Some((_, sum)) = into.codes.get_mut(index) {
                    *sum += count;
                }
            }
            Err(index) => into.codes.insert(index, (*code, *count)),
        }
    }
    for (sum, count) in into.buckets.iter_mut().zip(counts.buckets) {
        *sum += count;
    }
    into.sum_us += counts.sum_us;
}

#[cfg(test)]
mod tests;
