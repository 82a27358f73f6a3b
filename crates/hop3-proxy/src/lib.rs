// SPDX-License-Identifier: Apache-2.0
//! The proxy: serves HTTP from a route table. Knows hosts, paths, upstreams and files, and no more.
//!
//! ```text
//!             control socket ──▶ Registry ──swap──▶ Table          (all threads read it)
//!                                                     │
//! client ──▶ Worker (thread) ──▶ Client ──▶ route ──▶ exchange ──▶ upstream
//!             own listener,       one per              │ upload   ──▶
//!             own pools           connection           │ download ◀──
//!                                  │                    └ files, page
//!             http2, http3: one     └ policy: what a service wants done beside
//! ```
//! Promise: a change of the table drops no request. Reading order: `http1`, `table`, `registry`, `upstream`,
//! `exchange` (when a request may be tried again), `client`, `worker`, `control`.

mod access;
mod buffer;
pub mod cert;
mod client;
pub mod control;
mod deadline;
mod disk;
mod download;
mod entrance;
mod exchange;
mod ferry;
mod files;
mod front;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handover;
mod http1;
mod http2;
mod http3;
mod journal;
mod limit;
mod listener;
mod memory;
mod metric;
mod page;
mod policy;
mod pool;
mod probe;
mod proxy_protocol;
mod redirect;
mod registry;
mod ring;
mod splice;
mod stream;
mod table;
mod tcp;
mod tls;
mod tunnel;
mod upload;
mod upstream;
mod wake;
mod worker;

#[cfg(test)]
mod tests;

pub use disk::AlreadyRunning;
pub use front::{Behind, Front, Sockets};
pub use limit::{AcmeLimits, Limits, MAX_HEADERS};
pub use ring::Io;

use anyhow::Context;
use cert::acme::{self, Keeper};
use cert::{CertStore, Challenges, Resolver};
use entrance::Entrance;
use handover::{Estate, Holdings, Listeners, Predecessor};
use hop3_core::layout::Layout;
use hop3_core::lock::RoleLock;
use hop3_core::policy::Net;
use hop3_core::route::Address;
use hop3_core::tcp::Port;
use journal::Journal;
use proxy_protocol::Rules;
use registry::Registry;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tcp::Ports;
use tls::Terminator;
use tokio::sync::{Notify, watch};
use worker::{Gate, Https, Order};

/// How a proxy is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub layout: Layout,
    /// Where plain HTTP is served. Port 0 takes a free one.
    pub http: SocketAddr,
    /// Where HTTPS is served, if it is. Port 0 takes a free one.
    pub https: Option<SocketAddr>,
    /// Whoever connects from these must begin with a header of the PROXY protocol, and is believed. Nobody else is.
    pub introducers: Vec<Net>,
    /// How bytes come and go.
    pub io: Io,
    /// The user beside root and the proxy's own who may use the control socket.
    pub allowed_uid: u32,
    /// A file without which the role does not begin: whoever asked for it has changed his mind meanwhile.
    pub wanted: Option<PathBuf>,
    /// Take the place of the proxy that lives, with its sockets.
    pub takes_over: bool,
    /// Who accepts in this one's place.
    pub front: Option<Arc<dyn Front>>,
}

impl Options {
    /// Controlled by root and the proxy's own user alone.
    pub fn new(layout: Layout, http: SocketAddr) -> Options {
        Options {
            layout,
            http,
            https: None,
            introducers: Vec::new(),
            io: Io::default(),
            allowed_uid: rustix::process::geteuid().as_raw(),
            wanted: None,
            takes_over: false,
            front: None,
        }
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
    let front = options.front.clone();
    let running = Running::start(options, Limits::default())?;
    let is_replaced = runtime.block_on(async {
        tokio::select! {
            _ = term.recv() => false,
            _ = int.recv() => false,
            () = running.replaced() => true,
        }
    });
    if let Some(front) = front {
        // It passes requests on until its last one, so it ends first.
        let (told, ended) = tokio::sync::oneshot::channel::<()>();
        thread::Builder::new().name("front".into()).spawn(move || {
            front.end(is_replaced);
            drop(told);
        })?;
        runtime.block_on(async {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {}, _ = ended => {} }
        });
    }
    if is_replaced {
        let ended = running.all_done();
        runtime.block_on(async {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {}, () = ended => {} }
        });
    }
    running.stop()
}

/// A proxy at work.
pub struct Running {
    shared: Arc<Shared>,
    http: SocketAddr,
    https: Option<SocketAddr>,
    stop_grace: Duration,
    handover_grace: Duration,
    workers: Vec<JoinHandle<std::io::Result<()>>>,
    /// As many references as threads that still listen, and this one.
    gates: Arc<()>,
    log: JoinHandle<()>,
}

/// What the control socket works on.
pub(crate) struct Shared {
    layout: Layout,
    registry: Arc<Registry>,
    ports: Ports,
    certificates: Arc<Resolver>,
    keeper: Keeper,
    allowed_uid: u32,
    journal: Mutex<Journal>,
    /// Held by each change from its saving to its effect; true once no change is taken any more.
    is_stopping: Mutex<bool>,
    orders: watch::Sender<Order>,
    holdings: Mutex<Holdings>,
    /// Told when a successor serves, and when it ends on purpose.
    replaced: Notify,
    finish: Notify,
    predecessor: Predecessor,
}

impl Shared {
    fn holdings(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens what the table leads from. A port that cannot be had keeps nobody from the others; whoever applies the
    /// table again tries again.
    fn open_ports(&self, ports: impl IntoIterator<Item = Port>) {
        for port in ports {
            if let Err(problem) = self.ports.open(port) {
                tracing::error!(%port, problem = problem.title, detail = problem.detail, "a port stays closed");
            }
        }
    }

    /// At the start: opens what the saved table leads from, closes what a predecessor had beside.
    fn settle_ports(&self) {
        self.open_ports(self.registry.ports());
        self.close_ports();
    }

    /// Closes what the table does not lead from any more.
    fn close_ports(&self) {
        self.ports.keep(&self.registry.ports());
    }

    /// Another process is the proxy now, or may become it.
    fn is_relieved(&self) -> bool {
        self.holdings().lock.is_none()
    }

    /// Lets the threads close idle connections to upstreams that left the table, and the keeper see new hosts.
    fn tidy(&self) {
        self.keeper.wake();
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
    /// As `run`; that nobody is there whose place could be taken.
    pub fn start(options: Options, limits: Limits) -> anyhow::Result<Running> {
        listener::raise_descriptor_limit();
        let options = Options { io: options.io.granted(), ..options };
        let mut estate = match options.takes_over {
            true => handover::receive(&options.layout)?,
            false => Estate {
                lock: disk::lock(&options)?,
                listeners: Listeners::default(),
                behind: None,
                ports: BTreeMap::new(),
                predecessor: Predecessor::default(),
            },
        };
        // A front that runs has sockets of its own, when nobody hands them over.
        let has_own = options.front.as_ref().is_some_and(|front| front.is_running());
        if estate.listeners.http.is_empty() && !has_own {
            estate.listeners = listen(&options, &limits)?;
        }
        Running::serve(options, limits, estate)
    }

    fn serve(mut options: Options, limits: Limits, estate: Estate) -> anyhow::Result<Running> {
        let Estate { lock, listeners, behind, ports, predecessor } = estate;
        let (http, https) = listeners.addresses(options.http)?;
        let registry = Arc::new(Registry::new(policy::Key::open(&options.layout)?));
        let count = if options.front.is_some() { threads(&limits) } else { listeners.http.len() };
        let ports = Ports::new(http, https, count, ports);
        let (journal, table) = Journal::load(&options.layout);
        registry.replace(table);
        let store = Arc::new(CertStore::open(&options.layout).context("opening the certificates")?);
        let challenges = Arc::new(Challenges::default());
        let cached = limits.certificates;
        let certificates = Arc::new(Resolver::new(&options.layout, registry.clone(), store.clone(), cached));
        let terminator =
            Terminator::new(registry.clone(), certificates.clone(), challenges.clone(), &limits)?;
        let secure = https.map(|address| Https::new(address.port(), terminator));
        let keeper = Keeper::new(acme::Parts {
            layout: options.layout.clone(),
            registry: registry.clone(),
            store,
            challenges: challenges.clone(),
            limits: limits.acme.clone(),
        });
        let (orders, received) = watch::channel(Order::Serve);
        let kept = listeners.copy()?;
        let (entrances, https_listeners, behind) = enter(&mut options, &limits, listeners, behind)?;
        let shared = Arc::new(Shared {
            layout: options.layout.clone(),
            registry: registry.clone(),
            ports,
            certificates,
            keeper,
            allowed_uid: options.allowed_uid,
            journal: Mutex::new(journal),
            is_stopping: Mutex::default(),
            orders,
            holdings: Mutex::new(Holdings { lock: Some(lock), listeners: kept, behind }),
            replaced: Notify::new(),
            finish: Notify::new(),
            predecessor,
        });
        shared.settle_ports();
        let (outlet, log) = access::Writer::start(options.layout.request_log(), &limits)?;
        let gates = Arc::new(());
        let is_alone = options.front.is_some();
        let (mut tls_listeners, mut quic) = (https_listeners.into_iter(), for_http3(&options, https));
        let workers = entrances.into_iter().enumerate().map(|(place, entrance)| {
            let gate = Gate {
                entrance,
                https: secure.clone().map(|https| (tls_listeners.next(), https)),
                quic: quic.take(),
                ports: (place, shared.ports.subscribe()),
                rules: Rules::new(&options.introducers),
                is_alone,
                is_open: gates.clone(),
                log: outlet.clone(),
                io: options.io,
                filter: Address::Unix(options.layout.waf_socket()),
            };
            worker::start(&registry, &limits, &challenges, gate, &received)
        });
        let workers = workers.collect::<Result<Vec<_>, _>>()?;
        drop(outlet);
        probe::start(Arc::downgrade(&shared), &limits)?;
        control::listen(&shared).context("opening the control socket")?;
        if options.takes_over {
            shared.holdings().lock.as_ref().map_or(Ok(()), RoleLock::sign)?;
            shared.predecessor.relieve();
        }
        shared.keeper.start()?;
        let (stop_grace, handover_grace) = (limits.stop_grace, limits.handover_grace);
        Ok(Running { shared, http, https, stop_grace, handover_grace, workers, gates, log })
    }

    /// Waits until a successor has taken this proxy's place.
    pub async fn replaced(&self) {
        self.shared.replaced.notified().await;
    }

    /// Accepts no more, and waits until what is under way has ended by itself, here and in older proxies that are
    /// told of changes through this one, or its time is up.
    pub async fn all_done(&self) {
        self.shared.orders.send_replace(Order::Retire);
        let deadline = Instant::now() + self.handover_grace;
        let is_done = || self.workers.iter().all(JoinHandle::is_finished) && !self.shared.predecessor.lives();
        let over = async {
            while Instant::now() < deadline && !is_done() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! { () = over => {}, () = self.shared.finish.notified() => {} }
    }

    /// The address that was bound.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The address that was bound for HTTPS.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https
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
        // A listener that is open and that nobody accepts from would keep connections waiting.
        let lock = self.shared.holdings().lock.take();
        *self.shared.holdings() = Holdings { lock, ..Holdings::default() };
        self.shared.ports.forget();
        self.shared.orders.send_replace(Order::Drain);
        self.shared.keeper.stop();
        self.shared.predecessor.finish();
        wait_until(deadline, || Arc::strong_count(&self.gates) == 1);
        wait_until(deadline.min(Instant::now() + MOMENT), || {
            self.workers.iter().all(JoinHandle::is_finished)
        });
        *self.shared.holdings() = Holdings::default();
        wait_until(deadline, || self.workers.iter().all(JoinHandle::is_finished));
        self.shared.orders.send_replace(Order::End);
        for worker in self.workers {
            worker.join().map_err(|_| anyhow::anyhow!("a proxy thread panicked"))??;
        }
        self.log.join().map_err(|_| anyhow::anyhow!("the access log's thread panicked"))?;
        Ok(())
    }
}

/// Listening sockets where the options say.
fn listen(options: &Options, limits: &Limits) -> anyhow::Result<Listeners> {
    // What a front has left behind may accept there still, and so may that of a predecessor.
    let is_shared = options.takes_over || options.front.is_some();
    let bind = |address| {
        let bound = match is_shared {
            true => listener::bind_beside(address, threads(limits)),
            false => listener::bind(address, threads(limits)),
        };
        bound.with_context(|| format!("listening on {address}"))
    };
    let http = bind(options.http)?;
    Ok(Listeners { http, https: options.https.map(bind).transpose()?.unwrap_or_default() })
}

type Entrances = (Vec<Entrance>, Vec<TcpListener>, Option<UnixListener>);

/// Where this proxy itself accepts: behind its front, once that accepts on the listeners in its place. Where that does
/// not start and nobody else serves, this proxy goes on without it.
fn enter(
    options: &mut Options,
    limits: &Limits,
    listeners: Listeners,
    handed: Option<UnixListener>,
) -> anyhow::Result<Entrances> {
    let open = |listeners: Listeners| -> Entrances {
        (listeners.http.into_iter().map(Entrance::Open).collect(), listeners.https, None)
    };
    let Some(front) = options.front.take() else { return Ok(open(listeners)) };
    let (entrances, socket) = entrance::behind(&front.behind(), threads(limits), handed)
        .context("listening for what the front passes on")?;
    let own = listeners.copy()?;
    match front.begin(Sockets::new(listeners.http, listeners.https)) {
        Ok(()) => {
            options.front = Some(front);
            Ok((entrances, Vec::new(), Some(socket)))
        }
        Err(error) if options.takes_over || own.http.is_empty() => Err(error),
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "the front does not start; this proxy serves in its place"
            );
            Ok(open(own))
        }
    }
}

/// Where HTTP/3 is served: not behind a front, which accepts in our place; nor behind a balancer that tells who connects,
/// since it tells it of TCP alone, and over UDP all visitors would be the balancer.
fn for_http3(options: &Options, https: Option<SocketAddr>) -> Option<SocketAddr> {
    https.filter(|_| options.front.is_none() && options.introducers.is_empty())
}

fn threads(limits: &Limits) -> usize {
    let threads = limits.threads.or_else(|| thread::available_parallelism().ok());
    threads.map_or(1, NonZeroUsize::get)
}

fn wait_until(deadline: Instant, is_so: impl Fn() -> bool) {
    while !is_so() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
}
