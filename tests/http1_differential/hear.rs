//! The same bytes, heard by our codec and by hyper's server.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use moongate::ground::path::{PathOptions, Target};
use moongate::http1::{BodyDecoder, Decoded, HeadOptions, parse_request};
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One request, whole.
#[derive(Debug, PartialEq)]
pub struct Request {
    pub method: Method,
    /// In the one form.
    pub target: String,
    authority: String,
    /// Sorted; without Host, framing and underscores.
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// Whether both mean the same. Of trailers we drop what may not be one.
    pub fn agrees_with(&self, hypers: &Self) -> bool {
        let trailers = self.trailers.iter().all(|trailer| hypers.trailers.contains(trailer));
        // `http::Uri` cannot tell `http://h` from `http://h/`; for OPTIONS the one means `*`.
        let asterisk = self.method == Method::OPTIONS && self.target == "*" && hypers.target == "/";
        trailers
            && self.method == hypers.method
            && (self.target == hypers.target || asterisk)
            && self.authority == hypers.authority
            && self.fields == hypers.fields
            && self.body == hypers.body
    }
}

fn sorted(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let told_elsewhere = [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let mut fields: Vec<_> = map
        .iter()
        .filter(|(name, _)| !told_elsewhere.contains(name) && !name.as_str().contains('_'))
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    fields.sort();
    fields
}

/// The whole requests that our codec takes from `raw`, fed in pieces, until it is refused or short of bytes.
pub fn ours(raw: &[u8], piece: usize) -> Vec<Request> {
    let mut heard = Vec::new();
    let mut buf = BytesMut::new();
    let mut open: Option<(Request, BodyDecoder)> = None;
    for piece in raw.chunks(piece) {
        buf.extend_from_slice(piece);
        loop {
            let Some((request, decoder)) = &mut open else {
                match parse_request(&mut buf, &HeadOptions::default()) {
                    Ok(None) => break,
                    Err(_) => return heard,
                    Ok(Some(head)) => {
                        let request = Request {
                            method: head.method,
                            target: head.target.to_string(),
                            authority: head.authority.to_string(),
                            fields: sorted(&head.headers),
                            body: Vec::new(),
                            trailers: Vec::new(),
                        };
                        open = Some((request, BodyDecoder::new(head.framing)));
                        continue;
                    }
                }
            };
            match decoder.decode(&mut buf) {
                Ok(Decoded::Data(data)) => request.body.extend_from_slice(&data),
                Ok(Decoded::NeedMore) => break,
                Err(_) => return heard,
                Ok(Decoded::End(trailers)) => {
                    request.trailers = trailers.map(|trailers| sorted(&trailers)).unwrap_or_default();
                    heard.extend(open.take().map(|(request, _)| request));
                }
            }
        }
    }
    heard
}

/// The whole requests that hyper's server hands to its service.
pub async fn hypers(raw: &[u8]) -> Vec<Request> {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let (client, server) = tokio::io::duplex(256 << 10);
    let service = service_fn(|request| {
        let heard = Rc::clone(&heard);
        async move {
            if let Some(request) = collect(request).await {
                heard.borrow_mut().push(request);
            }
            Ok::<_, Infallible>(http::Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    let talk = async {
        let (mut read, mut write) = tokio::io::split(client);
        let send = async {
            // hyper may hang up before it has read everything.
            let _sent = write.write_all(raw).await;
            let _closed = write.shutdown().await;
        };
        let mut answer = Vec::new();
        tokio::join!(send, read.read_to_end(&mut answer)).1
    };
    let (_verdict, _answer) = tokio::join!(connection, talk);
    heard.take()
}

/// None: hyper refused the body.
async fn collect(request: http::Request<Incoming>) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.ok()?;
    let trailers = body.trailers().map(sorted).unwrap_or_default();
    let host = parts.headers.get(header::HOST).map_or(String::new(), |host| text(host.as_bytes()));
    Some(Request {
        target: target(&parts.uri),
        authority: parts.uri.authority().map_or(host, ToString::to_string),
        method: parts.method,
        fields: sorted(&parts.headers),
        body: body.to_bytes().to_vec(),
        trailers,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// hyper's target, put into the one form; what has none is shown as it is, and agrees with nothing of ours.
fn target(uri: &http::Uri) -> String {
    let path = uri.query().map_or(uri.path().to_owned(), |query| format!("{}?{query}", uri.path()));
    Target::parse(&Bytes::from(path.clone()), PathOptions::default())
        .map_or(path, |target| target.to_string())
}
