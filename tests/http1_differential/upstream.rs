//! The other half: an upstream's bytes, heard by our codec and by hyper's client.

use crate::generate::Dice;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use moongate::http1::{BodyDecoder, Decoded, HeadLimits, ResponseEnd, ResponseReader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One final response, whole.
#[derive(Debug, PartialEq)]
pub struct Response {
    status: u16,
    version: http::Version,
    /// Sorted; without framing.
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
}

impl Response {
    /// Whether both mean the same. Of trailers we drop what may not be one.
    pub fn agrees_with(&self, hypers: &Self) -> bool {
        self.trailers.iter().all(|trailer| hypers.trailers.contains(trailer))
            && self.status == hypers.status
            && self.version == hypers.version
            && self.fields == hypers.fields
            && self.body == hypers.body
    }
}

fn sorted(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let told_elsewhere = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let mut fields: Vec<_> = map
        .iter()
        .filter(|(name, _)| !told_elsewhere.contains(name))
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    fields.sort();
    fields
}

/// The whole final response that our codec takes from `raw`, fed in pieces and then closed.
pub fn ours(raw: &[u8], method: &Method, piece: usize) -> Option<Response> {
    let limits = HeadLimits::default();
    let (mut reader, mut buf) = (ResponseReader::default(), BytesMut::new());
    let mut open: Option<(Response, Option<BodyDecoder>)> = None;
    for piece in raw.chunks(piece) {
        buf.extend_from_slice(piece);
        loop {
            let Some((response, decoder)) = &mut open else {
                match reader.read(&mut buf, method, &limits).ok()? {
                    None => break,
                    Some(head) if head.status.as_u16() == 101 => return None,
                    Some(head) if head.status.is_informational() => {}
                    Some(head) => {
                        let decoder = match head.framing {
                            ResponseEnd::Framed(framing) => Some(BodyDecoder::new(framing)),
                            ResponseEnd::Close => None,
                        };
                        let response = Response {
                            status: head.status.as_u16(),
                            version: head.version,
                            fields: sorted(&head.headers),
                            body: Vec::new(),
                            trailers: Vec::new(),
                        };
                        open = Some((response, decoder));
                    }
                }
                continue;
            };
            let Some(decoder) = decoder else {
                response.body.extend_from_slice(&buf.split());
                break;
            };
            match decoder.decode(&mut buf).ok()? {
                Decoded::Data(data) => response.body.extend_from_slice(&data),
                Decoded::NeedMore => break,
                Decoded::End(trailers) => {
                    response.trailers = trailers.map(|trailers| sorted(&trailers)).unwrap_or_default();
                    return open.map(|(response, _)| response);
                }
            }
        }
    }
    // Until the connection's end; or without a body, and with the head's last byte.
    let (response, decoder) = open?;
    decoder.is_none_or(|decoder| decoder.is_finished()).then_some(response)
}

/// The whole final response that hyper's client takes.
pub async fn hypers(raw: &[u8], method: &Method) -> Option<Response> {
    let (client, mut server) = tokio::io::duplex(256 << 10);
    let (mut request, connection) =
        hyper::client::conn::http1::Builder::new().handshake(TokioIo::new(client)).await.unwrap();
    let asked = http::Request::builder().method(method).uri("/").header("host", "h");
    let asked = asked.body(Empty::<Bytes>::new()).unwrap();
    let upstream = async {
        let _request = server.read(&mut [0; 1024]).await;
        // hyper may hang up before it has read everything.
        let _written = server.write_all(raw).await;
        let _closed = server.shutdown().await;
        server
    };
    let hear = async {
        let response = request.send_request(asked).await.ok()?;
        let (parts, body) = response.into_parts();
        if parts.status.as_u16() == 101 {
            return None;
        }
        let body = body.collect().await.ok()?;
        let trailers = body.trailers().map(sorted).unwrap_or_default();
        let body = body.to_bytes().to_vec();
        let (status, version) = (parts.status.as_u16(), parts.version);
        Some(Response { status, version, fields: sorted(&parts.headers), body, trailers })
    };
    let connection = async {
        let _verdict = connection.await;
    };
    let (heard, _server, ()) = tokio::join!(hear, upstream, connection);
    heard
}

const STATUS_LINES: [&str; 16] = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 404 Not Found",
    "HTTP/1.1 500",
    "HTTP/1.1 302 ",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 206 a\tb \u{e9}",
    "HTTP/1.1 599 Odd",
    "HTTP/1.0 200 OK",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 600 High",
    "HTTP/2.0 200 OK",
    "HTTP/1.1 20 Short",
];
const INTERIM: [&str; 4] = [
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 102\r\nTransfer-Encoding: chunked\r\n\r\n",
];
const FIELDS: [&str; 16] = [
    "Server: x/1.0 (y)",
    "Set-Cookie: a=b; Path=/",
    "Set-Cookie: c",
    "X-Empty:",
    "X-Blank:  \t ",
    "X-Tab: a\tb",
    "X_Under: 1",
    "Connection: keep-alive",
    "Connection: close",
    "Connection: Upgrade",
    "Upgrade: h2c",
    "X-High: \u{e9}\u{20ac}",
    "Trailer: X-Sum",
    "Keep-Alive: timeout=5",
    "!#$%&'*+-.^`|~: odd",
    "Date: Sun, 06 Nov 1994 08:49:37 GMT",
];
const FRAMINGS: [&str; 12] = [
    "Content-Length: 5",
    "Content-Length: 5, 5",
    "Content-Length: 005",
    "Content-Length: +5",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: CHUNKED",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding:",
    "Content-Length : 5",
];

/// A response, perhaps after informational ones, perhaps with a known fault, perhaps mutated.
pub fn response(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut raw = Vec::new();
    for _ in 0..dice.below(3).saturating_sub(1) {
        raw.extend_from_slice(dice.pick(&INTERIM).as_bytes());
    }
    let mut fields: Vec<&str> = (0..dice.below(3)).map(|_| dice.pick(&FIELDS)).collect();
    let mut body = Vec::new();
    let length;
    match dice.below(4) {
        0 => dice.random_body(&mut body),
        1 | 2 => {
            dice.random_body(&mut body);
            length = format!("Content-Length: {}", body.len());
            fields.push(&length);
        }
        _ => {
            dice.chunks(&mut body);
            fields.push("Transfer-Encoding: chunked");
        }
    }
    if dice.one_in(6) {
        fields.push(dice.pick(&FRAMINGS));
    }
    let turns = dice.below(fields.len());
    fields.rotate_left(turns);
    raw.extend_from_slice(dice.pick(&STATUS_LINES).as_bytes());
    for field in fields {
        raw.extend_from_slice(b"\r\n");
        raw.extend_from_slice(field.as_bytes());
    }
    raw.extend_from_slice(b"\r\n\r\n");
    raw.extend_from_slice(&body);
    if dice.one_in(2) {
        for _ in 0..=dice.below(3) {
            dice.mutate(&mut raw);
        }
    }
    raw
}
