// SPDX-License-Identifier: Apache-2.0
//! `Entrance`: where connections come in to a thread: from visitors, or from a front, which says who its visitors are.
//!
//! Invariant: whose word is believed is decided by where a connection comes in, and nobody but the front may reach that
//! place: a Unix socket that its user alone may open.

use crate::front::Behind;
use crate::listener;
use crate::stream::Stream;
use rustix::fs::{Mode, Uid, chmod, chown};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;

pub(crate) enum Entrance {
    Open(TcpListener),
    Behind(UnixListener),
}

/// Who has come in.
pub(crate) enum Arrived {
    Visitor(tokio::net::TcpStream, SocketAddr),
    /// A front, for its visitors.
    Front(Stream),
}

/// An entrance that is waited at.
pub(crate) enum Watched {
    Open(tokio::net::TcpListener),
    Behind(tokio::net::UnixListener),
}

impl Entrance {
    pub(crate) fn watch(self) -> io::Result<Watched> {
        Ok(match self {
            Entrance::Open(listener) => Watched::Open(tokio::net::TcpListener::from_std(listener)?),
            Entrance::Behind(listener) => Watched::Behind(tokio::net::UnixListener::from_std(listener)?),
        })
    }
}

impl Watched {
    pub(crate) async fn accept(&self) -> io::Result<Arrived> {
        Ok(match self {
            Watched::Open(listener) => {
                let (stream, peer) = listener.accept().await?;
                Arrived::Visitor(stream, peer)
            }
            Watched::Behind(listener) => Arrived::Front(Stream::unix(listener.accept().await?.0)?),
        })
    }
}

/// Entrances for so many threads where a front passes on, and the socket that a successor gets.
pub(crate) fn behind(
    behind: &Behind,
    threads: usize,
    handed: Option<UnixListener>,
) -> io::Result<(Vec<Entrance>, UnixListener)> {
    let socket = handed.map_or_else(|| open(&behind.socket, behind.reader), Ok)?;
    let copies = (0..threads).map(|_| socket.try_clone().map(Entrance::Behind));
    Ok((copies.collect::<io::Result<_>>()?, socket))
}

/// A socket in the place of one that nobody listens at any more.
fn open(path: &Path, reader: Option<u32>) -> io::Result<UnixListener> {
    let fresh = path.with_extension("new");
    fs::remove_file(&fresh)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&fresh)?)?;
    // Whose it is comes first: nobody connects before it listens.
    chmod(&fresh, Mode::RUSR | Mode::WUSR)?;
    if let Some(reader) = reader {
        chown(&fresh, Some(Uid::from_raw(reader)), None)?;
    }
    socket.listen(listener::BACKLOG)?;
    fs::rename(fresh, path)?;
    Ok(socket.into())
}
