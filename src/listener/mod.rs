//! Where clients come in: sockets, connections, the HTTP/1 driver. What happens to a request is the [`Handler`]'s
//! business; `proxy` is the one that the app hands in.

mod bind;
mod body;
mod conn;
mod respond;
mod wire;

pub use bind::{bind, bind_again, raise_descriptor_limit};
pub use body::{BodyError, BodyWatch, RequestBody};
pub use conn::ClientWatch;
pub use respond::{BodyLength, Responder};

use crate::clock::Clock;
use crate::http1::{HeadLimits, HeadOptions, Refusal, RequestHead};
use crate::model::settings::{EntryPoint, Limits};
use crate::telemetry::metrics::{Connections, Metrics};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What is done with requests.
pub trait Handler: 'static {
    /// What is worked out once per connection.
    type Guest: 'static;

    /// A connection came.
    fn greet(&self, facts: &Facts) -> Self::Guest;

    /// Answers one request through `out`. False if the connection must be cut (the answer could not be finished).
    fn handle(
        &self,
        request: Incoming<'_, Self::Guest>,
        out: &mut Responder<'_>,
        client: ClientWatch,
    ) -> impl Future<Output = bool>;

    /// A request was refused before it was understood: to be logged and counted.
    fn refused(&self, facts: &Facts, refusal: Refusal, bytes_out: u64);
}

/// A request as it came.
#[derive(Debug)]
pub struct Incoming<'a, G> {
    /// Its head.
    pub head: RequestHead,
    /// Its body.
    pub body: RequestBody,
    /// Its connection.
    pub facts: &'a Facts,
    /// What [`Handler::greet`] made of the connection.
    pub guest: &'a G,
}

/// What is known of a connection.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The peer.
    pub peer: SocketAddr,
    /// The peer's address, v4 where it is v4-mapped.
    pub peer_ip: IpAddr,
    /// Where the entrypoint listens.
    pub local: SocketAddr,
    /// Index of the entrypoint.
    pub entrypoint: u8,
}

/// What all connections of one worker share.
pub struct Site<H> {
    handler: H,
    clock: Clock,
    limits: Limits,
    options: Box<[HeadOptions]>,
    open: Cell<usize>,
    freed: Notify,
    metrics: Arc<Metrics>,
    worker: usize,
}

impl<H> std::fmt::Debug for Site<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("open", &self.open).finish_non_exhaustive()
    }
}

impl<H: Handler> Site<H> {
    /// For one worker.
    pub fn new(
        handler: H,
        clock: Clock,
        limits: &Limits,
        entrypoints: &[EntryPoint],
        (metrics, worker): (Arc<Metrics>, usize),
    ) -> Rc<Self> {
        let options = entrypoints.iter().map(|entrypoint| head_options(limits, entrypoint)).collect();
        Rc::new(Self {
            handler,
            clock,
            limits: limits.clone(),
            options,
            open: Cell::new(0),
            freed: Notify::new(),
            metrics,
            worker,
        })
    }

    fn connections(&self) -> &Connections {
        &self.metrics.worker(self.worker).connections
    }

    fn options(&self, entrypoint: u8) -> HeadOptions {
        self.options.get(usize::from(entrypoint)).copied().unwrap_or_default()
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }
}

fn head_options(limits: &Limits, entrypoint: &EntryPoint) -> HeadOptions {
    HeadOptions {
        limits: HeadLimits { size: limits.head_size, fields: limits.head_fields, target: limits.target_size },
        path: crate::ground::path::PathOptions {
            merge_slashes: entrypoint.merge_slashes,
            refuse_encoded_slashes: entrypoint.refuse_encoded_slashes,
        },
        allow_underscores: entrypoint.allow_underscores,
    }
}

/// Counts a connection while it lives.
struct Guest<H: Handler> {
    site: Rc<Site<H>>,
    entrypoint: u8,
}

impl<H: Handler> Drop for Guest<H> {
    fn drop(&mut self) {
        self.site.open.set(self.site.open.get() - 1);
        self.site.connections().closed(self.entrypoint);
        self.site.freed.notify_one();
    }
}

/// Accepts connections of one entrypoint on the calling worker until it drains.
pub async fn accept<H: Handler>(listener: TcpListener, entrypoint: u8, site: Rc<Site<H>>) {
    let Ok(local) = listener.local_addr() else { return };
    let timer = site.clock.timer();
    loop {
        while site.open.get() >= site.limits.connections && !site.clock.is_draining() {
            // Full: the backlog waits. `freed` may have been missed, so look again after a while.
            timer.set(Duration::from_millis(500));
            timer.bound(site.freed.notified()).await;
        }
        let accepted = std::future::poll_fn(|cx| {
            if let std::task::Poll::Ready(result) = listener.poll_accept(cx) {
                return std::task::Poll::Ready(Some(result));
            }
            let _parked = timer.poll_elapsed(cx);
            if site.clock.is_draining() { std::task::Poll::Ready(None) } else { std::task::Poll::Pending }
        });
        timer.clear();
        match accepted.await {
            None => return,
            Some(Ok((stream, peer))) => admit(stream, (peer, local), entrypoint, &site),
            // Gone before it was taken: nothing is wrong with the next one.
            Some(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Some(Err(error)) => {
                // Out of descriptors or memory: give the rest of the worker a chance to free some.
                tracing::warn!(%error, "accept failed");
                timer.set(Duration::from_millis(100));
                timer.bound(std::future::pending::<()>()).await;
            }
        }
    }
}

fn admit<H: Handler>(
    stream: tokio::net::TcpStream,
    (peer, local): (SocketAddr, SocketAddr),
    entrypoint: u8,
    site: &Rc<Site<H>>,
) {
    let facts = Facts { peer, peer_ip: crate::ground::net::canonical(peer.ip()), local, entrypoint };
    site.open.set(site.open.get() + 1);
    site.connections().opened(entrypoint);
    let guest = Guest { site: site.clone(), entrypoint };
    let site = site.clone();
    tokio::task::spawn_local(async move {
        conn::serve(stream, facts, site).await;
        drop(guest);
    });
}
