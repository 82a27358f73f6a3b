// SPDX-License-Identifier: Apache-2.0
//! One connection from accept to close: an instance is looked for, connected to, told who comes where it asked for
//! that, and then bytes go both ways.
//!
//! Invariant: whoever is cut off, by a time limit or because the other side broke, sees a reset, never an end that
//! looks as if everything had come.

use crate::access::{self, Passage};
use crate::buffer::Buffer;
use crate::deadline::{Verdict, Watch};
use crate::exchange::Search;
use crate::metric::Sample;
use crate::proxy_protocol::{self, Ends};
use crate::stream::Stream;
use crate::table::{LivePool, LiveService};
use crate::tunnel::{self, Ended, Silence};
use crate::upstream::{InFlight, Open, Upstream};
use crate::wake::{self, Asleep};
use crate::worker::Worker;
use hop3_core::tcp::{Entry, Port};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A connection with what is known of it.
pub(crate) struct Arrived {
    pub(crate) tcp: TcpStream,
    pub(crate) ends: Ends,
    pub(crate) entry: Entry,
    /// What was read of it to find out where it goes.
    pub(crate) begun: Buffer,
}

/// How a connection ended, as the log says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Closed,
    /// One side broke.
    Broken,
    Idle,
    /// The drain deadline passed, or the proxy ended.
    Cut,
    /// No instance took it.
    Refused,
    /// The service does not let its address in.
    Denied,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Outcome::Closed => "closed",
            Outcome::Broken => "broken",
            Outcome::Idle => "idle",
            Outcome::Cut => "cut",
            Outcome::Refused => "refused",
            Outcome::Denied => "denied",
        }
    }
}

/// Serves a connection to a port of its own, on a task of its own.
pub(crate) fn accept(worker: &Rc<Worker>, port: Port, tcp: TcpStream, peer: SocketAddr) {
    // Here, so that a thread that ends waits for it.
    let (worker, watch) = (worker.clone(), worker.deadlines.watch());
    tokio::task::spawn_local(async move {
        worker.deadlines.set(&watch, worker.limits.head_timeout);
        match watch.in_time(worker.ends(&tcp, peer)).await {
            Some(Ok(ends)) => {
                let arrived = Arrived { tcp, ends, entry: Entry::Port(port), begun: Buffer::default() };
                carry(&worker, &watch, arrived).await;
            }
            Some(Err(error)) => tracing::debug!(%error, %peer, %port, "connection"),
            None => {}
        }
    });
}

/// Carries a connection to its end.
pub(crate) async fn carry(worker: &Worker, watch: &Watch, arrived: Arrived) {
    let Arrived { tcp, ends, entry, begun } = arrived;
    let Ok(client) = Stream::tcp(tcp) else { return };
    // The route of this moment has the connection in its figures, whatever becomes of the table meanwhile.
    let found =
        worker.registry.table().tcp(&entry).map(|(service, route)| (service.clone(), route.metrics.clone()));
    let Some((service, metrics)) = found else { return client.abort() };
    metrics.begin();
    let (start, read_before) = (Instant::now(), begun.len() as u64);
    let is_let_in = service.policy.as_ref().is_none_or(|policy| policy.lets_in(ends.source.ip()));
    let reached = if is_let_in { reach(worker, watch, &entry).await } else { None };
    let upstream = reached.as_ref().map(|reached| (reached.open.upstream().clone(), start.elapsed()));
    let outcome = match reached {
        Some(reached) => relay(worker, watch, (&client, begun), &ends, reached).await,
        None if is_let_in => Outcome::Refused,
        None => Outcome::Denied,
    };
    watch.hold(None);
    if outcome != Outcome::Closed {
        client.abort();
    }
    let traffic = client.traffic();
    let sample = Sample {
        // Those that were carried are told apart from requests as upgraded connections are: by having no latency.
        status: match outcome {
            Outcome::Refused => 503,
            Outcome::Denied => 403,
            _ => 101,
        },
        bytes_in: traffic.received + read_before,
        bytes_out: traffic.sent,
        took: start.elapsed(),
    };
    metrics.end(&sample);
    let passage = Passage { service: &service, entry: &entry, ends: &ends, outcome, upstream };
    access::passed(&passage, &sample, worker.requests(), &worker.log);
}

/// A fresh connection to an instance, which is held in flight by the watch.
struct Reached {
    stream: Stream,
    open: Open,
    idle: Duration,
    proxy_protocol: bool,
}

/// Looks for a willing instance. Nothing was sent, so any number may be tried.
async fn reach(worker: &Worker, watch: &Watch, entry: &Entry) -> Option<Reached> {
    let mut search = Search::default();
    loop {
        let (pool, in_flight, proxy_protocol) = match pick(worker, entry)? {
            Ok(picked) => picked,
            Err(asleep) => {
                let limit = Duration::from_millis(asleep.pool.on_demand.as_ref()?.deadline_ms);
                let until = *search.held_since.get_or_insert_with(tokio::time::Instant::now) + limit;
                wake::wait((worker, watch), &asleep, until, std::future::pending()).await.ok()?;
                continue;
            }
        };
        search.picked(in_flight.upstream().is_healthy());
        let upstream = in_flight.upstream().clone();
        watch.hold(Some(in_flight));
        worker.deadlines.set(watch, Duration::ZERO);
        // The drain's deadline ends a connection that is being made too.
        let connected = watch.in_time(connect(&upstream, pool.timeouts.connect_ms)).await?;
        if let Some((stream, open)) = connected {
            upstream.heard();
            let idle = Duration::from_millis(pool.timeouts.idle_ms);
            return Some(Reached { stream, open, idle, proxy_protocol });
        }
        upstream.failed();
        watch.hold(None);
        if !search.goes_on(&worker.limits, &pool).await {
            return None;
        }
    }
}

type Picked = (Arc<LivePool>, InFlight, bool);

/// The least busy instance of the table of this moment. `None` when there is none, nor will be.
fn pick(worker: &Worker, entry: &Entry) -> Option<Result<Picked, Asleep>> {
    loop {
        let table = worker.registry.table();
        let (service, route) = table.tcp(entry)?;
        let service: &Arc<LiveService> = service;
        let Some(upstream) = route.pool.pick(worker.turn()) else {
            let asleep = || Asleep { service: service.clone(), pool: route.pool.clone() };
            return route.pool.on_demand.is_some().then(|| Err(asleep()));
        };
        // Refused when it has left the table since; the table of now is another one then.
        if let Some(in_flight) = upstream.enter() {
            return Some(Ok((route.pool.clone(), in_flight, route.proxy_protocol)));
        }
    }
}

async fn connect(upstream: &Arc<Upstream>, limit_ms: u64) -> Option<(Stream, Open)> {
    let open = Open::count(upstream);
    let connecting = Stream::connect(&upstream.address);
    let stream = match limit_ms {
        0 => connecting.await.ok()?,
        limit => tokio::time::timeout(Duration::from_millis(limit), connecting).await.ok()?.ok()?,
    };
    Some((stream, open))
}

async fn relay(
    worker: &Worker,
    watch: &Watch,
    (client, begun): (&Stream, Buffer),
    ends: &Ends,
    reached: Reached,
) -> Outcome {
    let mut up = begun;
    if reached.proxy_protocol {
        // In one write with what follows: receivers may refuse a header that comes in pieces.
        up.open().splice(..0, proxy_protocol::write(ends));
    }
    let silence = Silence { both: reached.idle, one: reached.idle };
    let sides = ((client, up), (&reached.stream, Buffer::default()));
    let outcome = match tunnel::carry(sides, &worker.deadlines, watch, silence).await {
        Ended::Whole => Outcome::Closed,
        Ended::Broken => Outcome::Broken,
        Ended::Late(Verdict::TimedOut) => Outcome::Idle,
        Ended::Late(Verdict::Cut) => Outcome::Cut,
    };
    if outcome != Outcome::Closed {
        reached.stream.abort();
    }
    outcome
}
