// SPDX-License-Identifier: Apache-2.0
//! `Front`: another program that accepts connections on this proxy's sockets, and passes on to this proxy what it
//! cannot do itself.
//!
//! Invariant: a socket that is held here is one that the program accepts from; nobody's connection waits for nobody.

use crate::listener;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

/// What a program accepts on.
#[derive(Debug, Default)]
pub struct Sockets {
    pub http: Vec<OwnedFd>,
    pub https: Vec<OwnedFd>,
}

impl Sockets {
    /// New ones, on addresses where others of this user may listen still.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub fn beside(http: SocketAddr, https: Option<SocketAddr>) -> io::Result<Sockets> {
        let threads = crate::threads(&crate::Limits::default());
        let bind = |address| listener::bind_beside(address, threads);
        Ok(Sockets::new(bind(http)?, https.map(bind).transpose()?.unwrap_or_default()))
    }

    pub fn is_empty(&self) -> bool {
        self.http.is_empty()
    }

    pub(crate) fn new(http: Vec<TcpListener>, https: Vec<TcpListener>) -> Sockets {
        let given = |of: Vec<TcpListener>| of.into_iter().map(OwnedFd::from).collect();
        Sockets { http: given(http), https: given(https) }
    }
}

pub trait Front: fmt::Debug + Send + Sync {
    /// Where this proxy listens for what the program passes on.
    fn behind(&self) -> SocketAddr;

    /// It runs already: a proxy before this one started it.
    fn is_running(&self) -> bool;

    /// Has it accept on these sockets, and keeps it running; there are none for one that runs with sockets of its
    /// own. When this returns, it accepts.
    ///
    /// # Errors
    /// It does not start.
    fn begin(&self, sockets: Sockets) -> anyhow::Result<()>;

    /// Has it accept no more and end after its last request, and waits for that. Nothing when a successor of this
    /// proxy keeps it.
    fn end(&self, is_replaced: bool);
}
