//! The read half of a client's connection, shared by the connection's task and the body of the request that it is
//! serving. Between requests it holds no buffer.

use bytes::BytesMut;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

/// What a connection reads at once while heads are expected, and the size of pooled buffers.
const SMALL: usize = 16 << 10;
/// What it reads at once in the midst of a large body.
const LARGE: usize = 128 << 10;
/// Buffers kept for the next request by one worker.
const POOLED: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, recycled where possible.
pub(super) fn take_buffer() -> BytesMut {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(SMALL))
}

/// Gives a buffer back, if nobody holds a slice of it any more and it is of the usual size.
pub(super) fn give_buffer(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.try_reclaim(SMALL) && buffer.capacity() <= 2 * SMALL {
        POOL.with_borrow_mut(|pool| {
            if pool.len() < POOLED {
                pool.push(buffer);
            }
        });
    }
}

/// The read half.
pub(super) struct Wire {
    half: RefCell<OwnedReadHalf>,
    /// What was read and not yet parsed.
    pub(super) buffer: RefCell<BytesMut>,
    /// The client sends nothing more (it may still listen).
    ended: Cell<bool>,
    /// How much the next read may take.
    appetite: Cell<usize>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(half: OwnedReadHalf) -> Rc<Self> {
        Rc::new(Self {
            half: RefCell::new(half),
            buffer: RefCell::default(),
            ended: Cell::new(false),
            appetite: Cell::new(SMALL),
        })
    }

    /// Reads more into the buffer: the number of bytes, 0 at the end. Partial reads tell tokio that the socket is
    /// drained, so the next wait costs no system call.
    pub(super) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended.get() {
            return Poll::Ready(Ok(0));
        }
        let mut half = self.half.borrow_mut();
        let mut buffer = self.buffer.borrow_mut();
        if buffer.capacity() == 0 {
            // Wait without a buffer: an idle connection costs none.
            ready!(half.as_ref().poll_read_ready(cx))?;
            *buffer = take_buffer();
        }
        let appetite = self.appetite.get();
        if buffer.capacity() - buffer.len() < appetite / 4 {
            buffer.reserve(appetite);
        }
        let before = buffer.len();
        let room = buffer.capacity() - before;
        let read = ready!(read_into(&mut half, &mut buffer, cx))?;
        if read == 0 {
            self.ended.set(true);
        } else if read == room {
            self.appetite.set(LARGE);
        }
        Poll::Ready(Ok(read))
    }

    /// Hands the buffer back to the pool if it is empty.
    pub(super) fn rest(&self) {
        self.appetite.set(SMALL);
        if self.buffer.borrow().is_empty() {
            give_buffer(self.buffer.take());
        }
    }

    /// Ready with an error when the client is gone for good (a reset), pending otherwise: to be polled beside a
    /// wait for the upstream. A half-closed client still listens, and a pipelined request is left where it is.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.ended.get() || !self.buffer.borrow().is_empty() {
            return Poll::Pending;
        }
        let mut half = self.half.borrow_mut();
        match half.as_ref().poll_read_ready(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(error),
            Poll::Ready(Ok(())) => {}
        }
        let mut buffer = self.buffer.borrow_mut();
        *buffer = take_buffer();
        match read_into(&mut half, &mut buffer, cx) {
            Poll::Ready(Ok(0)) => {
                self.ended.set(true);
                Poll::Pending
            }
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(error),
        }
    }

    /// Whether the client has sent all it will ever send.
    pub(super) fn is_ended(&self) -> bool {
        self.ended.get()
    }
}

/// One read into the buffer's spare room.
fn read_into(
    half: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    pin!(half.read_buf(buffer)).poll(cx)
}
