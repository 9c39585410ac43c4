//! What a request and an idle connection cost in memory, counted by an allocator of this binary's own: exact where
//! resident memory only says what the allocator keeps. `scripts/bench --gates` prints the same lines.
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    clippy::disallowed_methods,
    reason = "a counting allocator; a test says what it expects by failing, and prints what it found"
)]

use moongate::app::App;
use moongate::model::settings::{EntryPoint, Settings};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Requests of one measurement.
const REQUESTS: u64 = 2_000;
/// Connections that rest.
const CONNECTIONS: u64 = 1_000;
/// Held by tests: a change that needs more has to say why.
const ALLOCATIONS: f64 = 16.0;
/// Of heap; the kernel's sockets are beside it. The bar for resident memory is 4 KiB.
const IDLE_BYTES: f64 = 2_560.0;

#[global_allocator]
static COUNTING: Counting = Counting;

static MADE: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

thread_local! {
    /// Whether this thread is the client or the backend, whose memory is not the proxy's.
    static OUTSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

impl Counting {
    fn count(allocations: u64, bytes: i64) {
        // A thread that is ending has no locals any more.
        if !OUTSIDE.try_with(Cell::get).unwrap_or(false) {
            MADE.fetch_add(allocations, Ordering::Relaxed);
            LIVE.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call is handed on to the system's allocator unchanged; counting touches atomics and a constant
// thread-local, neither of which allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(1, layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::count(0, -(layout.size() as i64));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[test]
fn a_request_allocates_little_and_an_idle_connection_holds_little() {
    OUTSIDE.set(true);
    let app = start(backend());
    let mut busy = TcpStream::connect(app.entrypoints().first().unwrap().1).unwrap();
    // The first ones fill pools and tables.
    (0..100).for_each(|_| ask(&mut busy));
    let before = MADE.load(Ordering::Relaxed);
    (0..REQUESTS).for_each(|_| ask(&mut busy));
    let each = (MADE.load(Ordering::Relaxed) - before) as f64 / REQUESTS as f64;
    println!("allocations per proxied keep-alive request: {each:.2}");

    let before = settled(LIVE.load(Ordering::Relaxed));
    let address = busy.peer_addr().unwrap();
    let idle: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            ask(&mut stream);
            stream
        })
        .collect();
    let after = settled(i64::MAX);
    let bytes = (after - before) as f64 / CONNECTIONS as f64;
    println!("heap bytes per idle keep-alive connection: {bytes:.0}");
    drop(idle);
    app.stop();
    assert!(each <= ALLOCATIONS, "{each:.2} allocations for a request, {ALLOCATIONS} at most");
    assert!(bytes <= IDLE_BYTES, "{bytes:.0} bytes for an idle connection, {IDLE_BYTES} at most");
}

/// The live bytes once they stand still: connections give their buffers back a little after their last request.
fn settled(mut last: i64) -> i64 {
    let end = Instant::now() + Duration::from_secs(10);
    let mut calm = 0;
    while calm < 4 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
        let now = LIVE.load(Ordering::Relaxed);
        calm = if now == last { calm + 1 } else { 0 };
        last = now;
    }
    last
}

fn start(backend: SocketAddr) -> App {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut settings = Settings {
        entrypoints: vec![EntryPoint::new("http", anywhere)],
        admin: anywhere,
        workers: 1,
        ..Settings::default()
    };
    settings.sources.to = Some((backend.ip().to_string().as_str().into(), backend.port()));
    // Threads of the proxy inherit nothing: they are counted.
    let app = App::start(settings).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while !app.is_synced() {
        assert!(Instant::now() < end, "no first sync");
        std::thread::sleep(Duration::from_millis(5));
    }
    app
}

/// One request on a kept connection.
fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: h.io\r\nAccept: */*\r\nUser-Agent: t\r\n\r\n").unwrap();
    let mut buffer = [0_u8; 4096];
    let mut read = 0;
    while !buffer.get(..read).unwrap().ends_with(b"\r\n\r\nhello") {
        let more = stream.read(buffer.get_mut(read..).unwrap()).unwrap();
        assert!(more > 0, "closed");
        read += more;
    }
}

/// Answers every request of every connection alike, on threads that are not counted.
fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        OUTSIDE.set(true);
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                OUTSIDE.set(true);
                let mut buffer = [0_u8; 4096];
                while matches!(stream.read(&mut buffer), Ok(1..)) {
                    let answer =
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
