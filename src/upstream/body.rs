//! A response's body, and the connection on which it comes.

use super::conn::Conn;
use super::error::SendError;
use crate::http1::{BodyDecoder, BodyFraming, Decoded, ResponseEnd, ResponseHead};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

/// A response's body together with the connection that it comes from.
pub struct ResponseBody<B> {
    conn: Box<Conn<B>>,
    /// None where the body ends with the connection.
    decoder: Option<BodyDecoder>,
    finished: bool,
    keep_alive: bool,
    length: Option<u64>,
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("conn", &self.conn)
            .field("decoder", &self.decoder)
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}

impl<B: Body<Data = Bytes> + Unpin> ResponseBody<B> {
    /// The body behind `head`, which `conn` has just given.
    pub fn new(head: &ResponseHead, conn: Box<Conn<B>>) -> Self {
        let (decoder, length) = match head.framing {
            ResponseEnd::Close => (None, None),
            ResponseEnd::Framed(framing) => {
                let length = match framing {
                    BodyFraming::Chunked => None,
                    BodyFraming::None | BodyFraming::Length(_) => head.length,
                };
                (Some(BodyDecoder::new(framing)), length)
            }
        };
        let finished = decoder.as_ref().is_some_and(BodyDecoder::is_finished);
        Self { conn, decoder, finished, keep_alive: head.keep_alive, length }
    }

    /// The announced length, if it was.
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether all of it was read.
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the request's body is still on its way.
    pub fn is_uploading(&self) -> bool {
        !self.conn.upload.is_over()
    }

    /// The next piece; none at the end. What is left of the request's body goes on beside it.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        self.poll_drive(cx);
        while !self.finished {
            match self.decode() {
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if self.finished => break,
                Ok(None) => {}
            }
            match ready!(self.conn.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(_) if self.decoder.is_none() => self.finished = true,
                Ok(_) => {
                    return Poll::Ready(Some(Err(SendError::Cut(io::ErrorKind::UnexpectedEof.into()))));
                }
                Err(error) => return Poll::Ready(Some(Err(SendError::Cut(error)))),
            }
        }
        Poll::Ready(None)
    }

    /// The next piece of what was read.
    fn decode(&mut self) -> Result<Option<Frame<Bytes>>, SendError> {
        let Some(decoder) = &mut self.decoder else {
            let data = self.conn.input.split().freeze();
            return Ok((!data.is_empty()).then(|| Frame::data(data)));
        };
        let decoded = decoder.decode(&mut self.conn.input);
        self.finished = decoder.is_finished();
        match decoded {
            Err(refusal) => Err(SendError::BadResponse(refusal.reason)),
            Ok(Decoded::Data(data)) => Ok(Some(Frame::data(data))),
            Ok(Decoded::End(trailers)) => Ok(trailers.map(|trailers| Frame::trailers(*trailers))),
            Ok(Decoded::NeedMore) => Ok(None),
        }
    }

    /// Lets what is left of the request's body go on. Its errors are not the response's: an endpoint may answer
    /// before it has read everything.
    pub fn poll_drive(&mut self, cx: &mut Context<'_>) {
        if self.conn.poll_upload(cx).is_err() {
            self.conn.upload.abandon();
        }
    }

    /// The connection, if it can serve another request.
    pub(super) fn into_idle(self) -> Option<Box<Conn<B>>> {
        let mut conn = self.conn;
        (self.finished && self.keep_alive && conn.rest()).then_some(conn)
    }
}
