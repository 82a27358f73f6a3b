// SPDX-License-Identifier: Apache-2.0
//! `Worker`: one thread with its own listener, runtime, connections and upstream pools. Threads share the route
//! table, upstream counters and nothing else.

use crate::access::{Outlet, Sink};
use crate::cert::Challenges;
use crate::client::{Client, Way};
use crate::deadline::{Deadlines, Stop};
use crate::entrance::{Arrived, Entrance};
use crate::limit::Limits;
use crate::pool::Pool;
use crate::proxy_protocol::{self, Ends, Rules};
use crate::registry::Registry;
use crate::ring::{self, Io};
use crate::stream::Stream;
use crate::tcp::{self, Entries, Snapshot};
use crate::tls::{self, Handshakes, Terminator};
use crate::{http2, http3};
use hop3_core::route::Address;
use hop3_core::tcp::Port;
use http::HeaderValue;
use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a thread that ends goes on accepting what the kernel has completed already.
const LAST_CALL: Duration = Duration::from_millis(100);

/// What the threads are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    Serve,
    /// The table changed: close idle connections to upstreams that left it.
    Tidy,
    /// Somebody else accepts on the same sockets: take no new connections; those there are may end after their next
    /// answer, or when they have idled long enough, so that no request meets a closed connection.
    Retire,
    /// Take no new connections, end those that idle, finish the others.
    Drain,
    /// End.
    End,
}

impl Order {
    /// No new connections.
    pub(crate) fn is_end(self) -> bool {
        matches!(self, Order::Retire | Order::Drain | Order::End)
    }
}

pub(crate) struct Worker {
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Limits,
    pub(crate) pool: Pool,
    /// Those that are shared by many requests.
    pub(crate) h2c: http2::Connections,
    pub(crate) streams: http2::Crew,
    pub(crate) deadlines: Deadlines,
    pub(crate) log: Sink,
    pub(crate) handshakes: Handshakes,
    /// There when the proxy listens for HTTPS.
    pub(crate) https: Option<Https>,
    pub(crate) challenges: Arc<Challenges>,
    /// Where the request filter is asked.
    pub(crate) filter: Address,
    rules: Rules,
    pub(crate) quic: http3::Load,
    turn: Cell<usize>,
    is_stopping: Cell<bool>,
    ids: Cell<(u64, u64)>,
}

impl Worker {
    /// Connections may be kept for another request.
    pub(crate) fn may_stay(&self) -> bool {
        !self.is_stopping.get()
    }

    /// Where the balance begins to look, another place each time.
    pub(crate) fn turn(&self) -> usize {
        self.turn.replace(self.turn.get().wrapping_add(1))
    }

    /// The ends of a connection, by the word of its peer where that is believed.
    pub(crate) async fn ends(&self, tcp: &tokio::net::TcpStream, peer: SocketAddr) -> io::Result<Ends> {
        if self.rules.wants_header(peer.ip()) {
            return proxy_protocol::read(tcp).await;
        }
        Ok(Ends { source: peer, destination: tcp.local_addr()? })
    }

    /// Where else the same is to be had (RFC 7838).
    pub(crate) fn alt_svc(&self) -> Option<HeaderValue> {
        let https = self.https.as_ref().filter(|https| https.quic.load(Relaxed))?;
        https.alt_svc.clone()
    }

    /// Closes idle connections to upstreams that left the table.
    fn drop_retired(&self) {
        self.pool.drop_retired();
        self.h2c.drop_retired();
    }

    /// How many requests had their heads read here.
    pub(crate) fn requests(&self) -> u64 {
        self.ids.get().1
    }

    /// 32 hexadecimal digits: 16 of this thread and start, 16 that never repeat here.
    pub(crate) fn request_id(&self) -> [u8; 32] {
        let (seed, count) = self.ids.get();
        self.ids.set((seed, count.wrapping_add(1)));
        // An odd multiplier makes a permutation of the counter, so ids neither repeat nor tell how many there were.
        let mixed = (count ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut id = [0; 32];
        for (i, digit) in id.iter_mut().enumerate() {
            let (word, place) = if i < 16 { (seed, i) } else { (mixed, i - 16) };
            *digit = b"0123456789abcdef"[(word >> (60 - 4 * place)) as usize & 15];
        }
        id
    }
}

/// How HTTPS is served.
#[derive(Clone)]
pub(crate) struct Https {
    pub(crate) port: u16,
    alt_svc: Option<HeaderValue>,
    pub(crate) terminator: Arc<Terminator>,
    /// HTTP/3 is served on the same port.
    pub(crate) quic: Arc<AtomicBool>,
}

impl Https {
    pub(crate) fn new(port: u16, terminator: Terminator) -> Https {
        let alt_svc = HeaderValue::from_str(&format!("h3=\":{port}\"; ma=3600")).ok();
        Https { port, alt_svc, terminator: Arc::new(terminator), quic: Arc::default() }
    }
}

/// Where connections come in.
pub(crate) struct Gate {
    pub(crate) entrance: Entrance,
    /// Without a listener behind a front, which ends TLS.
    pub(crate) https: Option<(Option<TcpListener>, Https)>,
    /// Nobody else accepts on the same socket.
    pub(crate) is_alone: bool,
    /// Of the other ports, which of the listeners there are this thread's.
    pub(crate) ports: (usize, watch::Receiver<Snapshot>),
    /// Who is asked for a header of the PROXY protocol.
    pub(crate) rules: Rules,
    /// Where this thread is the one that serves HTTP/3.
    pub(crate) quic: Option<SocketAddr>,
    /// Dropped when it is shut, for whoever counts.
    pub(crate) is_open: Arc<()>,
    /// Where lines of the access log go.
    pub(crate) log: Outlet,
    pub(crate) io: Io,
    pub(crate) filter: Address,
}

/// Starts a thread.
pub(crate) fn start(
    registry: &Arc<Registry>,
    limits: &Limits,
    challenges: &Arc<Challenges>,
    gate: Gate,
    orders: &watch::Receiver<Order>,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let (registry, limits) = (registry.clone(), limits.clone());
    let (challenges, orders) = (challenges.clone(), orders.clone());
    let work = move || run(registry, limits, challenges, gate, orders);
    thread::Builder::new().name("proxy".into()).spawn(work)
}

/// Serves until it is ordered to end.
fn run(
    registry: Arc<Registry>,
    limits: Limits,
    challenges: Arc<Challenges>,
    mut gate: Gate,
    orders: watch::Receiver<Order>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    let ring = runtime.block_on(async { gate.io.begin() });
    let mut seed = [0; 8];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
    let (tls, https) = gate.https.take().unzip();
    let worker = Rc::new(Worker {
        registry,
        limits,
        pool: Pool::default(),
        h2c: http2::Connections::default(),
        streams: http2::Crew::default(),
        deadlines: Deadlines::default(),
        log: Sink::new(gate.log.clone()),
        handshakes: Handshakes::default(),
        https,
        challenges,
        filter: gate.filter.clone(),
        rules: gate.rules.clone(),
        quic: http3::Load::default(),
        turn: Cell::new(usize::from(seed[0])),
        is_stopping: Cell::new(false),
        ids: Cell::new((u64::from_ne_bytes(seed), 0)),
    });
    let result = runtime.block_on(serve(worker, gate, tls.flatten(), orders));
    // Tasks that are left have sockets.
    drop(runtime);
    if let Some(ring) = ring {
        ring.end();
    }
    result
}

async fn serve(
    worker: Rc<Worker>,
    gate: Gate,
    tls: Option<TcpListener>,
    mut orders: watch::Receiver<Order>,
) -> io::Result<()> {
    let entrance = gate.entrance.watch()?;
    let tls = tls.map(tokio::net::TcpListener::from_std).transpose()?;
    let mut entries = Entries::new(gate.ports.0, gate.ports.1);
    let sweeper = worker.clone();
    tokio::task::spawn_local(async move { sweeper.deadlines.run().await });
    if let (Some(address), Some(https)) = (gate.quic, worker.https.clone()) {
        tokio::task::spawn_local(http3::serve(worker.clone(), https, address, orders.clone()));
    }
    let logger = worker.clone();
    tokio::task::spawn_local(async move { logger.log.run().await });
    let mut tidy = tokio::time::interval(Duration::from_secs(2));
    loop {
        tokio::select! {
            arrived = entrance.accept() => arrive(&worker, arrived).await,
            accepted = next(tls.as_ref()) => accept_tls(&worker, accepted).await,
            (port, accepted) = entries.next() => accept_tcp(&worker, port, accepted).await,
            _ = tidy.tick() => {
                worker.pool.sweep(&worker.limits);
                worker.streams.sweep();
                ring::sweep();
            }
            changed = orders.changed() => {
                let order = *orders.borrow_and_update();
                if changed.is_err() || order.is_end() {
                    break;
                }
                worker.drop_retired();
            }
        }
    }
    if gate.is_alone || *orders.borrow() != Order::Retire {
        // Connections the kernel has completed would be reset with the listener. Others that come all the time do not
        // put off the end.
        let last_call = Instant::now() + LAST_CALL;
        let is_time = || Instant::now() < last_call;
        while is_time()
            && let Ok(arrived) = tokio::time::timeout(Duration::ZERO, entrance.accept()).await
        {
            arrive(&worker, arrived).await;
        }
        while is_time()
            && let Ok(accepted) = tokio::time::timeout(Duration::ZERO, next(tls.as_ref())).await
        {
            accept_tls(&worker, accepted).await;
        }
        while is_time()
            && let Ok((port, accepted)) = tokio::time::timeout(Duration::ZERO, entries.next()).await
        {
            accept_tcp(&worker, port, accepted).await;
        }
    }
    drop((entrance, tls, entries));
    drop(gate.is_open);
    worker.is_stopping.set(true);
    finish(&worker, orders).await;
    worker.deadlines.stop(Stop::All);
    tokio::task::yield_now().await;
    worker.log.flush();
    Ok(())
}

/// Lets the connections there are come to their end.
async fn finish(worker: &Worker, mut orders: watch::Receiver<Order>) {
    loop {
        let order = *orders.borrow_and_update();
        if order == Order::Drain {
            worker.deadlines.stop(Stop::Idle);
        }
        if order == Order::End || worker.deadlines.connections() == 0 {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(10)) => {
                worker.drop_retired();
                ring::sweep();
            }
            changed = orders.changed() => if changed.is_err() { return },
        }
    }
}

type Accepted = io::Result<(tokio::net::TcpStream, SocketAddr)>;

/// The next connection; never one where nobody listens.
async fn next(listener: Option<&tokio::net::TcpListener>) -> Accepted {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn arrive(worker: &Rc<Worker>, arrived: io::Result<Arrived>) {
    let client = |stream, way| Client::new(worker.clone(), stream, way);
    match arrived {
        Ok(Arrived::Visitor(stream, peer)) if worker.rules.wants_header(peer.ip()) => {
            introduce(worker, stream, peer);
        }
        Ok(Arrived::Visitor(stream, peer)) => {
            let Ok(stream) = Stream::tcp(stream) else { return };
            tokio::task::spawn_local(client(stream, Way::http1(peer.ip(), None)).serve());
        }
        Ok(Arrived::Front(stream)) => drop(tokio::task::spawn_local(client(stream, Way::behind()).serve())),
        Err(error) => not_accepted(error).await,
    }
}

/// Serves a connection once its header has told whose it is.
fn introduce(worker: &Rc<Worker>, stream: tokio::net::TcpStream, peer: SocketAddr) {
    // Here, so that a thread that ends waits for it.
    let (worker, watch) = (worker.clone(), worker.deadlines.watch());
    tokio::task::spawn_local(async move {
        worker.deadlines.set(&watch, worker.limits.head_timeout);
        match watch.in_time(worker.ends(&stream, peer)).await {
            Some(Ok(ends)) => {
                let Ok(stream) = Stream::tcp(stream) else { return };
                let client = Client::new(worker, stream, Way::http1(ends.source.ip(), None));
                tokio::task::spawn_local(client.serve());
            }
            Some(Err(error)) => tracing::debug!(%error, %peer, "connection"),
            None => {}
        }
    });
}

async fn accept_tls(worker: &Rc<Worker>, accepted: Accepted) {
    match (accepted, &worker.https) {
        (Ok((stream, peer)), Some(https)) => tls::serve(worker, &https.terminator, stream, peer),
        (Err(error), _) => not_accepted(error).await,
        (Ok(_), None) => {}
    }
}

async fn accept_tcp(worker: &Rc<Worker>, port: Port, accepted: Accepted) {
    match accepted {
        Ok((stream, peer)) => tcp::accept(worker, port, stream, peer),
        Err(error) => not_accepted(error).await,
    }
}

async fn not_accepted(error: io::Error) {
    // No descriptors left, as a rule: the connection waits in the kernel until some are free.
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(20)).await;
}
