//! A client that sends exactly the bytes it is told to.

use super::PATIENCE;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response as it came.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Decoded.
    pub body: Vec<u8>,
    /// Of a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends, although the other side may have gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more comes.
    pub fn half_close(&mut self) -> &mut Self {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self
    }

    /// Closes with a reset.
    pub fn reset(self) {
        let socket = socket2::Socket::from(self.stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// `GET path` on this connection.
    pub fn get(&mut self, host: &str, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        self.response()
    }

    fn fill(&mut self) -> usize {
        let mut chunk = [0; 16 << 10];
        let read = loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break 0,
                result => break result.expect("the proxy says nothing"),
            }
        };
        self.buffer.extend_from_slice(&chunk[..read]);
        read
    }

    /// Bytes up to and with `end`.
    pub fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return self.buffer.drain(..at + end.len()).collect();
            }
            assert!(self.fill() > 0, "closed before {:?}; got {:?}", text(end), text(&self.buffer));
        }
    }

    /// Exactly so many bytes.
    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.fill() > 0, "closed after {} of {length} bytes", self.buffer.len());
        }
        self.buffer.drain(..length).collect()
    }

    /// Everything until the other side closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() > 0 {}
        std::mem::take(&mut self.buffer)
    }

    /// Everything until the other side closes, or how else it ends.
    pub fn end(&mut self) -> std::io::Result<Vec<u8>> {
        let read = self.stream.read_to_end(&mut self.buffer);
        read.map(|_| std::mem::take(&mut self.buffer))
    }

    /// Whether nothing has come yet.
    pub fn is_silent(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let read = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        self.buffer.is_empty() && read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// The same connection, to write from another thread.
    pub fn writer(&self) -> Self {
        Self { stream: self.stream.try_clone().unwrap(), buffer: Vec::new() }
    }

    /// Whether the other side has closed, without anything more to say.
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// A head: status and fields.
    pub fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let head = self.until(b"\r\n\r\n");
        let head = std::str::from_utf8(&head).unwrap().trim_end();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap();
        let status = status.split(' ').nth(1).unwrap_or_else(|| panic!("no status line: {status}"));
        (status.parse().unwrap(), lines.map(field).collect())
    }

    /// The final response to a request that is not HEAD; 1xx are passed over.
    pub fn response(&mut self) -> Response {
        loop {
            let (status, headers) = self.head();
            if status >= 200 {
                return self.body(status, headers);
            }
        }
    }

    fn body(&mut self, status: u16, headers: Vec<(String, String)>) -> Response {
        let find =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        if let Some(length) = find("content-length") {
            if status != 304 {
                body = self.exactly(length.parse().unwrap());
            }
        } else if find("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            (body, trailers) = self.chunks();
        } else if status != 204 && status != 304 {
            body = self.rest();
        }
        Response { status, headers, body, trailers }
    }

    /// One chunk's data.
    pub fn chunk(&mut self) -> Vec<u8> {
        let line = self.until(b"\r\n");
        let size = usize::from_str_radix(text(&line).trim(), 16).unwrap();
        if size == 0 {
            return Vec::new();
        }
        let data = self.exactly(size);
        assert_eq!(self.exactly(2), b"\r\n");
        data
    }

    fn chunks(&mut self) -> (Vec<u8>, Vec<(String, String)>) {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                break;
            }
            body.extend(chunk);
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.until(b"\r\n");
            match text(&line).trim_end() {
                "" => return (body, trailers),
                line => trailers.push(field(line)),
            }
        }
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line}"));
    (name.to_ascii_lowercase(), value.trim().to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
