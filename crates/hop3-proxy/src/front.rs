// SPDX-License-Identifier: Apache-2.0
//! `Front`: another program that accepts connections on this proxy's sockets, and passes on to this proxy what it
//! cannot do itself.
//!
//! Invariant: a socket that is held here is one that the program accepts from; nobody's connection waits for nobody.

use crate::http1::header::is;
use crate::listener;
use httparse::Header;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

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

/// Where this proxy listens for what a program passes on.
#[derive(Clone, Debug)]
pub struct Behind {
    pub socket: PathBuf,
    /// The user who may connect, beside root; this process's own when there is none.
    pub reader: Option<u32>,
}

/// What a program says of the visitor whose request it passes on: the address, and whether he came by HTTPS.
pub(crate) fn told(headers: &[Header<'_>]) -> (IpAddr, bool) {
    let last = |name| headers.iter().rev().find(|header| is(header, name));
    let text =
        |name| last(name).and_then(|header| std::str::from_utf8(header.value).ok()).unwrap_or_default();
    let address = text("x-forwarded-for").rsplit(',').next().unwrap_or_default().trim().parse();
    (
        address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        text("x-forwarded-proto").eq_ignore_ascii_case("https"),
    )
}

pub trait Front: fmt::Debug + Send + Sync {
    /// Where this proxy listens for what the program passes on. Whoever connects there is believed about visitors.
    fn behind(&self) -> Behind;

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
