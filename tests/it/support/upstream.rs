//! An upstream that does exactly what its script says, connection by connection.

use super::PATIENCE;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Listens on loopback until the test ends.
pub struct Upstream {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

/// The upstream's end of one connection.
pub struct Peer {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    heads: Arc<Mutex<Vec<String>>>,
    /// Which connection this is, from 0.
    pub index: usize,
}

impl Upstream {
    /// Runs `script` for each connection, on a thread of its own.
    pub fn scripted(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), script)
    }

    /// The same on an address of loopback.
    pub fn at(address: SocketAddr, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (counter, kept, script) = (connections.clone(), heads.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_nodelay(true).unwrap();
                let index = counter.fetch_add(1, Ordering::SeqCst);
                let (script, heads) = (script.clone(), kept.clone());
                std::thread::spawn(move || script(&mut Peer { stream, buffer: Vec::new(), heads, index }));
            }
        });
        Self { address, connections, heads }
    }

    /// Answers every request without a body with these bytes, keeping connections open.
    pub fn answering(response: &'static str) -> Self {
        Self::scripted(move |peer| {
            while peer.head().is_some() {
                peer.send(response);
            }
        })
    }

    /// An address that nobody listens on.
    pub fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The last request's head.
    pub fn last_head(&self) -> String {
        self.heads().pop().expect("no request came")
    }
}

impl Peer {
    /// A request's head; none at the end.
    pub fn head(&mut self) -> Option<String> {
        let head = self.until(b"\r\n\r\n")?;
        let head = String::from_utf8(head).unwrap();
        self.heads.lock().unwrap().push(head.clone());
        Some(head)
    }

    /// Bytes up to and with `end`; none if the connection ends before.
    pub fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Some(self.buffer.drain(..at + end.len()).collect());
            }
            if self.fill() == 0 {
                return None;
            }
        }
    }

    /// Exactly so many bytes, if they come.
    pub fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            if self.fill() == 0 {
                return None;
            }
        }
        Some(self.buffer.drain(..length).collect())
    }

    /// A chunk's data; none if the connection ends.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.until(b"\r\n")?).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        if size == 0 {
            return Some(Vec::new());
        }
        let data = self.exactly(size)?;
        self.exactly(2)?;
        Some(data)
    }

    /// The body that `head` announces, chunks put together; none if the connection ends in its midst.
    pub fn body(&mut self, head: &str) -> Option<Vec<u8>> {
        let field = |name: &str| {
            let line = head.lines().find(|line| line.starts_with(name));
            line.map(|line| line[name.len()..].trim().to_owned())
        };
        if let Some(length) = field("content-length:") {
            return self.exactly(length.parse().unwrap());
        }
        let mut body = Vec::new();
        if field("transfer-encoding:").is_some() {
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    self.until(b"\r\n")?;
                    break;
                }
                body.extend(chunk);
            }
        }
        Some(body)
    }

    /// A whole request: head and body; none if the connection ends before its end.
    pub fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let head = self.head()?;
        let body = self.body(&head)?;
        Some((head, body))
    }

    /// Waits until the other side closes or resets the connection.
    pub fn closed(&mut self) {
        while self.fill() > 0 {}
    }

    /// Closes with a reset.
    pub fn reset(&mut self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    fn fill(&mut self) -> usize {
        let mut chunk = vec![0; 64 << 10];
        let read = self.stream.read(&mut chunk).unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..read]);
        read
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }
}
