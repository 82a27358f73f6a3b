// SPDX-License-Identifier: Apache-2.0
//! `Ports`: which ports are open beside those for HTTP and HTTPS. Opened before the table leads anywhere from them, so
//! that a port that cannot be had is told to whoever asks for it; closed after.
//!
//! Invariant: a port is either open for every thread or for none, and one that was closed can be had by others when
//! the call returns, unless a thread is stuck.

use crate::listener;
use hop3_core::tcp::Port;
use hop3_core::{Kind, Problem};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long threads may take to let a port go: they do it at once.
const LET_GO: Duration = Duration::from_secs(1);

/// One open port: a listener for each thread.
pub(crate) struct Opened {
    pub(super) listeners: Vec<TcpListener>,
    /// As many references as threads that accept, and one.
    pub(super) held: Arc<()>,
}

impl Opened {
    pub(crate) fn new(listeners: Vec<TcpListener>) -> Opened {
        Opened { listeners, held: Arc::default() }
    }

    pub(crate) fn listeners(&self) -> &[TcpListener] {
        &self.listeners
    }
}

/// What the threads shall listen on.
pub(crate) type Snapshot = Arc<BTreeMap<Port, Arc<Opened>>>;

pub(crate) struct Ports {
    address: IpAddr,
    /// Those for HTTP and HTTPS.
    own: Vec<u16>,
    threads: usize,
    told: Mutex<watch::Sender<Snapshot>>,
}

impl Ports {
    /// Beside these addresses, with what a predecessor had open.
    pub(crate) fn new(
        http: SocketAddr,
        https: Option<SocketAddr>,
        threads: usize,
        open: BTreeMap<Port, Vec<TcpListener>>,
    ) -> Ports {
        let own = std::iter::once(http).chain(https).map(|address| address.port()).collect();
        let open = open.into_iter().map(|(port, listeners)| (port, Arc::new(Opened::new(listeners))));
        let (told, _) = watch::channel(Arc::new(open.collect()));
        Ports { address: http.ip(), own, threads, told: Mutex::new(told) }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.lock().subscribe()
    }

    /// What is open at the moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().borrow().clone()
    }

    /// Listens on a port. One that is open stays as it is.
    pub(crate) fn open(&self, port: Port) -> Result<(), Problem> {
        let told = self.lock();
        if told.borrow().contains_key(&port) {
            return Ok(());
        }
        if self.own.contains(&port.get()) {
            return Err(Problem::new(
                Kind::Conflict,
                "tcp.port-own",
                format!("port {port} is the proxy's own"),
            )
            .hint("choose another port for [[tcp]] in hop3.toml"));
        }
        let address = SocketAddr::new(self.address, port.get());
        let listeners = listener::bind(address, self.threads).map_err(|error| not_opened(address, &error))?;
        let mut next = BTreeMap::clone(&told.borrow());
        next.insert(port, Arc::new(Opened::new(listeners)));
        told.send_replace(Arc::new(next));
        Ok(())
    }

    /// Closes all others.
    pub(crate) fn keep(&self, wanted: &BTreeSet<Port>) {
        let told = self.lock();
        let current = told.borrow().clone();
        let (kept, closed): (BTreeMap<_, _>, BTreeMap<_, _>) = current
            .iter()
            .map(|(port, opened)| (*port, opened.clone()))
            .partition(|(port, _)| wanted.contains(port));
        if closed.is_empty() {
            return;
        }
        drop(current);
        told.send_replace(Arc::new(kept));
        let deadline = Instant::now() + LET_GO;
        let is_held = || closed.values().any(|opened| Arc::strong_count(&opened.held) > 1);
        while is_held() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Leaves the ports to the threads, which accept for as long as they are meant to.
    pub(crate) fn forget(&self) {
        self.lock().send_if_modified(|open| {
            *open = Snapshot::default();
            false
        });
    }

    fn lock(&self) -> MutexGuard<'_, watch::Sender<Snapshot>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_opened(address: SocketAddr, error: &io::Error) -> Problem {
    let port = address.port();
    let (code, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "tcp.port-in-use",
            "another program of the machine listens there; end it, or choose another port",
        ),
        io::ErrorKind::PermissionDenied => {
            ("tcp.port-denied", "the proxy's user may not listen on ports below 1024")
        }
        _ => ("tcp.port-not-opened", "choose another port"),
    };
    Problem::new(Kind::Conflict, code, format!("the proxy cannot listen on port {port}"))
        .detail(format!("{address}: {error}"))
        .hint(hint)
}
