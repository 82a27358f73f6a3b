// SPDX-License-Identifier: Apache-2.0
//! The proxy: serves HTTP from a route table. Knows hosts, paths, upstreams and files, and no more.
//!
//! ```text
//!             control socket ──▶ Registry ──swap──▶ Table          (all threads read it)
//!                                                     │
//! client ──▶ Worker (thread) ──▶ Client ──▶ route ──▶ exchange ──▶ upstream
//!             own listener,       one per              │ upload   ──▶
//!             own pools           connection           │ download ◀──
//!                                                      └ files, page
//! ```
//! Promise: a change of the table drops no request. Reading order: `http1`, `table`, `registry`, `upstream`,
//! `exchange` (when a request may be tried again), `client`, `worker`, `control`.

mod buffer;
mod client;
pub mod control;
mod deadline;
mod disk;
mod download;
mod exchange;
mod files;
mod http1;
mod limit;
mod listener;
mod page;
mod pool;
mod probe;
mod registry;
mod stream;
mod table;
mod tunnel;
mod upload;
mod upstream;
mod worker;

#[cfg(test)]
mod tests;

pub use disk::AlreadyRunning;
pub use limit::{Limits, MAX_HEADERS};

use anyhow::Context;
use hop3_core::layout::Layout;
use registry::Registry;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use worker::Order;

/// How a proxy is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub layout: Layout,
    /// Where plain HTTP is served. Port 0 takes a free one.
    pub http: SocketAddr,
    /// A user beside root and the proxy's own who may use the control socket.
    pub allowed_uid: Option<u32>,
    /// One for each core by default.
    pub threads: Option<NonZeroUsize>,
    pub limits: Limits,
}

impl Options {
    pub fn new(layout: Layout, http: SocketAddr) -> Options {
        Options { layout, http, allowed_uid: None, threads: None, limits: Limits::default() }
    }
}

/// Serves until SIGTERM or SIGINT, then finishes what is under way.
///
/// # Errors
/// `AlreadyRunning` (by downcast) when another proxy works for the root; an address that cannot be bound.
pub fn run(options: Options) -> anyhow::Result<()> {
    // Before the first connection: a signal that arrives early must not kill without draining.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut term, mut int) = runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        anyhow::Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    })?;
    let running = Running::start(options)?;
    runtime.block_on(async {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    });
    running.stop()
}

/// A proxy at work.
pub struct Running {
    shared: Arc<Shared>,
    http: SocketAddr,
    stop_grace: Duration,
    workers: Vec<JoinHandle<std::io::Result<()>>>,
    saver: JoinHandle<()>,
    _lock: hop3_core::lock::RoleLock,
}

/// What the control socket works on.
pub(crate) struct Shared {
    layout: Layout,
    registry: Arc<Registry>,
    allowed_uid: Option<u32>,
    orders: watch::Sender<Order>,
    /// Woken at each change of the table; `None` ends the saver.
    changes: std::sync::mpsc::Sender<Option<()>>,
}

impl Shared {
    fn table_changed(&self) {
        self.changes.send(Some(())).ok();
        self.tidy();
    }

    /// Lets the threads close idle connections to upstreams that left the table.
    fn tidy(&self) {
        self.orders.send_if_modified(|order| {
            let serving = matches!(order, Order::Serve | Order::Tidy);
            if serving {
                *order = Order::Tidy;
            }
            serving
        });
    }
}

impl Running {
    pub fn start(options: Options) -> anyhow::Result<Running> {
        let lock = disk::lock(&options.layout)?;
        listener::raise_descriptor_limit();
        let threads = options.threads.or_else(|| thread::available_parallelism().ok());
        let listeners = listener::bind(options.http, threads.map_or(1, NonZeroUsize::get))
            .with_context(|| format!("listening on {}", options.http))?;
        let http = listeners[0].local_addr()?;
        let registry = Arc::new(Registry::default());
        registry.replace(disk::load(&options.layout));
        let (orders, received) = watch::channel(Order::Serve);
        let (changes, changed) = std::sync::mpsc::channel();
        let shared = Arc::new(Shared {
            layout: options.layout.clone(),
            registry: registry.clone(),
            allowed_uid: options.allowed_uid,
            orders,
            changes,
        });
        let workers = listeners.into_iter().map(|listener| {
            let (registry, limits, orders) = (registry.clone(), options.limits.clone(), received.clone());
            let work = move || worker::run(registry, limits, listener, orders);
            thread::Builder::new().name("proxy".into()).spawn(work)
        });
        let workers = workers.collect::<Result<Vec<_>, _>>()?;
        let saver = thread::Builder::new().name("saver".into()).spawn(move || {
            save_changes(&options.layout, &registry, &changed);
        })?;
        probe::start(Arc::downgrade(&shared), &options.limits)?;
        control::listen(&shared).context("opening the control socket")?;
        let stop_grace = options.limits.stop_grace;
        Ok(Running { shared, http, stop_grace, workers, saver, _lock: lock })
    }

    /// The address that was bound.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Finishes requests under way, saves the table and ends.
    pub fn stop(self) -> anyhow::Result<()> {
        self.shared.orders.send_replace(Order::Drain);
        let deadline = Instant::now() + self.stop_grace;
        while self.workers.iter().any(|worker| !worker.is_finished()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        self.shared.orders.send_replace(Order::End);
        self.shared.changes.send(None).ok();
        for worker in self.workers {
            worker.join().map_err(|_| anyhow::anyhow!("a proxy thread panicked"))??;
        }
        self.saver.join().map_err(|_| anyhow::anyhow!("the saving thread panicked"))
    }
}

/// Saves the table after changes, a burst of them once.
fn save_changes(layout: &Layout, registry: &Registry, changed: &std::sync::mpsc::Receiver<Option<()>>) {
    const BURST: Duration = Duration::from_millis(100);
    let mut is_over = false;
    while !is_over {
        is_over = matches!(changed.recv(), Ok(None) | Err(_));
        let burst_end = Instant::now() + BURST;
        while !is_over {
            match changed.recv_timeout(burst_end.saturating_duration_since(Instant::now())) {
                Ok(Some(())) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => break,
                Ok(None) | Err(_) => is_over = true,
            }
        }
        if let Err(error) = disk::save(layout, &registry.snapshot()) {
            tracing::error!(%error, "the route table cannot be saved");
        }
    }
}
