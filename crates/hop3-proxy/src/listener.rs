// SPDX-License-Identifier: Apache-2.0
//! Listening sockets: one for each thread on the same address, among which the kernel spreads new connections.

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

pub(crate) const BACKLOG: i32 = 4096;

pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // Sharing a port is meant for our own threads: another program of this user that shares it too would silently
    // get half the connections. A socket that does not share finds out.
    drop(listen(address, Sharing::Refused)?);
    bind_beside(address, count)
}

/// The same where others of this user may listen too.
pub(crate) fn bind_beside(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let first = listen(address, Sharing::Wanted)?;
    let address = first.local_addr()?;
    let rest = (1..count).map(|_| listen(address, Sharing::Wanted));
    std::iter::once(Ok(first)).chain(rest).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Wanted,
    Refused,
}

fn listen(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_port(sharing == Sharing::Wanted)?;
    socket.bind(&SockAddr::from(address))?;
    if sharing == Sharing::Wanted {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

/// Each proxied connection takes two descriptors; the soft limit is often 1,024.
pub(crate) fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays low");
    }
}
