//! To an endpoint and back: pick, send, retry where that is safe, stream the response.
//!
//! Futures are pinned where they are made (`pin!`) instead of being moved into the one that awaits them: a move
//! copies all of their states. Those of rare paths are boxed, so that the usual one stays small.

use super::outcome::{self, Outcome};
use super::{Lua, Proxy, headers, is_idempotent};
use crate::exchange::{Exchange, Response, Verdict};
use crate::http1::ResponseHead;
use crate::listener::{BodyError, BodyLength, BodyWatch, ClientWatch, RequestBody, Responder};
use crate::model::route::RouteTarget;
use crate::snapshot::{Backend, Endpoint, LiveRoute, Snapshot};
use crate::upstream::{Blame, Conn, Outgoing, ResponseBody, SendError};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Counts a request at an endpoint while it is on its way.
struct Flight<'a>(&'a Endpoint);

impl<'a> Flight<'a> {
    fn begin(endpoint: &'a Endpoint) -> Self {
        endpoint.state.in_flight.fetch_add(1, Ordering::Relaxed);
        endpoint.state.requests.fetch_add(1, Ordering::Relaxed);
        Self(endpoint)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.state.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The patience with an endpoint while it answers: its time begins anew for as long as it is the client that is
/// waited for, and a client that is gone ends it.
struct Patience<'a> {
    watch: &'a BodyWatch,
    client: &'a ClientWatch,
    timer: &'a crate::clock::Timer,
    time: Duration,
    received: u64,
}

impl<'a> Patience<'a> {
    fn new(
        (watch, client): (&'a BodyWatch, &'a ClientWatch),
        (timer, time): (&'a crate::clock::Timer, Duration),
    ) -> Self {
        Self { watch, client, timer, time, received: watch.received() }
    }

    /// To be polled when the endpoint is pending: ready when the client is gone.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.watch.is_finished() {
            return self.client.poll_gone(cx).map(|_error| ());
        }
        let received = self.watch.received();
        if self.watch.is_waiting() || received != self.received {
            self.received = received;
            self.timer.set(self.time);
        }
        Poll::Pending
    }
}

/// Why no response came.
enum Failure {
    /// The backend has nothing to send to.
    NoEndpoint,
    /// The last attempt's error.
    Send(SendError),
    /// The client is gone.
    ClientGone,
}

/// A response's head together with where its body comes from.
type Reply<'a> = (ResponseHead, ResponseBody<RequestBody>, Flight<'a>);

impl Proxy {
    /// Sends the request to the route's backend and its response to the client.
    pub(super) async fn forward(
        &self,
        exchange: &mut Exchange,
        (snapshot, route): (&Snapshot, &LiveRoute),
        lua: Option<&mut Lua>,
        body: RequestBody,
        (out, client): (&mut Responder<'_>, &ClientWatch),
    ) -> Outcome {
        let Some(backend) = route.backend.and_then(|slot| snapshot.backend(slot)) else {
            let reason = match &route.route.target {
                RouteTarget::Nowhere(reason) => reason.clone(),
                RouteTarget::Backend(_) => "no backend".into(),
            };
            return Box::pin(outcome::refuse(exchange, out, StatusCode::SERVICE_UNAVAILABLE, &reason)).await;
        };
        let watch = body.watch();
        let reached = pin!(self.reach(exchange, (backend, route), &watch, (out, client))).await;
        match reached {
            Ok((parts, body, flight)) => {
                let reply = (parts, body, &flight, &**backend);
                let outcome = pin!(self.reply(exchange, route, lua, reply, (out, &watch, client))).await;
                drop(flight);
                outcome
            }
            Err(Failure::NoEndpoint) => {
                backend.state.unavailable.fetch_add(1, Ordering::Relaxed);
                let reason = backend.spec.reason.as_deref().unwrap_or("no endpoint");
                Box::pin(outcome::refuse(exchange, out, StatusCode::SERVICE_UNAVAILABLE, reason)).await
            }
            Err(Failure::ClientGone) => Outcome::ClientGone,
            Err(Failure::Send(error)) => match (error.blame(), watch.error()) {
                (_, Some(BodyError::Refused(refusal))) => {
                    self.counters().refused(refusal.reason);
                    Box::pin(outcome::refuse(exchange, out, refusal.status, refusal.reason)).await
                }
                (_, Some(BodyError::Gone)) => Outcome::ClientGone,
                (_, None) => Box::pin(outcome::refuse(exchange, out, error.status(), error.label())).await,
            },
        }
    }

    /// The head of a response: from the first endpoint that gives one.
    async fn reach<'b>(
        &self,
        exchange: &mut Exchange,
        (backend, route): (&'b Backend, &LiveRoute),
        watch: &BodyWatch,
        (out, client): (&mut Responder<'_>, &ClientWatch),
    ) -> Result<Reply<'b>, Failure> {
        self.budget.borrow_mut().request(self.second());
        let started = Instant::now();
        let settings = &route.route.settings;
        let mut tried = 0_u64;
        let others = backend.endpoints.len().saturating_sub(1) as u32;
        let mut left = settings.retries.unwrap_or(u32::MAX).min(others);
        let mut fresh = false;
        let mut last = Failure::NoEndpoint;
        loop {
            let Some((index, endpoint)) = backend.pick(tried) else { return Err(last) };
            let Some(body) = watch.again() else { return Err(last) };
            exchange.facts.attempts += 1;
            exchange.facts.upstream = Some(endpoint.spec.address);
            let flight = Flight::begin(endpoint);
            let attempted = pin!(self.attempt(
                exchange,
                (backend, endpoint, route),
                (body, watch, fresh),
                (&mut *out, client)
            ))
            .await;
            let (error, reused) = match attempted {
                Ok((parts, body)) => {
                    exchange.facts.upstream_us = started.elapsed().as_micros() as u64;
                    exchange.facts.network_error = false;
                    endpoint.state.observe(exchange.facts.upstream_us);
                    return Ok((parts, body, flight));
                }
                Err(failed) => failed,
            };
            let Some(error) = error else { return Err(Failure::ClientGone) };
            let upstream = error.blame() == Blame::Upstream;
            exchange.facts.network_error = upstream;
            let safe =
                error.is_unsent() || (error.is_unanswered() && is_idempotent(&exchange.request.method));
            let replayable = safe && !watch.is_started() && watch.error().is_none() && !out.is_headed();
            let stale = reused && !fresh && error.is_unanswered();
            if upstream && !stale {
                endpoint.state.failures.fetch_add(1, Ordering::Relaxed);
            }
            tracing::debug!(endpoint = %endpoint.spec.address, %error, replayable, "attempt failed");
            last = Failure::Send(error);
            let in_time = started.elapsed() < settings.response_timeout;
            if !replayable || !in_time {
                return Err(last);
            }
            if stale {
                // A kept connection that the endpoint closed meanwhile says nothing about the endpoint: once more,
                // on a new one.
                fresh = true;
            } else {
                fresh = false;
                tried |= 1_u64.checked_shl(index as u32).unwrap_or(0);
                if left == 0 || !self.budget.borrow_mut().retry(self.second()) {
                    return Err(last);
                }
                left -= 1;
            }
            self.counters().upstream_retries.inc();
        }
    }

    fn second(&self) -> u64 {
        self.clock.ticks() * crate::clock::TICK.as_millis() as u64 / 1_000
    }

    /// One attempt at one endpoint. The error is none if the client is gone; with it goes whether the connection
    /// had been used before.
    async fn attempt(
        &self,
        exchange: &Exchange,
        (backend, endpoint, route): (&Backend, &Endpoint, &LiveRoute),
        (body, watch, fresh): (RequestBody, &BodyWatch, bool),
        (out, client): (&mut Responder<'_>, &ClientWatch),
    ) -> Result<(ResponseHead, ResponseBody<RequestBody>), (Option<SendError>, bool)> {
        let timer = self.clock.timer();
        let mut conn = pin!(self.connection(backend, endpoint, fresh, &timer))
            .await
            .map_err(|error| (Some(error), false))?;
        let host = upstream_host(exchange, (backend, endpoint, route));
        let request = Outgoing {
            method: &exchange.request.method,
            target: &exchange.request.target,
            host: &host,
            headers: &exchange.request.headers,
        };
        let mut gone = false;
        let time = route.route.settings.response_timeout;
        let mut patience = Patience::new((watch, client), (&timer, time));
        let sent = pin!(conn.send(
            request,
            body,
            (&timer, time),
            |cx| {
                let ready = patience.poll_gone(cx);
                gone |= ready.is_ready();
                ready
            },
            async |status, headers: &HeaderMap| {
                let mut headers = headers.clone();
                headers::strip_hop_by_hop(&mut headers);
                Box::pin(out.informational(status, &headers)).await.is_ok()
            },
        ))
        .await;
        // Known now: the request that was just sent counts.
        let reused = conn.is_reused();
        match sent {
            Ok(head) => {
                let body = ResponseBody::new(&head, conn);
                Ok((head, body))
            }
            Err(_) if gone => Err((None, reused)),
            Err(error) => Err((Some(error), reused)),
        }
    }

    async fn connection(
        &self,
        backend: &Backend,
        endpoint: &Endpoint,
        fresh: bool,
        timer: &crate::clock::Timer,
    ) -> Result<Box<Conn<RequestBody>>, SendError> {
        if !fresh {
            let kept = poll_fn(|cx| Poll::Ready(self.pool.take(&endpoint.state, cx))).await;
            if let Some(conn) = kept {
                self.counters().upstream_reuses.inc();
                return Ok(conn);
            }
        }
        let patience = backend.spec.id.settings.connect_timeout;
        let connected = Box::pin(Conn::connect(endpoint.spec.address, timer, patience)).await;
        match connected {
            Ok(conn) => {
                self.counters().upstream_connects.inc();
                Ok(conn)
            }
            Err(error) => {
                self.counters().upstream_connect_failures.inc();
                Err(error)
            }
        }
    }

    /// The upstream's response: hooks, head, body, connection back into the pool.
    async fn reply(
        &self,
        exchange: &mut Exchange,
        route: &LiveRoute,
        lua: Option<&mut Lua>,
        (head, mut body, flight, backend): (ResponseHead, ResponseBody<RequestBody>, &Flight<'_>, &Backend),
        (out, watch, client): (&mut Responder<'_>, &BodyWatch, &ClientWatch),
    ) -> Outcome {
        let length = body.length().map_or(BodyLength::Unknown, BodyLength::Exact);
        let mut headers = head.headers;
        headers::strip_hop_by_hop(&mut headers);
        exchange.response = Some(Response { status: head.status, headers });
        if let Some(lua) = lua
            && let Verdict::Answer(answer) = lua.on_response(exchange)
        {
            return Box::pin(outcome::answer(exchange, out, &answer)).await;
        }
        let Some(response) = &exchange.response else {
            return Box::pin(outcome::refuse(exchange, out, StatusCode::BAD_GATEWAY, "no response")).await;
        };
        let status = response.status;
        out.head(status, &response.headers, length);
        let timer = self.clock.timer();
        let patience = Patience::new((watch, client), (&timer, route.route.settings.read_timeout));
        let streamed = pin!(stream(&mut body, out, patience)).await;
        match streamed {
            Ok(()) => {
                self.pool.give(&flight.0.state, body, backend.spec.id.settings.idle_connections);
                Outcome::Answered(status)
            }
            Err(reason) => {
                let reason = match watch.error() {
                    Some(BodyError::Refused(refusal)) => {
                        self.counters().refused(refusal.reason);
                        refusal.reason
                    }
                    _ => reason,
                };
                exchange.facts.reason = Some(reason.into());
                out.abort();
                Outcome::Cut(status)
            }
        }
    }
}

/// `Host` as the endpoint gets it.
fn upstream_host(
    exchange: &Exchange,
    (backend, endpoint, route): (&Backend, &Endpoint, &LiveRoute),
) -> Bytes {
    if route.route.settings.pass_host && !exchange.request.authority.is_empty() {
        return exchange.request.authority.bytes().clone();
    }
    match &backend.spec.host {
        Some(host) => Bytes::copy_from_slice(host.as_bytes()),
        None => endpoint.spec.address.to_string().into(),
    }
}

/// The response's body, as it comes. Head and first piece leave together if the piece is there already.
async fn stream(
    body: &mut ResponseBody<RequestBody>,
    out: &mut Responder<'_>,
    mut patience: Patience<'_>,
) -> Result<(), &'static str> {
    let mut trailers: Option<HeaderMap> = None;
    while !body.is_finished() {
        let ready = poll_fn(|cx| Poll::Ready(body.poll_frame(cx))).await;
        let frame = match ready {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                write(out.flush(), body).await?;
                next(body, &mut patience).await?
            }
        };
        match frame {
            None => break,
            Some(Err(_error)) => return Err("upstream closed"),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => write(out.data(data), body).await?,
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
        }
    }
    write(out.finish(trailers.as_ref()), body).await
}

/// Waits for the next piece. A client whose own body failed, or who is gone, is not worth the wait.
async fn next(
    body: &mut ResponseBody<RequestBody>,
    patience: &mut Patience<'_>,
) -> Result<Option<Result<Frame<Bytes>, SendError>>, &'static str> {
    patience.timer.set(patience.time);
    let frame = poll_fn(|cx| {
        if let Poll::Ready(frame) = body.poll_frame(cx) {
            return Poll::Ready(Ok(frame));
        }
        if patience.watch.is_failed() || patience.poll_gone(cx).is_ready() {
            return Poll::Ready(Err("client gone"));
        }
        patience.timer.poll_elapsed(cx).map(|()| Err("read timeout"))
    })
    .await;
    patience.timer.clear();
    frame
}

/// Carries out `writing` to the client. Meanwhile the request's body flows on: an endpoint that answers while it
/// reads must not wait for a client that reads only after it has sent all.
async fn write(
    writing: impl Future<Output = io::Result<()>>,
    body: &mut ResponseBody<RequestBody>,
) -> Result<(), &'static str> {
    let mut writing = pin!(writing);
    poll_fn(|cx| {
        let polled = writing.as_mut().poll(cx);
        if polled.is_pending() {
            body.poll_drive(cx);
        }
        polled
    })
    .await
    .map_err(|_gone| "client gone")
}
