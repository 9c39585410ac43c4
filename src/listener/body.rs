//! A request's body as a stream: read from the client's connection as fast as the upstream takes it, never more.

use super::wire::Wire;
use crate::clock::Timer;
use crate::http1::{BodyDecoder, BodyFraming, Decoded, Refusal};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A request's body. Whoever holds it may drop it at any time; the connection sees how far it was read.
#[derive(Debug, Default)]
pub struct RequestBody(Option<Rc<Upload>>);

/// Why a body could not be read to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BodyError {
    /// It broke the rules, was too large (413) or too slow (408): the client is at fault and gets this status.
    #[error("{}", .0.reason)]
    Refused(Refusal),
    /// The client is gone.
    #[error("client closed the connection in the midst of its request body")]
    Gone,
}

/// The state of a body, shared with the connection's task.
#[derive(Debug)]
pub(super) struct Upload {
    wire: Rc<Wire>,
    decoder: RefCell<BodyDecoder>,
    /// What framing announced, for the upstream's framing.
    framing: BodyFraming,
    timer: Timer,
    patience: Duration,
    limit: Cell<u64>,
    received: Cell<u64>,
    finished: Cell<bool>,
    /// The client waits for a 100 before it sends anything.
    held: Cell<bool>,
    failed: RefCell<Option<BodyError>>,
}

const TOO_LARGE: Refusal = Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, reason: "body-too-large" };
const TOO_SLOW: Refusal = Refusal { status: StatusCode::REQUEST_TIMEOUT, reason: "body-timeout" };

impl RequestBody {
    /// The body of a request with `framing`; none where the request has none. `held` says that the client waits
    /// for a 100.
    pub(super) fn new(
        wire: &Rc<Wire>,
        (framing, held): (BodyFraming, bool),
        (timer, patience): (Timer, Duration),
    ) -> Self {
        if matches!(framing, BodyFraming::None | BodyFraming::Length(0)) {
            return Self(None);
        }
        Self(Some(Rc::new(Upload {
            wire: wire.clone(),
            decoder: RefCell::new(BodyDecoder::new(framing)),
            framing,
            timer,
            patience,
            limit: Cell::new(u64::MAX),
            received: Cell::new(0),
            finished: Cell::new(false),
            held: Cell::new(held),
            failed: RefCell::new(None),
        })))
    }

    /// No body.
    pub const fn empty() -> Self {
        Self(None)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The other end of it.
    pub fn watch(&self) -> BodyWatch {
        BodyWatch(self.0.clone())
    }

    /// From now on the body may have at most `limit` bytes.
    pub fn limit(&self, limit: u64) -> Result<(), Refusal> {
        let Some(upload) = &self.0 else { return Ok(()) };
        upload.limit.set(limit);
        match upload.framing {
            BodyFraming::Length(length) if length > limit => {
                *upload.failed.borrow_mut() = Some(BodyError::Refused(TOO_LARGE));
                Err(TOO_LARGE)
            }
            BodyFraming::None | BodyFraming::Length(_) | BodyFraming::Chunked => Ok(()),
        }
    }
}

/// How a body is getting on, for the task that gave it away.
#[derive(Clone, Debug, Default)]
pub struct BodyWatch(Option<Rc<Upload>>);

impl BodyWatch {
    /// Whether all of it was read.
    pub fn is_finished(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| upload.finished.get())
    }

    /// Whether any of it was read.
    pub fn is_started(&self) -> bool {
        self.0.as_ref().is_some_and(|upload| upload.received.get() > 0 || upload.finished.get())
    }

    /// Bytes so far.
    pub fn received(&self) -> u64 {
        self.0.as_ref().map_or(0, |upload| upload.received.get())
    }

    /// Whether it is the client that is waited for.
    pub fn is_waiting(&self) -> bool {
        self.0.as_ref().is_some_and(|upload| upload.timer.is_set())
    }

    /// Whether it went wrong, on the client's side.
    pub fn is_failed(&self) -> bool {
        self.0.as_ref().is_some_and(|upload| upload.failed.borrow().is_some())
    }

    /// What went wrong with it, on the client's side.
    pub fn error(&self) -> Option<BodyError> {
        self.0.as_ref().and_then(|upload| upload.failed.borrow().clone())
    }

    /// The same body again, if nothing of it has been read: for a retry.
    pub fn again(&self) -> Option<RequestBody> {
        match &self.0 {
            None => Some(RequestBody(None)),
            Some(upload) if !self.is_started() && upload.failed.borrow().is_none() => {
                Some(RequestBody(Some(upload.clone())))
            }
            Some(_) => None,
        }
    }

    /// The client was told to go on.
    pub(super) fn release(&self) {
        if let Some(upload) = &self.0 {
            upload.held.set(false);
        }
    }

    /// Whether the connection may serve on behind this body: it is over, or its rest is known to come, and not to
    /// have more than `most` bytes.
    pub(super) fn is_discardable(&self, most: u64) -> bool {
        let Some(upload) = &self.0 else { return true };
        let is_small = || upload.decoder.borrow().remaining_hint().is_none_or(|left| left <= most);
        upload.finished.get() || (!upload.held.get() && !self.is_failed() && is_small())
    }

    /// Reads the rest and throws it away, up to `most` bytes: true if the body's end was reached.
    pub async fn discard(&self, most: u64) -> bool {
        let Some(upload) = &self.0 else { return true };
        let end = upload.received.get().saturating_add(most);
        while !upload.finished.get() && upload.received.get() < end {
            match std::future::poll_fn(|cx| upload.poll_next(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => return true,
            }
        }
        upload.finished.get()
    }
}

impl Upload {
    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = &*self.failed.borrow() {
            return Poll::Ready(Some(Err(error.clone())));
        }
        if self.finished.get() {
            return Poll::Ready(None);
        }
        let result = ready!(self.poll_frame(cx));
        if let Some(Err(error)) = &result {
            *self.failed.borrow_mut() = Some(error.clone());
        }
        self.timer.clear();
        Poll::Ready(result)
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let decoded = self.decoder.borrow_mut().decode(&mut self.wire.buffer.borrow_mut());
            match decoded {
                Err(refusal) => return Poll::Ready(Some(Err(BodyError::Refused(refusal)))),
                Ok(Decoded::Data(data)) => {
                    self.held.set(false);
                    self.received.set(self.received.get() + data.len() as u64);
                    if self.received.get() > self.limit.get() {
                        return Poll::Ready(Some(Err(BodyError::Refused(TOO_LARGE))));
                    }
                    self.finished.set(self.decoder.borrow().is_finished());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Decoded::End(trailers)) => {
                    self.finished.set(true);
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(*trailers))));
                }
                Ok(Decoded::NeedMore) => {}
            }
            match self.wire.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => self.timer.clear(),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Some(Err(BodyError::Gone))),
                // The client waits, for as long as the endpoint may take.
                Poll::Pending if self.held.get() => return Poll::Pending,
                Poll::Pending => {
                    if !self.timer.is_set() {
                        self.timer.set(self.patience);
                    }
                    ready!(self.timer.poll_elapsed(cx));
                    return Poll::Ready(Some(Err(BodyError::Refused(TOO_SLOW))));
                }
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &self.0 {
            None => Poll::Ready(None),
            Some(upload) => upload.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| upload.finished.get())
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_ref().map(|upload| upload.framing) {
            None | Some(BodyFraming::None) => SizeHint::with_exact(0),
            Some(BodyFraming::Length(length)) => SizeHint::with_exact(length),
            Some(BodyFraming::Chunked) => SizeHint::default(),
        }
    }
}
