//! One HTTP/1 connection to an endpoint, driven by the very task that waits for the response: a request costs no
//! hop between tasks, no channel and no copy of its header map. `http1` says what the bytes mean.
//!
//! A connection comes back into the pool only through [`ResponseBody`], and only if request and response were both
//! whole; whoever drops anything on the way closes it.
//!
//! [`ResponseBody`]: super::ResponseBody

use super::buffer::{self, SMALL};
use super::error::SendError;
use super::upload::{Stopped, Upload};
use crate::clock::Timer;
use crate::ground::path::Target;
use crate::http1::{HeadLimits, Refusal, ResponseHead, ResponseReader};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body::Body;
use socket2::SockRef;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// 1xx responses before the final one; more is a flood.
const INFORMATIONAL_MOST: u32 = 32;

/// How large a response's head may be.
const LIMITS: HeadLimits = HeadLimits { size: 64 << 10, fields: 256, target: 0 };

/// What is read at once when a read filled its buffer.
const LARGE: usize = 128 << 10;

/// A connection that serves one request at a time.
pub struct Conn<B> {
    stream: TcpStream,
    pub(super) upload: Upload<B>,
    /// What was read and not yet understood; without room while nothing is expected.
    pub(super) input: BytesMut,
    reader: ResponseReader,
    method: Method,
    appetite: usize,
    reused: bool,
    /// A byte of the response was read.
    answered: bool,
    /// Why nothing more can be written. The response may be here all the same.
    write_error: Option<io::Error>,
    /// Set by the pool.
    pub(super) idle_since: u64,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a Target,
    /// `Host`.
    pub host: &'a [u8],
    /// End-to-end fields; host and framing are said anew.
    pub headers: &'a HeaderMap,
}

impl<B> fmt::Debug for Conn<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("stream", &self.stream)
            .field("reused", &self.reused)
            .finish_non_exhaustive()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Conn<B> {
    /// Connects.
    pub async fn connect(
        address: SocketAddr,
        timer: &Timer,
        patience: Duration,
    ) -> Result<Box<Self>, SendError> {
        timer.set(patience);
        let connected = timer.bound(TcpStream::connect(address)).await;
        timer.clear();
        let stream = connected.ok_or(SendError::ConnectTimeout)?.map_err(SendError::Connect)?;
        stream.set_nodelay(true).map_err(SendError::Connect)?;
        // Boxed for good: it goes from hand to hand, and is large.
        Ok(Box::new(Self {
            stream,
            upload: Upload::default(),
            input: BytesMut::new(),
            reader: ResponseReader::default(),
            method: Method::GET,
            appetite: SMALL,
            reused: false,
            answered: false,
            write_error: None,
            idle_since: 0,
        }))
    }

    /// Whether it has served a request before this one: then its closing may be an idle timeout's doing.
    pub const fn is_reused(&self) -> bool {
        self.reused
    }

    /// Whether it is still as it was left, as far as this worker was told: an endpoint that closed it, or that
    /// speaks unasked, ends it. Costs no system call.
    pub(super) fn is_usable(&self, cx: &mut Context<'_>) -> bool {
        self.stream.poll_read_ready(cx).is_pending()
    }

    /// [`Conn::is_usable`], asked of the kernel.
    fn is_silent(&self) -> bool {
        let peeked = SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]);
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a request and waits for the head of its response; `interim` gets every 1xx at once, and says whether
    /// the client is still there. `watch` is polled beside the wait and ends it when ready (the client is gone).
    /// `patience` is how long the endpoint may take at each of its turns; a slow client's body is not its doing.
    ///
    /// A connection serves one request: after an error, or a dropped future, it refuses to send another.
    pub async fn send<W, I>(
        &mut self,
        request: Outgoing<'_>,
        body: B,
        (timer, patience): (&Timer, Duration),
        mut watch: W,
        mut interim: I,
    ) -> Result<ResponseHead, SendError>
    where
        W: FnMut(&mut Context<'_>) -> Poll<()>,
        I: AsyncFnMut(StatusCode, &HeaderMap) -> bool,
    {
        // What could not be sent again is worth a system call.
        let precious = !request.method.is_idempotent() || !body.is_end_stream();
        if !self.upload.is_at_rest() || (self.reused && precious && !self.is_silent()) {
            return Err(SendError::NotSent);
        }
        self.method = request.method.clone();
        self.answered = false;
        self.upload.begin(&request, body);
        timer.set(patience);
        for _ in 0..=INFORMATIONAL_MOST {
            let head = poll_fn(|cx| {
                if let Poll::Ready(head) = self.poll_head(cx) {
                    return Poll::Ready(head);
                }
                if watch(cx).is_ready() {
                    return Poll::Ready(Err(SendError::RequestBody));
                }
                if self.upload.progressed() || self.upload.is_starved() {
                    timer.set(patience);
                }
                timer.poll_elapsed(cx).map(|()| Err(self.late()))
            })
            .await?;
            if !head.status.is_informational() {
                timer.clear();
                return Ok(head);
            }
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(SendError::BadResponse(Refusal::RESPONSE_UPGRADE.reason));
            }
            if !interim(head.status, &head.headers).await {
                return Err(SendError::RequestBody);
            }
            timer.set(patience);
        }
        Err(SendError::BadResponse(Refusal::RESPONSE_INFORMATIONAL_FLOOD.reason))
    }

    /// Writes on, then reads on, until a head is whole.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, SendError>> {
        self.poll_upload(cx)?;
        loop {
            match self.reader.read(&mut self.input, &self.method, &LIMITS) {
                Err(refusal) => return Poll::Ready(Err(SendError::BadResponse(refusal.reason))),
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
            }
            match ready!(self.poll_fill(cx)) {
                // What was said before the request can be no answer to it.
                Ok(1..) if !self.upload.is_touched() => return Poll::Ready(Err(SendError::NotSent)),
                Ok(1..) => self.answered = true,
                Ok(_) => return Poll::Ready(Err(self.broken(io::ErrorKind::UnexpectedEof.into()))),
                Err(error) => return Poll::Ready(Err(self.broken(error))),
            }
        }
    }

    /// The time is over; if nothing can be written any more, that is why.
    fn late(&mut self) -> SendError {
        let broken = self.write_error.take().map(|error| self.broken(error));
        broken.unwrap_or(SendError::Timeout)
    }

    fn broken(&mut self, error: io::Error) -> SendError {
        let error = self.write_error.take().unwrap_or(error);
        match (self.answered, self.upload.is_touched()) {
            (true, _) => SendError::Cut(error),
            (false, true) => SendError::Broken(error),
            (false, false) => SendError::NotSent,
        }
    }

    /// Writes on, as far as possible. That the endpoint takes nothing more is no error yet: it may answer and close
    /// before it has taken the whole request, so what it said is read first.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), SendError> {
        if self.upload.is_over() {
            return Ok(());
        }
        match self.upload.poll(&mut self.stream, cx) {
            Poll::Ready(Err(Stopped::Body)) => Err(SendError::RequestBody),
            Poll::Ready(Err(Stopped::Write(_))) if !self.upload.is_touched() => Err(SendError::NotSent),
            Poll::Ready(Err(Stopped::Write(error))) => {
                self.upload.abandon();
                self.write_error = Some(error);
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Reads more: the number of bytes, 0 at the end. A partial read tells tokio that the socket is drained, so the
    /// next wait costs no system call.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() == 0 {
            // Wait without a buffer.
            ready!(self.stream.poll_read_ready(cx))?;
            self.input = buffer::take();
        }
        if self.input.capacity() - self.input.len() < self.appetite / 4 {
            self.input.reserve(self.appetite);
        }
        let room = self.input.capacity() - self.input.len();
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        if read == room {
            self.appetite = LARGE;
        }
        Poll::Ready(Ok(read))
    }

    /// Makes ready for the next request; false if the last one was not sent whole or more was read than its
    /// response. An idle connection holds no buffers but a small one.
    pub(super) fn rest(&mut self) -> bool {
        if !self.input.is_empty() || !self.upload.rest() {
            return false;
        }
        let input = std::mem::take(&mut self.input);
        if self.appetite == SMALL {
            buffer::give(input);
        }
        self.appetite = SMALL;
        self.reused = true;
        true
    }
}
