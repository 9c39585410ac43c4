//! The way to an endpoint: a request's head and body, composed and written as fast as both sides allow.

use super::conn::Outgoing;
use crate::http1::{BodyFraming, CHUNK_END, write_chunk_head, write_last_chunk, write_request_head};
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

/// Pieces of a body up to this size are copied behind what is to be written before them.
const COPY: usize = 4 << 10;

/// A composed head of this size is not kept for the next request.
const LARGE: usize = 16 << 10;

/// One request on its way, and the buffer in which the next one will be composed.
pub(super) struct Upload<B> {
    /// What is composed and not yet written, and the piece of body that goes behind it.
    composed: BytesMut,
    piece: Bytes,
    /// None once the body's end is composed.
    body: Option<(B, Rest)>,
    state: State,
    /// Bytes were written since the last look.
    progress: bool,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is none.
    Rest,
    /// Not a byte was written.
    Untouched,
    /// Some bytes were.
    Touched,
    /// It will never be whole.
    Abandoned,
}

/// What is still to come of a body.
#[derive(Clone, Copy, Debug)]
enum Rest {
    /// So many bytes.
    Length(u64),
    /// Chunks and an end.
    Chunks,
}

/// Why a request cannot be sent to its end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// Its body failed, or is not as long as it said.
    Body,
    /// The connection takes nothing more.
    Write(io::Error),
}

impl<B> Default for Upload<B> {
    fn default() -> Self {
        let (composed, piece) = (BytesMut::new(), Bytes::new());
        Self { composed, piece, body: None, state: State::Rest, progress: false }
    }
}

impl<B> Upload<B> {
    /// Whether no request was begun since the last [`Upload::rest`].
    pub(super) fn is_at_rest(&self) -> bool {
        self.state == State::Rest
    }

    /// Whether a byte of the request may have reached the endpoint.
    pub(super) fn is_touched(&self) -> bool {
        !matches!(self.state, State::Rest | State::Untouched)
    }

    /// Whether all of it was written.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Touched && self.is_flushed() && self.body.is_none()
    }

    /// Whether there is nothing more to do, for better or worse.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Abandoned || self.is_done()
    }

    /// Whether the endpoint is owed bytes that the client has not sent yet.
    pub(super) fn is_starved(&self) -> bool {
        self.body.is_some() && self.is_flushed()
    }

    /// Whether bytes were written since it was asked last.
    pub(super) fn progressed(&mut self) -> bool {
        std::mem::take(&mut self.progress)
    }

    fn is_flushed(&self) -> bool {
        self.composed.is_empty() && self.piece.is_empty()
    }

    /// Forgets what was not written; the connection is good for this response only.
    pub(super) fn abandon(&mut self) {
        self.state = State::Abandoned;
        self.body = None;
        self.composed.clear();
        self.piece = Bytes::new();
    }

    /// Makes ready for the next request; false if this one was not written to its end.
    pub(super) fn rest(&mut self) -> bool {
        let done = self.is_done();
        if done {
            self.state = State::Rest;
            if self.composed.capacity() > LARGE {
                self.composed = BytesMut::new();
            }
        }
        done
    }
}

impl<B: Body<Data = Bytes> + Unpin> Upload<B> {
    /// Composes the head.
    pub(super) fn begin(&mut self, request: &Outgoing<'_>, body: B) {
        let framing = match (body.is_end_stream(), body.size_hint().exact()) {
            (true, _) => BodyFraming::None,
            (false, Some(length)) => BodyFraming::Length(length),
            (false, None) => BodyFraming::Chunked,
        };
        let Outgoing { method, target, host, headers } = request;
        write_request_head(&mut self.composed, (method, target), host, headers, framing);
        self.body = match framing {
            BodyFraming::None | BodyFraming::Length(0) => None,
            BodyFraming::Length(length) => Some((body, Rest::Length(length))),
            BodyFraming::Chunked => Some((body, Rest::Chunks)),
        };
        self.state = State::Untouched;
    }

    /// Writes what is composed and as much of the body as there is. Ready when there is nothing more to do.
    pub(super) fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        loop {
            if let Some((body, _)) = &mut self.body
                && self.piece.is_empty()
                && self.composed.len() < COPY
            {
                match Pin::new(body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        self.compose(frame)?;
                        continue;
                    }
                    Poll::Ready(Some(Err(_told_elsewhere))) => return Poll::Ready(Err(Stopped::Body)),
                    Poll::Ready(None) => self.end(None)?,
                    Poll::Pending if self.composed.is_empty() => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
            if self.is_flushed() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_write(stream, cx)).map_err(Stopped::Write)?;
        }
    }

    fn compose(&mut self, frame: Frame<Bytes>) -> Result<(), Stopped> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.end(frame.into_trailers().ok().as_ref()),
        };
        let Some((_, rest)) = &mut self.body else { return Ok(()) };
        let size = data.len();
        // A chunk of no bytes would be the last one.
        if size == 0 {
            return Ok(());
        }
        let chunked = match rest {
            Rest::Chunks => true,
            Rest::Length(left) => {
                *left = left.checked_sub(size as u64).ok_or(Stopped::Body)?;
                if *left == 0 {
                    self.body = None;
                }
                false
            }
        };
        if chunked {
            write_chunk_head(&mut self.composed, size);
        }
        if size > COPY {
            self.piece = data;
        } else {
            self.composed.extend_from_slice(&data);
            if chunked {
                self.composed.extend_from_slice(CHUNK_END);
            }
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Stopped> {
        match self.body.take() {
            Some((_, Rest::Length(1..))) => return Err(Stopped::Body),
            Some((_, Rest::Chunks)) => write_last_chunk(&mut self.composed, trailers),
            Some((_, Rest::Length(0))) | None => {}
        }
        Ok(())
    }

    fn poll_write(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = Pin::new(stream);
        let written = match (self.composed.is_empty(), self.piece.is_empty()) {
            (_, true) => ready!(stream.poll_write(cx, &self.composed))?,
            (true, false) => ready!(stream.poll_write(cx, &self.piece))?,
            (false, false) => {
                let parts = [IoSlice::new(&self.composed), IoSlice::new(&self.piece)];
                ready!(stream.poll_write_vectored(cx, &parts))?
            }
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        (self.state, self.progress) = (State::Touched, true);
        let of_composed = written.min(self.composed.len());
        self.composed.advance(of_composed);
        self.piece.advance(written - of_composed);
        if written > of_composed && self.piece.is_empty() {
            // Even an empty slice would keep the client's buffer.
            self.piece = Bytes::new();
            // A chunk's end goes behind its piece, with whatever comes next.
            if matches!(self.body, Some((_, Rest::Chunks))) {
                self.composed.extend_from_slice(CHUNK_END);
            }
        }
        Poll::Ready(Ok(()))
    }
}
