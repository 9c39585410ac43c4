//! Connections and pools against endpoints that are real sockets on loopback.

mod exchange;
mod faults;
mod pooling;

use super::{Conn, Outgoing, Pool, PoolLimits, ResponseBody, SendError};
use crate::clock::Clock;
use crate::ground::path::{PathOptions, Target};
use crate::http1::ResponseHead;
use crate::snapshot::EndpointState;
use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const PATIENCE: Duration = Duration::from_secs(5);

/// What a request's body does next.
type Step = Result<Frame<Bytes>, &'static str>;

/// A request's body that comes when the test says so.
struct Script {
    steps: UnboundedReceiver<Step>,
    length: Option<u64>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Step>> {
        self.steps.poll_recv(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or(SizeHint::default(), SizeHint::with_exact)
    }
}

fn script(length: Option<u64>) -> (UnboundedSender<Step>, Script) {
    let (sender, steps) = unbounded_channel();
    (sender, Script { steps, length })
}

fn nothing() -> Script {
    script(Some(0)).1
}

/// A body whose every piece is there.
fn whole(length: Option<u64>, pieces: &[Bytes]) -> Script {
    let (sender, body) = script(length);
    for piece in pieces {
        sender.send(Ok(Frame::data(piece.clone()))).unwrap();
    }
    body
}

/// One client and the endpoints that it talks to.
struct Bench {
    clock: Clock,
    /// The statuses of informational responses.
    interim: RefCell<Vec<u16>>,
}

/// Runs a test on a runtime of its own. A test that hangs has failed.
fn run<F: Future<Output = ()>>(test: impl FnOnce(Rc<Bench>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = Rc::new(Bench { clock: Clock::new(SystemTime::UNIX_EPOCH), interim: RefCell::default() });
    let test = async { tokio::time::timeout(Duration::from_secs(20), test(bench)).await };
    tokio::task::LocalSet::new().block_on(&runtime, test).expect("the test hangs");
}

impl Bench {
    /// A connection and its other end.
    async fn pair(&self) -> (Box<Conn<Script>>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (conn, accepted) = tokio::join!(self.connect(address), listener.accept());
        (conn.unwrap(), accepted.unwrap().0)
    }

    async fn connect(&self, address: SocketAddr) -> Result<Box<Conn<Script>>, SendError> {
        Conn::connect(address, &self.clock.timer(), PATIENCE).await
    }

    async fn send(
        &self,
        conn: &mut Box<Conn<Script>>,
        method: &Method,
        body: Script,
    ) -> Result<ResponseHead, SendError> {
        let target = Target::parse(&Bytes::from_static(b"/"), PathOptions::default()).unwrap();
        let request = Outgoing { method, target: &target, host: b"h", headers: &HeaderMap::new() };
        let timer = self.clock.timer();
        let interim = async |status: http::StatusCode, _: &HeaderMap| {
            self.interim.borrow_mut().push(status.as_u16());
            true
        };
        conn.send(request, body, (&timer, PATIENCE), |_| Poll::Pending, interim).await
    }

    async fn get(&self, conn: &mut Box<Conn<Script>>) -> Result<ResponseHead, SendError> {
        self.send(conn, &Method::GET, nothing()).await
    }

    /// GET, and everything up to the response's end, while the endpoint says `raw` and hangs up if `close`.
    async fn ask(&self, raw: &[u8], close: bool) -> Result<(Vec<u8>, ResponseBody<Script>), SendError> {
        let (mut conn, mut endpoint) = self.pair().await;
        let (head, ()) = tokio::join!(self.get(&mut conn), async {
            answer(&mut endpoint, raw).await;
            if close {
                endpoint.shutdown().await.unwrap();
            }
        });
        let mut body = ResponseBody::new(&head?, conn);
        Ok((read(&mut body).await?.0, body))
    }

    fn pool(&self) -> Pool<Script> {
        Pool::new(self.clock.clone(), PoolLimits { idle_timeout: Duration::from_secs(90) })
    }

    /// Lets so much time pass.
    fn pass(&self, time: Duration) {
        self.clock.advance(crate::clock::ticks(time), SystemTime::UNIX_EPOCH);
    }
}

/// Reads a request without a body and says `raw`.
async fn answer(endpoint: &mut TcpStream, raw: &[u8]) {
    hear(endpoint, b"\r\n\r\n").await;
    endpoint.write_all(raw).await.unwrap();
}

/// Everything up to `end`.
async fn hear(endpoint: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        assert_ne!(endpoint.read_buf(&mut heard).await.unwrap(), 0, "{}", heard.escape_ascii());
    }
    heard
}

/// A whole response body and its trailers.
async fn read(body: &mut ResponseBody<Script>) -> Result<(Vec<u8>, Option<HeaderMap>), SendError> {
    let (mut data, mut trailers) = (Vec::new(), None);
    while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
        match frame?.into_data() {
            Ok(piece) => data.extend_from_slice(&piece),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    assert!(body.is_finished());
    Ok((data, trailers))
}

fn endpoint(id: u64) -> Arc<EndpointState> {
    Arc::new(EndpointState::new(id, SocketAddr::from(([127, 0, 0, 1], 1))))
}
