//! One HTTP/1 connection from its first byte to its last.
//!
//! Between requests the task is small and holds no buffer: the state of a request in progress lives in a box that
//! is made when bytes arrive and dropped when the connection falls idle.

use super::body::{BodyWatch, RequestBody};
use super::respond::{DISCARD, Responder};
use super::wire::{Wire, give_buffer, take_buffer};
use super::{Facts, Handler, Incoming, Site};
use crate::exchange::error_page;
use crate::http1::{HeadOptions, HeadReader, Refusal, RequestHead};
use bytes::BytesMut;
use http::{Method, StatusCode, Version};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

/// How long the rest of a request body may take that is read and thrown away to keep a connection alive.
const DISCARD_TIME: Duration = Duration::from_secs(5);
/// How long, and how much, a closing connection listens on so that its last answer is not lost to a reset.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 << 20;

/// How long a drain waits for the first request of a connection.
const LAST_CHANCE: Duration = Duration::from_millis(300);

const HEADER_TIMEOUT: Refusal = Refusal { status: StatusCode::REQUEST_TIMEOUT, reason: "header-timeout" };

/// How long a burst waits for the next request before the connection gives its memory back: to the clock's next tick,
/// at most 50 ms. Making the state anew costs a tenth of a microsecond; a longer doze costs memory where many
/// connections come at once (with 100 ms a fresh idle connection weighed 4.8 KiB instead of 2).
const DOZE: Duration = Duration::ZERO;

/// What a burst of requests ended in.
enum Burst {
    /// The connection is idle and may serve on.
    Idle,
    /// It is to be closed, with a last look at what the client still sends.
    Linger,
    /// It is gone.
    Gone,
}

/// Serves one connection until it closes.
pub(super) async fn serve<H: Handler>(stream: TcpStream, facts: Facts, site: Rc<Site<H>>) {
    let guest = site.handler.greet(&facts);
    let (read, mut write) = stream.into_split();
    let wire = Wire::new(read);
    let timer = site.clock.timer();
    let mut served = false;
    loop {
        timer.set(site.limits.idle_timeout);
        let mut hurried = false;
        let ready = poll_fn(|cx| {
            if let Poll::Ready(result) = wire.poll_fill(cx) {
                return Poll::Ready(matches!(result, Ok(1..)));
            }
            if site.clock.is_draining() {
                if served {
                    return Poll::Ready(false);
                }
                if !hurried {
                    hurried = true;
                    timer.set(LAST_CHANCE);
                }
            }
            // The timer also leaves the waker by which a drain is noticed.
            timer.poll_elapsed(cx).map(|()| false)
        })
        .await;
        if !ready {
            break;
        }
        served = true;
        match Box::pin(burst(&wire, &mut write, (&facts, &guest), &site, &timer)).await {
            Burst::Idle => {}
            Burst::Linger => {
                Box::pin(linger(&wire, &mut write, &timer)).await;
                break;
            }
            Burst::Gone => break,
        }
    }
    // The socket closes with its read half. A shutdown before that would turn a reset into a clean end.
    write.forget();
}

/// Serves requests until none is in the buffer.
async fn burst<H: Handler>(
    wire: &Rc<Wire>,
    write: &mut OwnedWriteHalf,
    (facts, guest): (&Facts, &H::Guest),
    site: &Rc<Site<H>>,
    timer: &crate::clock::Timer,
) -> Burst {
    let mut out = take_buffer();
    let options = site.options(facts.entrypoint);
    timer.set(site.limits.header_timeout);
    let ended = loop {
        let next = pin!(next_head(wire, &options, timer)).await;
        let head = match next {
            Ok(Some(head)) => head,
            Ok(None) => break Burst::Gone,
            Err(refusal) => {
                Box::pin(refuse(write, &mut out, facts, site, timer, refusal)).await;
                break Burst::Linger;
            }
        };
        timer.clear();
        let ended = pin!(exchange(head, wire, (&mut *write, &mut out), (facts, guest), site, timer)).await;
        match ended {
            Burst::Idle if wire.buffer.borrow().is_empty() => {
                // No buffer is held while nothing is asked, not even for the moment of a doze.
                wire.rest();
                give_buffer(std::mem::take(&mut out));
                timer.set(DOZE);
                match timer.bound(poll_fn(|cx| wire.poll_fill(cx))).await {
                    Some(Ok(1..)) => out = take_buffer(),
                    Some(Ok(0) | Err(_)) => break Burst::Gone,
                    None => break Burst::Idle,
                }
            }
            Burst::Idle => {}
            other => break other,
        }
        timer.set(site.limits.header_timeout);
    };
    wire.rest();
    give_buffer(out);
    ended
}

/// The next head; none where the client went without beginning one.
async fn next_head(
    wire: &Wire,
    options: &HeadOptions,
    timer: &crate::clock::Timer,
) -> Result<Option<RequestHead>, Refusal> {
    let mut reader = HeadReader::default();
    loop {
        if let Some(head) = reader.read(&mut wire.buffer.borrow_mut(), options)? {
            return Ok(Some(head));
        }
        match timer.bound(poll_fn(|cx| wire.poll_fill(cx))).await {
            Some(Ok(1..)) => {}
            Some(Ok(0) | Err(_)) => return Ok(None),
            None if wire.buffer.borrow().is_empty() => return Ok(None),
            None => return Err(HEADER_TIMEOUT),
        }
    }
}

/// One request and its response.
async fn exchange<H: Handler>(
    head: RequestHead,
    wire: &Rc<Wire>,
    (write, out): (&mut OwnedWriteHalf, &mut BytesMut),
    (facts, guest): (&Facts, &H::Guest),
    site: &Rc<Site<H>>,
    timer: &crate::clock::Timer,
) -> Burst {
    let client_closes = !head.keep_alive;
    let patience = (site.clock.timer(), site.limits.body_timeout);
    let body = RequestBody::new(wire, (head.framing, head.expect_continue), patience);
    let watch = body.watch();
    let mut responder = Responder::new(
        (write, out),
        (timer, site.limits.body_timeout),
        (head.method.clone(), head.version),
        (body.watch(), head.keep_alive),
    );
    let incoming = Incoming { head, body, facts, guest };
    let finished = pin!(site.handler.handle(incoming, &mut responder, wire_watch(wire))).await;
    if !finished || !responder.is_done() {
        return Burst::Gone;
    }
    if !responder.keeps_alive() {
        // A client that said so itself sends nothing more that could meet a closed socket.
        let quiet = client_closes || wire.is_ended();
        return if quiet && watch.is_finished() && wire.buffer.borrow().is_empty() {
            Burst::Gone
        } else {
            Burst::Linger
        };
    }
    if watch.is_finished() {
        return Burst::Idle;
    }
    timer.set(DISCARD_TIME);
    let discarded = timer.bound(watch.discard(DISCARD)).await;
    if discarded == Some(true) { Burst::Idle } else { Burst::Linger }
}

/// Lets a handler notice that the client is gone while it waits for somebody else.
#[derive(Clone, Debug)]
pub struct ClientWatch(Rc<Wire>);

fn wire_watch(wire: &Rc<Wire>) -> ClientWatch {
    ClientWatch(wire.clone())
}

impl ClientWatch {
    /// Ready when the client reset its connection. Poll it only while no request body is being read.
    pub fn poll_gone(&self, cx: &mut std::task::Context<'_>) -> Poll<io::Error> {
        self.0.poll_gone(cx)
    }
}

/// Answers what could not be understood: the one error shape, logged and counted like any request.
async fn refuse<H: Handler>(
    write: &mut OwnedWriteHalf,
    out: &mut BytesMut,
    facts: &Facts,
    site: &Rc<Site<H>>,
    timer: &crate::clock::Timer,
    refusal: Refusal,
) {
    let (headers, body) = error_page(refusal.status);
    timer.clear();
    let mut responder = Responder::new(
        (write, out),
        (timer, LINGER),
        (Method::GET, Version::HTTP_11),
        (BodyWatch::default(), false),
    );
    let _sent = responder.full(refusal.status, &headers, &body).await;
    let bytes_out = responder.bytes_out();
    site.handler.refused(facts, refusal, bytes_out);
}

/// Closes our half and listens on for a while: closing with unread bytes would make the kernel send a reset, and
/// the client might lose the answer that is still on its way.
async fn linger(wire: &Wire, write: &mut OwnedWriteHalf, timer: &crate::clock::Timer) {
    if write.shutdown().await.is_err() {
        return;
    }
    timer.set(LINGER);
    let mut seen = 0;
    while seen < LINGER_BYTES {
        match timer.bound(poll_fn(|cx| wire.poll_fill(cx))).await {
            Some(Ok(read @ 1..)) => seen += read,
            _ => break,
        }
        wire.buffer.borrow_mut().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::listener::Handler;
    use crate::model::settings::Limits;
    use crate::telemetry::Metrics;
    use std::time::SystemTime;

    struct Nobody;

    impl Handler for Nobody {
        type Guest = [u64; 16];

        fn greet(&self, _facts: &Facts) -> Self::Guest {
            [0; 16]
        }

        async fn handle(
            &self,
            _request: Incoming<'_, Self::Guest>,
            _out: &mut Responder<'_>,
            _client: ClientWatch,
        ) -> bool {
            false
        }

        fn refused(&self, _facts: &Facts, _refusal: Refusal, _bytes_out: u64) {}
    }

    #[test]
    fn an_idle_connection_is_small() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stream = TcpStream::connect(address).await.unwrap();
            let metrics = (Metrics::new(1), 0);
            let clock = Clock::new(SystemTime::UNIX_EPOCH);
            let site = Site::new(Nobody, clock, &Limits::default(), &[], metrics);
            let facts = Facts { peer: address, peer_ip: address.ip(), local: address, entrypoint: 0 };
            let size = size_of_val(&serve(stream, facts, site));
            assert!(size <= 1024, "{size} bytes for each idle connection");
        });
    }
}
