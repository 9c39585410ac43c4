//! Listening sockets: one per worker and entrypoint, sharing the address through `SO_REUSEPORT`.

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, TcpListener};

/// How many connections may wait to be accepted, per socket (the kernel caps it at `net.core.somaxconn`).
const BACKLOG: i32 = 4_096;

/// Binds and listens. `[::]` takes both families. Port 0 takes a free one.
///
/// Another process that listens on the address is an error here, although `SO_REUSEPORT` would let the same user
/// share it: two proxies that split their clients by chance are never what was meant.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    if address.port() != 0 {
        // A plain bind fails where anybody listens; close it again before the shared one.
        let probe = socket(address, false).and_then(|socket| {
            socket.bind(&address.into())?;
            Ok(socket)
        });
        probe.with_context(|| format!("cannot listen on {address}"))?;
    }
    listen(address).with_context(|| format!("cannot listen on {address}"))
}

/// Another socket on an address that [`bind`] gave.
pub fn bind_again(address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen(address).with_context(|| format!("cannot listen on {address} once more"))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket(address, true)?;
    socket.bind(&address.into())?;
    // Accepted connections inherit it: no system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, share: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if share {
        socket.set_reuse_port(true)?;
    }
    if address.ip().is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Raises the limit of open files to its hard limit; returns what it is then.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_err() {
        return limit.current.unwrap_or(0);
    }
    limit.maximum.unwrap_or(u64::MAX)
}
