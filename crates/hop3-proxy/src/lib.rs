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

mod access;
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
mod metric;
mod page;
mod pool;
mod probe;
mod registry;
mod splice;
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
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use worker::{Gate, Order};

/// How a proxy is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub layout: Layout,
    /// Where plain HTTP is served. Port 0 takes a free one.
    pub http: SocketAddr,
    /// The user beside root and the proxy's own who may use the control socket.
    pub allowed_uid: u32,
    /// A file without which the role does not begin: whoever asked for it has changed his mind meanwhile.
    pub wanted: Option<PathBuf>,
}

impl Options {
    /// Controlled by root and the proxy's own user alone.
    pub fn new(layout: Layout, http: SocketAddr) -> Options {
        Options { layout, http, allowed_uid: rustix::process::geteuid().as_raw(), wanted: None }
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
    let running = Running::start(options, Limits::default())?;
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
    /// As many references as threads that still listen, and this one.
    gates: Arc<()>,
    log: JoinHandle<()>,
    lock: hop3_core::lock::RoleLock,
}

/// What the control socket works on.
pub(crate) struct Shared {
    layout: Layout,
    registry: Arc<Registry>,
    allowed_uid: u32,
    /// Held by each change from its saving to its effect; true once no change is taken any more.
    is_stopping: Mutex<bool>,
    orders: watch::Sender<Order>,
}

impl Shared {
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
    /// # Errors
    /// As `run`.
    pub fn start(options: Options, limits: Limits) -> anyhow::Result<Running> {
        let lock = disk::lock(&options)?;
        listener::raise_descriptor_limit();
        let threads = limits.threads.or_else(|| thread::available_parallelism().ok());
        let listeners = listener::bind(options.http, threads.map_or(1, NonZeroUsize::get))
            .with_context(|| format!("listening on {}", options.http))?;
        let http = listeners[0].local_addr()?;
        let registry = Arc::new(Registry::default());
        registry.replace(disk::load(&options.layout));
        let (orders, received) = watch::channel(Order::Serve);
        let shared = Arc::new(Shared {
            layout: options.layout.clone(),
            registry: registry.clone(),
            allowed_uid: options.allowed_uid,
            is_stopping: Mutex::default(),
            orders,
        });
        let (outlet, log) = access::Writer::start(options.layout.request_log(), &limits)?;
        let gates = Arc::new(());
        let workers = listeners.into_iter().map(|listener| {
            let gate = Gate { listener, is_open: gates.clone(), log: outlet.clone() };
            let (registry, limits, orders) = (registry.clone(), limits.clone(), received.clone());
            let work = move || worker::run(registry, limits, gate, orders);
            thread::Builder::new().name("proxy".into()).spawn(work)
        });
        let workers = workers.collect::<Result<Vec<_>, _>>()?;
        drop(outlet);
        probe::start(Arc::downgrade(&shared), &limits)?;
        control::listen(&shared).context("opening the control socket")?;
        let stop_grace = limits.stop_grace;
        Ok(Running { shared, http, stop_grace, workers, gates, log, lock })
    }

    /// The address that was bound.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Closes the listeners, finishes requests under way and ends. Another proxy need not wait for
    /// the last request here: the lock is given back when requests take longer than a moment.
    ///
    /// # Errors
    /// A thread of the proxy has failed before.
    pub fn stop(self) -> anyhow::Result<()> {
        const MOMENT: Duration = Duration::from_millis(150);
        let deadline = Instant::now() + self.stop_grace;
        *self.shared.is_stopping.lock().map_err(|_| anyhow::anyhow!("a control thread panicked"))? = true;
        self.shared.orders.send_replace(Order::Drain);
        wait_until(deadline, || Arc::strong_count(&self.gates) == 1);
        wait_until(deadline.min(Instant::now() + MOMENT), || {
            self.workers.iter().all(JoinHandle::is_finished)
        });
        drop(self.lock);
        wait_until(deadline, || self.workers.iter().all(JoinHandle::is_finished));
        self.shared.orders.send_replace(Order::End);
        for worker in self.workers {
            worker.join().map_err(|_| anyhow::anyhow!("a proxy thread panicked"))??;
        }
        self.log.join().map_err(|_| anyhow::anyhow!("the access log's thread panicked"))?;
        Ok(())
    }
}

fn wait_until(deadline: Instant, is_so: impl Fn() -> bool) {
    while !is_so() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
}
