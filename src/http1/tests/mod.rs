mod accepted;
mod bodies;
mod refused;
mod responses;
#[path = "../../../tests/cases/smuggling.rs"]
mod smuggling;
mod writing;

use super::{BodyDecoder, Decoded, HeadOptions, RequestHead, parse_request};
use bytes::BytesMut;
use http::HeaderMap;

/// What a connection understood.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    messages: Vec<Message>,
    /// Why it stopped, if it was not only short of bytes.
    refused: Option<(u16, &'static str)>,
}

/// One request.
#[derive(Debug, Default, PartialEq)]
struct Message {
    /// The head, as `Debug` shows it.
    head: String,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    whole: bool,
}

/// Feeds `raw` in pieces of `piece` bytes to a connection's codec.
fn hear(raw: &[u8], piece: usize) -> Heard {
    let mut heard = Heard::default();
    let mut buf = BytesMut::new();
    let mut decoder: Option<BodyDecoder> = None;
    for piece in raw.chunks(piece) {
        buf.extend_from_slice(piece);
        if let Err(refusal) = listen(&mut buf, &mut decoder, &mut heard) {
            heard.refused = Some((refusal.status.as_u16(), refusal.reason));
            break;
        }
    }
    heard
}

fn listen(
    buf: &mut BytesMut,
    decoder: &mut Option<BodyDecoder>,
    heard: &mut Heard,
) -> Result<(), super::Refusal> {
    loop {
        let Some(body) = decoder else {
            let Some(head) = parse_request(buf, &HeadOptions::default())? else { return Ok(()) };
            *decoder = Some(BodyDecoder::new(head.framing));
            heard.messages.push(Message { head: format!("{head:?}"), ..Message::default() });
            continue;
        };
        let Some(message) = heard.messages.last_mut() else { return Ok(()) };
        match body.decode(buf)? {
            Decoded::Data(data) => message.body.extend_from_slice(&data),
            Decoded::NeedMore => return Ok(()),
            Decoded::End(trailers) => {
                assert!(body.is_finished());
                message.trailers = trailers.map(|trailers| *trailers);
                message.whole = true;
                *decoder = None;
            }
        }
    }
}

/// The head of a request that must be good.
fn head(raw: &str) -> RequestHead {
    head_with(raw, &HeadOptions::default())
}

fn head_with(raw: &str, options: &HeadOptions) -> RequestHead {
    let mut buf = BytesMut::from(raw.as_bytes());
    parse_request(&mut buf, options).unwrap_or_else(|e| panic!("{raw:?}: {e:?}")).unwrap()
}
