// SPDX-License-Identifier: Apache-2.0
//! The control socket: one JSON request per line, one JSON answer per line, on a connection that may be kept.
//!
//! Invariant: an answer to a change means that every request from now on is routed by it, and that it has been saved:
//! not even a proxy that is killed forgets it. Only root, the proxy's own user and the one user named at start are
//! listened to.

use crate::cert::acme;
use crate::journal::Line;
use crate::{Shared, handover};
use hop3_core::Problem;
use hop3_core::acme::AcmeShown;
use hop3_core::certificate::CertificateInfo;
use hop3_core::driver::{Drained, ProxyStatus};
use hop3_core::observe::RouteFigures;
use hop3_core::route::{RouteTable, Service};
use hop3_core::tcp::{Entry, Port};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A table of 100,000 services fits.
pub(crate) const MAX_LINE: u64 = 256 << 20;

/// What the proxy can be told.
#[derive(Debug, Serialize, Deserialize)]
// Not internally tagged: that would read a table of thousands twice.
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request<'a> {
    Replace {
        table: Cow<'a, RouteTable>,
    },
    Put {
        service: Cow<'a, Service>,
    },
    Remove {
        name: String,
    },
    Drain {
        upstreams: Vec<String>,
        deadline_ms: u64,
    },
    Status,
    Acme(acme::Ask),
    Figures,
    /// Another process asks for this one's place; see `handover`.
    HandOver,
    /// The sockets of a port, which belong to the place.
    Port {
        port: Port,
    },
    /// It has it.
    Serving,
    /// It ends on purpose, and so shall the old one.
    Finish,
    /// What the old one still does on upstreams that left the table; `cut` ends it.
    Leaving {
        upstreams: Cow<'a, [String]>,
        cut: bool,
    },
    Certificates(crate::cert::Ask),
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Done,
    Drained(Drained),
    Status(ProxyStatus),
    Acme(AcmeShown),
    Figures(Vec<RouteFigures>),
    /// Requests on those upstreams, and whether any connection to them is left.
    Leaving {
        in_flight: u64,
        is_over: bool,
    },
    Certificates(Vec<CertificateInfo>),
    /// PEM of the internal authority's certificate.
    Authority(String),
    /// Whether any of the files that were handed over has changed.
    Handed(bool),
    Problem(Problem),
    /// In words, for the operator.
    Refused(String),
}

pub(crate) enum Change {
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
            Ok(Request::HandOver) => return handover::give(shared, reader),
            // Whoever asks shall ask the next one.
            Ok(_) if shared.is_relieved() => None,
            Ok(Request::Drain { upstreams, deadline_ms }) => Some(drain(shared, &upstreams, deadline_ms)),
            Ok(Request::Figures) => Some(Answer::Figures(shared.registry.figures())),
            Ok(Request::Status) => Some(Answer::Status(status(shared))),
            Ok(Request::Acme(ask)) => {
                Some(acme::answer(&shared.keeper, ask).map_or_else(Answer::Problem, Answer::Acme))
            }
            Ok(Request::Port { .. } | Request::Serving | Request::Finish | Request::Leaving { .. }) => {
                Some(Answer::Refused("there was no hand-over".into()))
            }
            Ok(Request::Certificates(ask)) => {
                Some(crate::cert::answer(&shared.certificates, &shared.keeper, ask))
            }
            Ok(Request::Replace { table }) => change(shared, Change::Replace(table.into_owned())),
            Ok(Request::Put { service }) => change(shared, Change::Put(service.into_owned())),
            Ok(Request::Remove { name }) => change(shared, Change::Remove(name)),
        };
        let Some(answer) = answer else { return Ok(()) };
        write_answer(connection, &answer)?;
    }
}

pub(crate) fn write_answer(mut connection: &UnixStream, answer: &Answer) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(answer)?;
    bytes.push(b'\n');
    connection.write_all(&bytes)
}

/// Does in an old proxy what its successor has done.
pub(crate) fn repeat(shared: &Shared, request: Request) -> Answer {
    match request {
        Request::Replace { table } => effect(shared, Change::Replace(table.into_owned())),
        Request::Put { service } => effect(shared, Change::Put(service.into_owned())),
        Request::Remove { name } => effect(shared, Change::Remove(name)),
        Request::Leaving { upstreams, cut } => leaving(shared, &upstreams, cut),
        Request::Finish => {
            shared.finish.notify_one();
            Answer::Done
        }
        other => Answer::Refused(format!("not for an old proxy: {other:?}")),
    }
}

fn leaving(shared: &Shared, ids: &[String], cut: bool) -> Answer {
    let left = match shared.registry.leaving(ids) {
        Ok(left) => left,
        Err(error) => return Answer::Refused(error.to_string()),
    };
    if cut {
        left.iter().for_each(|upstream| upstream.cut());
    }
    let older = shared.predecessor.leaving(ids, cut);
    let own: u64 = left.iter().map(|upstream| u64::from(upstream.in_flight())).sum();
    let is_over = older.is_none() && left.iter().all(|upstream| upstream.is_unused());
    Answer::Leaving { in_flight: own + older.unwrap_or(0), is_over }
}

/// Saves the table as it will be, then makes it so: what cannot be saved is not done. No answer when the proxy is
/// ending: the next one has read the table already, so the request is for that one, and the caller asks again.
fn change(shared: &Shared, change: Change) -> Option<Answer> {
    let is_stopping = shared.is_stopping.lock().ok()?;
    if *is_stopping {
        return None;
    }
    if let Err(problem) = open_ports(shared, &change) {
        shared.close_ports();
        return Some(Answer::Problem(problem));
    }
    match save(shared, &change) {
        Ok(true) => {}
        // A server that starts tells the table it told before.
        Ok(false) => return Some(Answer::Done),
        Err(error) => {
            shared.close_ports();
            tracing::error!(%error, "the route table cannot be saved");
            return Some(Answer::Refused(format!("the route table cannot be saved: {error}")));
        }
    }
    let answer = effect(shared, change);
    shared.close_ports();
    condense(shared);
    Some(answer)
}

/// Opens the ports that a change leads from, before it does. One service that wants a port anew and cannot have it is
/// refused; one that had it goes on without, and so does everybody else.
fn open_ports(shared: &Shared, change: &Change) -> Result<(), Problem> {
    let ports = |service: &Service| -> Vec<Port> {
        let entries = service.tcp.iter().map(|route| &route.entry);
        entries.filter_map(|entry| if let Entry::Port(port) = entry { Some(*port) } else { None }).collect()
    };
    match change {
        Change::Replace(table) => shared.open_ports(table.services.iter().flat_map(ports)),
        Change::Put(service) => {
            let (had, new): (Vec<Port>, Vec<Port>) =
                ports(service).into_iter().partition(|port| shared.registry.has_port(&service.name, *port));
            shared.open_ports(had);
            new.into_iter().try_for_each(|port| shared.ports.open(port))?;
        }
        Change::Remove(_) => {}
    }
    Ok(())
}

fn status(shared: &Shared) -> ProxyStatus {
    let mut status = shared.registry.status();
    let open = shared.ports.snapshot();
    status.closed_ports =
        shared.registry.ports().into_iter().filter(|port| !open.contains_key(port)).collect();
    if shared.predecessor.lives() {
        let is_busy =
            |id: &String| shared.predecessor.leaving(std::slice::from_ref(id), false).is_some_and(|n| n > 0);
        status.leaving.extend(shared.registry.retired().into_iter().filter(is_busy));
    }
    status
}

/// The older proxy first: it must not send requests where this one will not.
fn effect(shared: &Shared, change: Change) -> Answer {
    shared.predecessor.repeat(&change);
    match change {
        Change::Replace(table) => shared.registry.replace(table),
        Change::Put(service) => shared.registry.put(service),
        Change::Remove(name) => shared.registry.remove(&name),
    }
    shared.tidy();
    Answer::Done
}

/// Tells whether there was anything to change.
fn save(shared: &Shared, change: &Change) -> io::Result<bool> {
    let registry = &shared.registry;
    let mut journal = shared.journal.lock().map_err(|_| io::Error::other("a control thread panicked"))?;
    match change {
        Change::Replace(table) => {
            let current = registry.services();
            let before: BTreeMap<&str, &Service> =
                current.iter().map(|live| (live.source.name.as_str(), &live.source)).collect();
            let after = table.services.iter().map(|service| (service.name.as_str(), service)).collect();
            if before == after {
                return Ok(false);
            }
            journal.replace(table.services.iter())?;
        }
        Change::Put(service) if registry.has(service) => return Ok(false),
        Change::Put(service) => journal.append(&Line::Put(Cow::Borrowed(service)))?,
        Change::Remove(name) if !registry.knows(name) => return Ok(false),
        Change::Remove(name) => journal.append(&Line::Remove(Cow::Borrowed(name)))?,
    }
    Ok(true)
}

/// Makes many changes part of the saved table.
fn condense(shared: &Shared) {
    let Ok(mut journal) = shared.journal.lock() else { return };
    if !journal.is_long() {
        return;
    }
    let services = shared.registry.services();
    if let Err(error) = journal.replace(services.iter().map(|live| &live.source)) {
        // The changes are saved all the same.
        tracing::warn!(%error, "the route table cannot be saved as a whole");
    }
}

/// Waits until these upstreams are left alone, then cuts what remains.
fn drain(shared: &Shared, ids: &[String], deadline_ms: u64) -> Answer {
    let leaving = match shared.registry.leaving(ids) {
        Ok(leaving) => leaving,
        Err(error) => return Answer::Refused(error.to_string()),
    };
    // Idle connections go at once; the threads were told so at the change, and are again in case one was busy.
    shared.tidy();
    let before = |cut| shared.predecessor.leaving(ids, cut);
    let is_over = || leaving.iter().all(|upstream| upstream.is_unused()) && before(false).is_none();
    if wait(Duration::from_millis(deadline_ms), is_over) {
        return Answer::Drained(Drained { cut: 0 });
    }
    let own: u64 = leaving.iter().map(|upstream| u64::from(upstream.in_flight())).sum();
    let cut = own + before(true).unwrap_or(0);
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
