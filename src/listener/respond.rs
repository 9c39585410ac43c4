//! The answering half of a client's connection: one response after another, each written with as few system calls
//! as its body allows (head and first data leave together).

use super::body::BodyWatch;
use crate::clock::Clock;
use crate::http1::{
    CHUNK_END, ResponseFraming, write_chunk_head, write_informational, write_last_chunk, write_response_head,
};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Version};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::ready;
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

/// Bodies up to this size are copied behind their head: one buffer, one write.
const COPY: usize = 4 << 10;
/// How much of an unread request body is read and thrown away to keep a connection alive.
pub(super) const DISCARD: u64 = 256 << 10;

/// Answers one request.
#[derive(Debug)]
pub struct Responder<'a> {
    half: &'a mut OwnedWriteHalf,
    /// What is composed and not yet written.
    out: &'a mut BytesMut,
    timer: &'a crate::clock::Timer,
    patience: Duration,
    method: Method,
    version: Version,
    /// The request's body: what is left of it decides whether the connection can serve on.
    body: BodyWatch,
    keep_alive: bool,
    state: State,
    framing: ResponseFraming,
    bytes_out: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No head yet.
    Fresh,
    /// The head is composed.
    Headed,
    /// All is written.
    Done,
    /// The connection can't be used any more.
    Broken,
}

/// What a body's length is known to be when its head is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// Exactly this.
    Exact(u64),
    /// Not known: chunked, or until the connection closes.
    Unknown,
}

impl<'a> Responder<'a> {
    pub(super) fn new(
        (half, out): (&'a mut OwnedWriteHalf, &'a mut BytesMut),
        (timer, patience): (&'a crate::clock::Timer, Duration),
        (method, version): (Method, Version),
        (body, keep_alive): (BodyWatch, bool),
    ) -> Self {
        Self {
            half,
            out,
            timer,
            patience,
            method,
            version,
            body,
            keep_alive,
            state: State::Fresh,
            framing: ResponseFraming::UntilClose,
            bytes_out: 0,
        }
    }

    /// Whether a head was already given: then it is too late for another answer.
    pub fn is_headed(&self) -> bool {
        self.state != State::Fresh
    }

    /// Whether the whole response was written.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the connection may serve another request after this.
    pub fn keeps_alive(&self) -> bool {
        self.keep_alive && self.state == State::Done
    }

    /// Body bytes written.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    /// The connection closes after this response.
    pub fn close(&mut self) {
        self.keep_alive = false;
    }

    /// Sends a 1xx; HTTP/1.0 clients are spared it.
    pub async fn informational(&mut self, status: StatusCode, headers: &HeaderMap) -> io::Result<()> {
        if self.version == Version::HTTP_10 || self.is_headed() {
            return Ok(());
        }
        if status == StatusCode::CONTINUE {
            self.body.release();
        }
        write_informational(self.out, status, headers);
        self.flush().await
    }

    /// Composes the head; it leaves with the first data, or with [`Responder::flush`].
    pub fn head(&mut self, status: StatusCode, headers: &HeaderMap, length: BodyLength) {
        let length = match length {
            BodyLength::Exact(length) => Some(length),
            BodyLength::Unknown => None,
        };
        let (framing, must_close) = ResponseFraming::choose(&self.method, status, length, self.version);
        self.keep_alive &= !must_close && !self.clock().is_draining() && self.body.is_discardable(DISCARD);
        let date = self.clock().date();
        write_response_head(self.out, self.version, status, headers, framing, self.keep_alive, &date);
        self.framing = framing;
        self.state = State::Headed;
    }

    fn clock(&self) -> &Clock {
        self.timer.clock()
    }

    /// Whether the response has a body to write at all (not for HEAD, 204 and 304).
    pub fn has_body(&self) -> bool {
        self.framing.has_body()
    }

    /// Writes a piece of the body, with the head before it if that has not left yet.
    pub async fn data(&mut self, data: Bytes) -> io::Result<()> {
        if !self.has_body() || data.is_empty() {
            return Ok(());
        }
        self.bytes_out += data.len() as u64;
        let chunked = self.framing == ResponseFraming::Chunked;
        if chunked {
            write_chunk_head(self.out, data.len());
        }
        if data.len() <= COPY {
            self.out.extend_from_slice(&data);
            if chunked {
                self.out.extend_from_slice(CHUNK_END);
            }
            return self.flush().await;
        }
        let written = self.write_both(data).await;
        if chunked && written.is_ok() {
            // Leaves with the next piece, or with the end.
            self.out.extend_from_slice(CHUNK_END);
        }
        written
    }

    /// Ends the body and writes what is left.
    pub async fn finish(&mut self, trailers: Option<&HeaderMap>) -> io::Result<()> {
        if self.framing == ResponseFraming::Chunked {
            write_last_chunk(self.out, trailers);
        }
        self.flush().await?;
        self.state = State::Done;
        Ok(())
    }

    /// A whole response at once.
    pub async fn full(&mut self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> io::Result<()> {
        self.head(status, headers, BodyLength::Exact(body.len() as u64));
        if self.has_body() {
            self.bytes_out += body.len() as u64;
            self.out.extend_from_slice(body);
        }
        self.finish(None).await
    }

    /// Writes what is composed.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.write_both(Bytes::new()).await
    }

    /// Gives up: what was promised cannot be kept, the connection is cut so that the client sees it.
    pub fn abort(&mut self) {
        if self.state == State::Headed && self.framing == ResponseFraming::UntilClose {
            // Where the body ends with the connection only a reset tells a cut from its end. If that cannot be
            // had, the socket is broken already.
            let _broken = self.half.as_ref().set_zero_linger();
        }
        self.state = State::Broken;
        self.keep_alive = false;
    }

    /// Writes all of `out` and then `data`, in as few system calls as the socket takes.
    async fn write_both(&mut self, mut data: Bytes) -> io::Result<()> {
        let result = poll_fn(|cx| {
            while !self.out.is_empty() || !data.is_empty() {
                let parts = [IoSlice::new(self.out), IoSlice::new(&data)];
                let half = Pin::new(&mut *self.half);
                let polled = match (self.out.is_empty(), data.is_empty()) {
                    (false, true) => half.poll_write(cx, self.out),
                    (true, _) => half.poll_write(cx, &data),
                    (false, false) => half.poll_write_vectored(cx, &parts),
                };
                if polled.is_pending() {
                    if !self.timer.is_set() {
                        self.timer.set(self.patience);
                    }
                    ready!(self.timer.poll_elapsed(cx));
                    return std::task::Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                let written = ready!(polled)?;
                if written == 0 {
                    return std::task::Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.timer.clear();
                let of_out = written.min(self.out.len());
                self.out.advance(of_out);
                data.advance(written - of_out);
            }
            std::task::Poll::Ready(Ok(()))
        })
        .await;
        self.out.clear();
        if result.is_err() {
            self.abort();
        }
        result
    }
}
