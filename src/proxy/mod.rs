//! The life of a request, on one worker from its first byte to its last:
//!
//! head -> snapshot -> route -> our header fields -> request hooks -> endpoint -> response hooks -> client -> log.
//!
//! Everything here is for one thread: no lock, no hop. A generation is loaded once per request and held to its end.

mod budget;
mod forward;
mod headers;
mod outcome;

use crate::clock::Clock;
use crate::exchange::{Answer, Client, Exchange, Facts as LogFacts, Request, Verdict};
use crate::ground::names::EntryPoints;
use crate::http1::Refusal;
use crate::listener::{ClientWatch, Facts, Handler, Incoming, RequestBody, Responder};
use crate::model::chain::Hooks;
use crate::model::settings::Settings;
use crate::plugin::{self, RouteHooks, Vm, WorkerHost};
use crate::snapshot::{LiveRoute, Snapshot, SnapshotCell};
use crate::telemetry::access_log::AccessLogger;
use crate::telemetry::metrics::{Metrics, WorkerMetrics};
use crate::upstream::{Pool, PoolLimits};
use budget::RetryBudget;
use headers::Forwarding;
use http::{Method, StatusCode};
use outcome::Outcome;
use std::cell::RefCell;
use std::fmt;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// One worker's proxy.
pub struct Proxy {
    cell: Arc<SnapshotCell>,
    current: RefCell<Rc<Current>>,
    plugins: Rc<WorkerHost>,
    pool: Pool<RequestBody>,
    clock: Clock,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    worker: usize,
    log: RefCell<AccessLogger>,
    budget: RefCell<RetryBudget>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("worker", &self.worker).finish_non_exhaustive()
    }
}

/// A generation as one worker's requests hold it: counted here, so that the requests of different workers do not
/// fight for the cache line of the snapshot's own counter.
struct Current(Arc<Snapshot>);

/// What a worker's proxy is made of.
pub struct Parts {
    /// Where generations come from.
    pub cell: Arc<SnapshotCell>,
    /// The worker's plugin host.
    pub plugins: Rc<WorkerHost>,
    /// The worker's clock.
    pub clock: Clock,
    /// How the process is set up.
    pub settings: Arc<Settings>,
    /// Counters of all workers.
    pub metrics: Arc<Metrics>,
    /// The worker's index.
    pub worker: usize,
    /// The worker's access log.
    pub log: AccessLogger,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("worker", &self.worker).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let limits = PoolLimits { idle_timeout: parts.settings.limits.upstream_idle_timeout };
        Self {
            current: RefCell::new(Rc::new(Current(parts.cell.load()))),
            cell: parts.cell,
            plugins: parts.plugins,
            pool: Pool::new(parts.clock.clone(), limits),
            clock: parts.clock,
            settings: parts.settings,
            metrics: parts.metrics,
            worker: parts.worker,
            log: RefCell::new(parts.log),
            budget: RefCell::default(),
        }
    }

    /// The current generation.
    fn snapshot(&self) -> Rc<Current> {
        let mut current = self.current.borrow_mut();
        if !self.cell.is_current(&current.0) {
            *current = Rc::new(Current(self.cell.load()));
        }
        current.clone()
    }

    fn counters(&self) -> &WorkerMetrics {
        self.metrics.worker(self.worker)
    }

    /// What is to be done now and then: called by the worker at every tick of its clock.
    pub fn tick(&self) {
        const SWEEP: u64 = 1_000 / crate::clock::TICK.as_millis() as u64;
        self.log.borrow_mut().flush();
        if self.clock.ticks().is_multiple_of(SWEEP) {
            // Lets go of a generation that no request asked about since.
            drop(self.snapshot());
            self.pool.sweep();
        }
    }

    /// The request as the proxy carries it, with our own fields set.
    fn exchange(&self, incoming: crate::http1::RequestHead, facts: &Facts, guest: &Forwarding) -> Exchange {
        let mut client = Client {
            ip: facts.peer_ip,
            peer: facts.peer,
            local: facts.local,
            https: false,
            entrypoint: facts.entrypoint,
        };
        let mut headers = incoming.headers;
        headers::strip_hop_by_hop(&mut headers);
        if let Some(entrypoint) = self.settings.entrypoints.get(usize::from(facts.entrypoint)) {
            let trusted = &entrypoint.trusted_proxies;
            (client.ip, client.https) =
                headers::forward(&mut headers, guest, &incoming.authority, &client, trusted);
        }
        Exchange {
            request: Request {
                method: incoming.method,
                asked: incoming.target.clone(),
                target: incoming.target,
                host: incoming.host,
                authority: incoming.authority,
                version: incoming.version,
                headers,
            },
            response: None,
            client,
            facts: LogFacts::default(),
        }
    }

    /// The route's hooks in this worker's VM, if it has any; the answer of a route that is closed.
    fn enter(&self, snapshot: &Snapshot, route: &LiveRoute) -> Result<Option<Lua>, Box<Answer>> {
        let chain = &route.route.chain;
        if let Some(answer) = plugin::refusal(chain) {
            return Err(answer);
        }
        if route.hooks == Hooks(0) {
            return Ok(None);
        }
        let vm = self.plugins.vm(&snapshot.plugins);
        let hooks = vm.route(chain)?;
        Ok(Some(Lua { vm, hooks }))
    }

    /// Everything between the head and the last byte of the response.
    async fn serve(
        &self,
        exchange: &mut Exchange,
        (snapshot, route): (&Snapshot, Option<&Arc<LiveRoute>>),
        mut lua: Option<&mut Lua>,
        body: RequestBody,
        (out, client): (&mut Responder<'_>, &ClientWatch),
    ) -> Outcome {
        let Some(route) = route else {
            return Box::pin(self.unrouted(exchange, out)).await;
        };
        if let Some(limit) = route.route.settings.body_limit
            && let Err(refusal) = body.limit(limit)
        {
            self.counters().refused(refusal.reason);
            return Box::pin(outcome::refuse(exchange, out, refusal.status, refusal.reason)).await;
        }
        if let Some(lua) = lua.as_deref_mut()
            && let Verdict::Answer(answer) = lua.on_request(exchange).await
        {
            return Box::pin(outcome::answer(exchange, out, &answer)).await;
        }
        pin!(self.forward(exchange, (snapshot, route), lua, body, (out, client))).await
    }

    async fn unrouted(&self, exchange: &mut Exchange, out: &mut Responder<'_>) -> Outcome {
        if exchange.request.target.path() == "*" {
            // OPTIONS *: asks about the server, and the server is us.
            let answer = Answer {
                status: StatusCode::OK,
                headers: http::HeaderMap::new(),
                body: bytes::Bytes::new(),
                reason: "server options".into(),
            };
            return outcome::answer(exchange, out, &answer).await;
        }
        self.counters().unrouted.inc();
        outcome::refuse(exchange, out, StatusCode::NOT_FOUND, "no route").await
    }

    /// Counts and logs a finished request.
    fn record(
        &self,
        exchange: &mut Exchange,
        route: Option<&LiveRoute>,
        lua: Option<&Lua>,
        started: Instant,
    ) {
        let duration = started.elapsed();
        exchange.facts.duration_us = duration.as_micros() as u64;
        let counters = self.counters();
        counters.requests_finished.inc();
        counters.bytes_in.add(exchange.facts.bytes_in);
        counters.bytes_out.add(exchange.facts.bytes_out);
        if let Some(route) = route {
            route.tally.record(self.worker, exchange.facts.status, exchange.facts.duration_us);
        }
        if let Some(lua) = lua {
            lua.on_log(exchange);
        }
        let mut log = self.log.borrow_mut();
        if log.is_on() {
            log.record(exchange, route, wall(duration));
        }
    }
}

/// When something began that has taken `duration` until now.
fn wall(duration: Duration) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(duration).unwrap_or(now)
}

/// A route's hooks in this worker's VM: held by the request to its end, whatever is reloaded meanwhile.
struct Lua {
    vm: Rc<Vm>,
    hooks: Rc<RouteHooks>,
}

impl Lua {
    async fn on_request(&mut self, exchange: &mut Exchange) -> Verdict {
        plugin::on_request(&self.vm, &self.hooks, exchange).await
    }

    fn on_response(&mut self, exchange: &mut Exchange) -> Verdict {
        plugin::on_response(&self.vm, &self.hooks, exchange)
    }

    fn on_log(&self, exchange: &Exchange) {
        plugin::on_log(&self.vm, &self.hooks, exchange);
    }
}

impl Handler for Proxy {
    type Guest = Forwarding;

    fn greet(&self, facts: &Facts) -> Forwarding {
        let trusted = self.settings.entrypoints.get(usize::from(facts.entrypoint));
        let trusted = trusted.map(|entrypoint| entrypoint.trusted_proxies.clone()).unwrap_or_default();
        Forwarding::new(facts.peer_ip, facts.local.port(), &trusted)
    }

    async fn handle(
        &self,
        incoming: Incoming<'_, Forwarding>,
        out: &mut Responder<'_>,
        client: ClientWatch,
    ) -> bool {
        let started = Instant::now();
        self.counters().requests_started.inc();
        let body = incoming.body;
        let watch = body.watch();
        let mut exchange = self.exchange(incoming.head, incoming.facts, incoming.guest);
        let current = self.snapshot();
        let snapshot = &*current.0;
        let path = exchange.request.target.path();
        // `OPTIONS *` asks about the server: no route answers it.
        let route = if path == "*" {
            None
        } else {
            let entrypoint = EntryPoints::one(exchange.client.entrypoint);
            snapshot.router.find(entrypoint, &exchange.request.host, path)
        };
        let (mut lua, refused) = match route.map(|route| self.enter(snapshot, route)) {
            None => (None, None),
            Some(Ok(lua)) => (lua, None),
            Some(Err(answer)) => (None, Some(answer)),
        };
        let outcome = match refused {
            Some(answer) => Box::pin(outcome::answer(&mut exchange, out, &answer)).await,
            None => {
                pin!(self.serve(&mut exchange, (snapshot, route), lua.as_mut(), body, (out, &client))).await
            }
        };
        exchange.facts.bytes_in = watch.received();
        exchange.facts.bytes_out = out.bytes_out();
        exchange.facts.status = outcome.status();
        self.record(&mut exchange, route.map(|route| &**route), lua.as_ref(), started);
        outcome.is_whole()
    }

    fn refused(&self, facts: &Facts, refusal: Refusal, bytes_out: u64) {
        self.counters().refused(refusal.reason);
        let mut log = self.log.borrow_mut();
        if log.is_on() {
            let answer = (refusal.status.as_u16(), refusal.reason, bytes_out);
            log.record_refusal(facts.peer, facts.entrypoint, answer, SystemTime::now(), Duration::ZERO);
        }
    }
}

/// Whether a request may be sent twice without harm (RFC 9110 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}
