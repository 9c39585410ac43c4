//! The admin address's server: hyper on a thread and a current-thread runtime of its own, bounded in
//! connections, time and size.

use super::AdminState;
use super::answer::answer;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections at a time; more wait in the listener's backlog.
const CONNECTIONS: usize = 256;
/// Until a request's head is complete, the wait for its beginning included.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes that are buffered of a head (431 above it; the last read may go a little further).
const HEAD_LIMIT: usize = 64 << 10;
/// A connection's life: ended between two requests then, so that places come free again.
const LIFE: Duration = Duration::from_secs(300);
/// What a connection's last request may take after that, or at the end of the process.
const LAST_REQUEST: Duration = Duration::from_secs(5);

/// Serves until `shutdown` is ready and the last answers are out. Returns at once; the thread can be joined.
pub fn serve(
    listener: std::net::TcpListener,
    state: AdminState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    state.health.admin_bound(listener.local_addr()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("admin".into()).spawn(move || {
        runtime.block_on(async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => accept_until(listener, state, shutdown).await,
                Err(error) => tracing::error!(%error, "the admin address cannot be served"),
            }
        });
    })
}

async fn accept_until(listener: TcpListener, state: AdminState, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let (stop, stopped) = watch::channel(false);
    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = &mut shutdown => break,
            (place, accepted) = accepted => match accepted {
                Ok((stream, peer)) => {
                    let connection = serve_connection(stream, peer, state.clone(), stopped.clone());
                    tokio::spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: it passes, but not at once.
                    tracing::warn!(%error, "the admin address cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let _nobody_listens = stop.send(true);
    let all = places.acquire_many(CONNECTIONS as u32);
    let _elapsed = tokio::time::timeout(LAST_REQUEST, all).await;
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    state: AdminState,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(answer(state, peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = tokio::time::sleep(LIFE) => None,
        _ = stopped.wait_for(|stopped| *stopped) => None,
    };
    let ended = if let Some(ended) = ended {
        Ok(ended)
    } else {
        connection.as_mut().graceful_shutdown();
        tokio::time::timeout(LAST_REQUEST, connection).await
    };
    if let Ok(Err(error)) = ended {
        tracing::debug!(%error, %peer, "an admin connection broke");
    }
}
