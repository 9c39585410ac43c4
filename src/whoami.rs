//! A tiny backend that answers with the request as it arrived, as JSON: what the demo and the tests put behind
//! the proxy.
//!
//! `?status=503` answers with that status, `?wait=100ms` answers after that time, `?size=102400` answers with a
//! body of that size instead of the JSON. An upload is read to its end before the answer.

use crate::ground::amount;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Largest body of `?size=`.
const MOST: u64 = 256 << 20;

/// A running backend, on a thread and runtime of its own. It ends when it is dropped, with every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address` (port 0: any) and answers as `name`.
    pub fn start(address: SocketAddr, name: &str) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let name: Arc<str> = name.into();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("whoami-{name}")).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _dropped = stopped => {}
                    result = accept(listener, name) => if let Err(error) = result {
                        tracing::error!(%error, "whoami cannot accept");
                    }
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _it_panicked = thread.join();
        }
    }
}

/// `moongate whoami`: runs until a signal ends it.
pub fn run(listen: SocketAddr, name: &str) -> io::Result<()> {
    let server = Server::start(listen, name)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        // Said only now, so that whoever waits for the line can stop us at once.
        let _reader_is_gone = writeln!(io::stdout(), "whoami '{name}' on http://{}", server.address());
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    })
}

async fn accept(listener: std::net::TcpListener, name: Arc<str>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(serve(stream, peer, Arc::clone(&name)));
            }
            Err(error) => {
                tracing::debug!(%error, "whoami could not accept one");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, name: Arc<str>) {
    let _slower_without = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, peer, Arc::clone(&name)));
    // Half-closed clients get their answer too; a broken connection concerns nobody here.
    let _broken =
        http1::Builder::new().half_close(true).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    name: Arc<str>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    let mut length = 0_u64;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    let wish = match Wish::parse(head.uri.query().unwrap_or_default()) {
        Ok(wish) => wish,
        Err(text) => return Ok(response(StatusCode::BAD_REQUEST, "text/plain", text)),
    };
    if let Some(wait) = wish.wait {
        tokio::time::sleep(wait).await;
    }
    let (kind, body) = if let Some(size) = wish.size {
        ("application/octet-stream", vec![b'x'; size as usize])
    } else {
        ("application/json", format!("{:#}\n", describe(&head, peer, &name, length)).into_bytes())
    };
    Ok(response(wish.status, kind, body))
}

fn describe(head: &http::request::Parts, peer: SocketAddr, name: &str, length: u64) -> Value {
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (field, value) in &head.headers {
        headers
            .entry(field.as_str())
            .or_default()
            .push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    json!({
        "name": name,
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "version": format!("{:?}", head.version),
        "headers": headers,
        "peer": peer,
        "body_length": length,
    })
}

fn response(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What the query asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    status: StatusCode,
    wait: Option<Duration>,
    size: Option<u64>,
}

impl Wish {
    /// Other parameters are nobody's business.
    fn parse(query: &str) -> Result<Self, String> {
        let mut wish = Self { status: StatusCode::OK, wait: None, size: None };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let wrong = |text: &str| format!("{key}={value}: {text}\n");
            match key {
                "status" => {
                    let status = value.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
                    let status = status.filter(|status| (200..600).contains(&status.as_u16()));
                    wish.status = status.ok_or_else(|| wrong("a status is 200..599"))?;
                }
                "wait" => {
                    wish.wait = Some(amount::duration(value).map_err(|error| wrong(&error.to_string()))?);
                }
                "size" => {
                    let size = amount::size(value).map_err(|error| wrong(&error.to_string()))?;
                    wish.size = (size <= MOST).then_some(size);
                    wish.size.ok_or_else(|| wrong("at most 256m"))?;
                }
                _ => {}
            }
        }
        Ok(wish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn ask(server: &Server, request: &str) -> (String, String) {
        let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn start() -> Server {
        Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), "red").unwrap()
    }

    #[test]
    fn it_says_the_request_as_it_arrived() {
        let server = start();
        let (head, body) = ask(
            &server,
            "POST /a%2Fb?c HTTP/1.1\r\nHost: h.io\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello",
        );
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        let body: Value = serde_json::from_str(&body).unwrap();
        for (key, want) in [
            ("name", json!("red")),
            ("method", json!("POST")),
            ("target", json!("/a%2Fb?c")),
            ("version", json!("HTTP/1.1")),
            ("body_length", json!(5)),
            ("headers", json!({ "host": ["h.io"], "x-a": ["1", "2"], "content-length": ["5"] })),
        ] {
            assert_eq!(body[key], want, "{key}");
        }
    }

    #[test]
    fn it_answers_as_the_query_wishes() {
        let server = start();
        let get = |query| ask(&server, &format!("GET /?{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert!(get("status=503").0.starts_with("HTTP/1.1 503 "));
        assert_eq!(get("size=102400&wait=1ms").1.len(), 102_400);
        assert!(get("status=99").0.starts_with("HTTP/1.1 400 "));
        assert!(get("size=1g").1.contains("at most 256m"));
        assert!(get("other=1").0.starts_with("HTTP/1.1 200 "));
    }

    #[test]
    fn a_dropped_server_is_gone() {
        let server = start();
        let address = server.address();
        drop(server);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
