// SPDX-License-Identifier: Apache-2.0
//! Hand-over: a new proxy takes the place of a living one, and no port is closed in between.
//!
//! ```text
//! new ── HandOver ───────────────────────▶ old    takes no change from now on: the table on disk is the last
//! new ◀── lock and listening sockets ───── old    (SCM_RIGHTS)
//! new ── Port, for each further one ─────▶ old
//! new ◀── the sockets of that port ─────── old
//! new    serves, opens the control socket
//! new ── Serving ────────────────────────▶ old    gives up both, finishes what is under way
//! new ── changes and drains, repeated ───▶ old    until its last request is done, and it with it
//! ```
//! Invariant: at every moment the lock is held and somebody accepts. A new one that dies before it serves leaves the
//! old one as it was; an old one that dies is not missed. A drain is answered when both have let the upstream go.

use crate::Shared;
use crate::control::{self, Answer, Change, Request};
use anyhow::{Context, ensure};
use hop3_core::descriptor;
use hop3_core::layout::Layout;
use hop3_core::lock::RoleLock;
use hop3_core::tcp::Port;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A living proxy answers at once; one that does not is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// What makes a process the proxy of its root.
#[derive(Default)]
pub(crate) struct Holdings {
    pub(crate) lock: Option<RoleLock>,
    pub(crate) listeners: Listeners,
    /// Where a front passes on.
    pub(crate) behind: Option<UnixListener>,
}

/// Where connections come in: one for each thread, as the threads have them too.
#[derive(Default)]
pub(crate) struct Listeners {
    pub(crate) http: Vec<TcpListener>,
    /// As many, or none.
    pub(crate) https: Vec<TcpListener>,
}

impl Listeners {
    /// Where they listen for HTTP and for HTTPS; `http` when there are none.
    pub(crate) fn addresses(&self, http: SocketAddr) -> io::Result<(SocketAddr, Option<SocketAddr>)> {
        let address = |of: &[TcpListener]| of.first().map(TcpListener::local_addr).transpose();
        Ok((address(&self.http)?.unwrap_or(http), address(&self.https)?))
    }

    pub(crate) fn copy(&self) -> io::Result<Listeners> {
        let copies = |of: &[TcpListener]| of.iter().map(TcpListener::try_clone).collect::<io::Result<_>>();
        Ok(Listeners { http: copies(&self.http)?, https: copies(&self.https)? })
    }
}

/// The first line of a hand-over; the descriptors come with it, the lock first.
#[derive(Serialize, Deserialize)]
struct Handed {
    http: usize,
    https: usize,
    /// Further ports, whose sockets are asked for one by one: all together may be more than one message can hold.
    #[serde(default)]
    ports: Vec<Port>,
    /// The last descriptor is the socket where a front passes on.
    #[serde(default)]
    is_behind: bool,
}

/// The old proxy's side of one hand-over. `reader` is at the line after the request.
pub(crate) fn give(shared: &Arc<Shared>, mut reader: BufReader<&UnixStream>) -> io::Result<()> {
    let mut is_stopping = shared.is_stopping.lock().unwrap_or_else(PoisonError::into_inner);
    if *is_stopping {
        return Ok(());
    }
    *is_stopping = true;
    drop(is_stopping);
    // The new one takes up what is under way.
    shared.keeper.stop();
    let mut line = String::new();
    let mut sent = send_holdings(shared, reader.get_ref());
    let is_served = loop {
        line.clear();
        match sent.and_then(|()| reader.read_line(&mut line)).map(|_| serde_json::from_str(&line)) {
            Ok(Ok(Request::Port { port })) => sent = send_port(shared, port, reader.get_ref()),
            Ok(Ok(Request::Serving)) => break true,
            _ => break false,
        }
    };
    if !is_served {
        return take_back(shared);
    }
    *shared.holdings() = Holdings::default();
    shared.ports.forget();
    shared.replaced.notify_one();
    follow(shared, reader)
}

fn send_holdings(shared: &Shared, connection: &UnixStream) -> io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let holdings = shared.holdings();
    let lock = holdings.lock.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let Listeners { http, https } = &holdings.listeners;
    let sockets = http.iter().chain(https).map(AsFd::as_fd);
    let behind = holdings.behind.as_ref().map(AsFd::as_fd);
    let descriptors: Vec<_> = std::iter::once(lock.as_fd()).chain(sockets).chain(behind).collect();
    let ports = shared.ports.snapshot().keys().copied().collect();
    let is_behind = behind.is_some();
    send(connection, &Handed { http: http.len(), https: https.len(), ports, is_behind }, &descriptors)
}

fn send_port(shared: &Shared, port: Port, connection: &UnixStream) -> io::Result<()> {
    let open = shared.ports.snapshot();
    let listeners = open.get(&port).map_or(&[][..], |opened| opened.listeners());
    let descriptors: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
    send(connection, &port, &descriptors)
}

/// Sends a line with descriptors.
fn send(connection: &UnixStream, line: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    descriptor::send(connection, serde_json::to_string(line)?, descriptors)
}

/// The new one has died before it served.
fn take_back(shared: &Arc<Shared>) -> io::Result<()> {
    tracing::warn!("the hand-over to a new proxy failed; this one goes on");
    if let Some(lock) = &mut shared.holdings().lock {
        lock.sign()?;
    }
    // It may have put its own socket into the place.
    control::listen(shared)?;
    *shared.is_stopping.lock().unwrap_or_else(PoisonError::into_inner) = false;
    shared.keeper.start()
}

/// What the new one is told is told here too, so that no request under way meets an upstream that was stopped.
fn follow(shared: &Arc<Shared>, mut reader: BufReader<&UnixStream>) -> io::Result<()> {
    reader.get_ref().set_read_timeout(None)?;
    let mut line = String::new();
    while reader.by_ref().take(control::MAX_LINE).read_line(&mut line)? > 0 {
        let answer = match serde_json::from_str(&line) {
            Ok(request) => control::repeat(shared, request),
            Err(error) => Answer::Refused(error.to_string()),
        };
        control::write_answer(reader.get_ref(), &answer)?;
        line.clear();
    }
    Ok(())
}

/// What a new proxy got.
pub(crate) struct Estate {
    pub(crate) lock: RoleLock,
    pub(crate) listeners: Listeners,
    /// Where a front passes on.
    pub(crate) behind: Option<UnixListener>,
    /// Further ports that are open.
    pub(crate) ports: BTreeMap<Port, Vec<TcpListener>>,
    pub(crate) predecessor: Predecessor,
}

/// Asks the living proxy of the root for its place.
pub(crate) fn receive(layout: &Layout) -> anyhow::Result<Estate> {
    let socket = layout.proxy_socket();
    let connection =
        UnixStream::connect(&socket).with_context(|| format!("reaching {}", socket.display()))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let request = serde_json::to_string(&Request::HandOver)? + "\n";
    (&connection).write_all(request.as_bytes())?;
    let (line, mut descriptors) =
        descriptor::receive(&connection).context("receiving from the living proxy")?;
    let handed: Handed =
        serde_json::from_str(&line).with_context(|| format!("the living proxy said: {}", line.trim()))?;
    ensure!(
        descriptors.len() == 1 + handed.http + handed.https + usize::from(handed.is_behind),
        "the living proxy handed over {} descriptors, not those of {} and {} listeners and a lock",
        descriptors.len(),
        handed.http,
        handed.https
    );
    let behind = descriptors.pop_if(|_| handed.is_behind).map(UnixListener::from);
    let lock = RoleLock::handed(descriptors.remove(0));
    let https = descriptors.split_off(handed.http).into_iter().map(TcpListener::from).collect();
    let listeners = Listeners { http: descriptors.into_iter().map(TcpListener::from).collect(), https };
    let mut ports = BTreeMap::new();
    for port in handed.ports {
        ports.insert(port, receive_port(&connection, port, handed.http)?);
    }
    Ok(Estate { lock, listeners, behind, ports, predecessor: Predecessor(Mutex::new(Some(connection))) })
}

fn receive_port(mut connection: &UnixStream, port: Port, threads: usize) -> anyhow::Result<Vec<TcpListener>> {
    connection.write_all((serde_json::to_string(&Request::Port { port })? + "\n").as_bytes())?;
    let (line, descriptors) =
        descriptor::receive(connection).with_context(|| format!("receiving port {port}"))?;
    let count = descriptors.len();
    // Behind a front there are no others to compare with.
    ensure!(
        count == threads || threads == 0,
        "the living proxy handed over {count} listeners of port {}",
        line.trim()
    );
    Ok(descriptors.into_iter().map(TcpListener::from).collect())
}

/// The connection to the old proxy, for as long as it has requests under way.
#[derive(Default)]
pub(crate) struct Predecessor(Mutex<Option<UnixStream>>);

impl Predecessor {
    /// Tells that this process serves now.
    pub(crate) fn relieve(&self) {
        self.with(|mut connection| {
            connection.write_all((serde_json::to_string(&Request::Serving)? + "\n").as_bytes())
        });
    }

    /// Repeats a request to it and gives its answer; `None` once it has ended.
    pub(crate) fn ask(&self, request: &Request<'_>) -> Option<Answer> {
        self.with(|mut connection| {
            connection.write_all((serde_json::to_string(request)? + "\n").as_bytes())?;
            let mut line = String::new();
            BufReader::new(connection).read_line(&mut line)?;
            Ok(serde_json::from_str(&line)?)
        })
    }

    /// Ends it with this process.
    pub(crate) fn finish(&self) {
        self.ask(&Request::Finish);
    }

    /// It has requests under way.
    pub(crate) fn lives(&self) -> bool {
        let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        self.with(|connection| match recv(connection, &mut [0_u8; 1][..], look) {
            Err(Errno::WOULDBLOCK) => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        })
        .is_some()
    }

    pub(crate) fn repeat(&self, change: &Change) {
        let request = match change {
            Change::Replace(table) => Request::Replace { table: Cow::Borrowed(table) },
            Change::Put(service) => Request::Put { service: Cow::Borrowed(service) },
            Change::Remove(name) => Request::Remove { name: name.clone() },
        };
        self.ask(&request);
    }

    /// Requests of the old one on upstreams that left the table; `None` when it is done with them.
    pub(crate) fn leaving(&self, upstreams: &[String], cut: bool) -> Option<u64> {
        match self.ask(&Request::Leaving { upstreams: Cow::Borrowed(upstreams), cut })? {
            Answer::Leaving { in_flight, is_over: false } => Some(in_flight),
            _ => None,
        }
    }

    fn with<T>(&self, talk: impl FnOnce(&UnixStream) -> io::Result<T>) -> Option<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = talk(held.as_ref()?);
        if done.is_err() {
            // It has ended, or is stuck: not waited for again.
            *held = None;
        }
        done.ok()
    }
}
