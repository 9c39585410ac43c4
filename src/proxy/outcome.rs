//! How a request ended, and our own answers.

use crate::exchange::{Answer, Exchange};
use crate::listener::Responder;
use http::StatusCode;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A whole response was written.
    Answered(StatusCode),
    /// A response was begun and cut: its status went out, its end did not.
    Cut(StatusCode),
    /// The client went before it got an answer.
    ClientGone,
}

/// What nginx made the usual word for a client that did not wait.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Outcome {
    /// For log and metrics.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Answered(status) | Self::Cut(status) => status.as_u16(),
            Self::ClientGone => CLIENT_CLOSED_REQUEST,
        }
    }

    /// Whether the connection is in order afterwards.
    pub(super) const fn is_whole(self) -> bool {
        matches!(self, Self::Answered(_))
    }
}

/// Sends an answer that is not the upstream's.
pub(super) async fn answer(exchange: &mut Exchange, out: &mut Responder<'_>, answer: &Answer) -> Outcome {
    exchange.facts.reason = Some(answer.reason.clone());
    match out.full(answer.status, &answer.headers, &answer.body).await {
        Ok(()) => Outcome::Answered(answer.status),
        Err(_gone) => Outcome::ClientGone,
    }
}

/// Sends one of the core's own errors, in the one shape.
pub(super) async fn refuse(
    exchange: &mut Exchange,
    out: &mut Responder<'_>,
    status: StatusCode,
    reason: &str,
) -> Outcome {
    answer(exchange, out, &Answer::error(status, reason)).await
}
