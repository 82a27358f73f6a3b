// SPDX-License-Identifier: Apache-2.0
//! The control socket: one JSON request per line, one JSON answer per line, on a connection that may be kept.
//!
//! Invariant: an answer to a change means that every request from now on is routed by it, and that it has been saved:
//! not even a proxy that is killed forgets it. Only root, the proxy's own user and the one user named at start are
//! listened to.

use crate::Shared;
use hop3_core::driver::{Drained, ProxyStatus};
use hop3_core::observe::RouteFigures;
use hop3_core::route::{RouteTable, Service};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A table of 100,000 services fits.
const MAX_LINE: u64 = 256 << 20;

/// What the proxy can be told.
#[derive(Debug, Serialize, Deserialize)]
// Not internally tagged: that would read a table of thousands twice.
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Request<'a> {
    Replace { table: Cow<'a, RouteTable> },
    Put { service: Cow<'a, Service> },
    Remove { name: String },
    Drain { upstreams: Vec<String>, deadline_ms: u64 },
    Status,
    Figures,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Done,
    Drained(Drained),
    Status(ProxyStatus),
    Figures(Vec<RouteFigures>),
    /// In words, for the operator.
    Refused(String),
}

enum Change {
    Replace(RouteTable),
    Put(Service),
    Remove(String),
}

/// Listens for as long as the process lives.
pub(crate) fn listen(shared: &Arc<Shared>) -> io::Result<()> {
    let path = shared.layout.proxy_socket();
    // The lock is held, so a socket that exists is a dead proxy's.
    std::fs::remove_file(&path)
        .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
    let listener = UnixListener::bind(&path)?;
    // Who may speak is decided by credentials, so that the server needs no group in common.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    let shared = shared.clone();
    let accept = move || {
        for connection in listener.incoming() {
            let shared = shared.clone();
            let serve = move |connection: UnixStream| {
                if let Err(error) = serve(&shared, &connection) {
                    tracing::warn!(%error, "control connection");
                }
            };
            let started = connection.and_then(|connection| {
                thread::Builder::new().name("control".into()).spawn(move || serve(connection))
            });
            if let Err(error) = started {
                tracing::warn!(%error, "control socket");
                thread::sleep(Duration::from_millis(50));
            }
        }
    };
    thread::Builder::new().name("control".into()).spawn(accept)?;
    Ok(())
}

fn serve(shared: &Arc<Shared>, connection: &UnixStream) -> io::Result<()> {
    let uid = rustix::net::sockopt::socket_peercred(connection)?.uid.as_raw();
    let own = rustix::process::geteuid().as_raw();
    let is_allowed = [0, own, shared.allowed_uid].contains(&uid);
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.by_ref().take(MAX_LINE).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let request = serde_json::from_str(&line);
        let answer = match request {
            _ if !is_allowed => Some(Answer::Refused(format!("user {uid} may not control this proxy"))),
            Err(error) => Some(Answer::Refused(format!("not a request: {error}"))),
            Ok(Request::Drain { upstreams, deadline_ms }) => Some(drain(shared, &upstreams, deadline_ms)),
            Ok(Request::Figures) => Some(Answer::Figures(shared.registry.figures())),
            Ok(Request::Status) => Some(Answer::Status(shared.registry.status())),
            Ok(Request::Replace { table }) => change(shared, Change::Replace(table.into_owned())),
            Ok(Request::Put { service }) => change(shared, Change::Put(service.into_owned())),
            Ok(Request::Remove { name }) => change(shared, Change::Remove(name)),
        };
        let Some(answer) = answer else { return Ok(()) };
        let mut bytes = serde_json::to_vec(&answer)?;
        bytes.push(b'\n');
        (&mut &*connection).write_all(&bytes)?;
    }
}

/// Saves the table as it will be, then makes it so: what cannot be saved is not done. No answer when the proxy is
/// ending: the next one has read the table already, so the request is for that one, and the caller asks again.
fn change(shared: &Shared, change: Change) -> Option<Answer> {
    let is_stopping = shared.is_stopping.lock().ok()?;
    if *is_stopping {
        return None;
    }
    let registry = &shared.registry;
    match save(shared, &change) {
        Ok(true) => {}
        // A server that starts tells the table it told before.
        Ok(false) => return Some(Answer::Done),
        Err(error) => {
            tracing::error!(%error, "the route table cannot be saved");
            return Some(Answer::Refused(format!("the route table cannot be saved: {error}")));
        }
    }
    match change {
        Change::Replace(table) => registry.replace(table),
        Change::Put(service) => registry.put(service),
        Change::Remove(name) => registry.remove(&name),
    }
    shared.tidy();
    Some(Answer::Done)
}

/// Tells whether there was anything to change.
fn save(shared: &Shared, change: &Change) -> io::Result<bool> {
    let current = shared.registry.services();
    let before: BTreeMap<&str, &Service> =
        current.iter().map(|live| (live.source.name.as_str(), &live.source)).collect();
    let mut after = before.clone();
    match change {
        Change::Replace(table) => after = table.services.iter().map(|s| (s.name.as_str(), s)).collect(),
        Change::Put(service) => drop(after.insert(&service.name, service)),
        Change::Remove(name) => drop(after.remove(name.as_str())),
    }
    if after == before {
        return Ok(false);
    }
    crate::disk::save(&shared.layout, after.into_values().collect()).map(|()| true)
}

/// Waits until these upstreams are left alone, then cuts what remains.
fn drain(shared: &Shared, ids: &[String], deadline_ms: u64) -> Answer {
    let leaving = match shared.registry.leaving(ids) {
        Ok(leaving) => leaving,
        Err(error) => return Answer::Refused(error.to_string()),
    };
    // Idle connections go at once; the threads were told so at the change, and are again in case one was busy.
    shared.tidy();
    let is_over = || leaving.iter().all(|upstream| upstream.is_unused());
    if wait(Duration::from_millis(deadline_ms), is_over) {
        return Answer::Drained(Drained { cut: 0 });
    }
    let cut = leaving.iter().map(|upstream| u64::from(upstream.in_flight())).sum();
    leaving.iter().for_each(|upstream| upstream.cut());
    // The threads cut at their next tick; a thread that is stuck must not hold up a deployment.
    wait(crate::deadline::TICK * 4, is_over);
    Answer::Drained(Drained { cut })
}

fn wait(limit: Duration, is_over: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !is_over() {
        if start.elapsed() >= limit {
            return false;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    true
}
