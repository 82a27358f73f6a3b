// SPDX-License-Identifier: Apache-2.0
//! A TLS connection from accept to its first request: hello, choice, handshake, and who speaks the protocol that was
//! agreed on. All of it has one time limit, and a thread has a bounded number of it under way.

use super::configuration::{Choice, Terminator};
use super::hello;
use super::secure::Secure;
use super::session::Session;
use super::subject;
use crate::buffer::Buffer;
use crate::client::{Client, Way};
use crate::deadline::Watch;
use crate::http2;
use crate::stream::{Stream, tune};
use crate::tcp::{self, Arrived};
use crate::worker::Worker;
use hop3_core::tcp::Entry;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// Handshakes under way on one thread, the oldest first.
#[derive(Default)]
pub(crate) struct Handshakes {
    begun: Cell<u64>,
    tasks: RefCell<BTreeMap<u64, AbortHandle>>,
}

impl Handshakes {
    /// Makes room for one more: whoever has taken longest is the least likely to mean it.
    fn enter(&self, bound: usize) -> u64 {
        let mut tasks = self.tasks.borrow_mut();
        while tasks.len() >= bound.max(1) {
            if let Some((_, oldest)) = tasks.pop_first() {
                oldest.abort();
            }
        }
        self.begun.set(self.begun.get() + 1);
        self.begun.get()
    }
}

/// Ends the count of a handshake, however it ends.
struct Place(Rc<Worker>, u64);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.handshakes.tasks.borrow_mut().remove(&self.1);
    }
}

/// Serves an accepted connection on tasks of its own.
pub(crate) fn serve(worker: &Rc<Worker>, terminator: &Arc<Terminator>, tcp: TcpStream, peer: SocketAddr) {
    let number = worker.handshakes.enter(worker.limits.handshakes);
    // Here, so that a thread that ends waits for it.
    let watch = worker.deadlines.watch();
    let task = begin(Place(worker.clone(), number), watch, terminator.clone(), (tcp, peer));
    let task = tokio::task::spawn_local(task).abort_handle();
    worker.handshakes.tasks.borrow_mut().insert(number, task);
}

async fn begin(
    place: Place,
    watch: Rc<Watch>,
    terminator: Arc<Terminator>,
    (tcp, peer): (TcpStream, SocketAddr),
) {
    let worker = place.0.clone();
    worker.deadlines.set(&watch, worker.limits.handshake_timeout);
    let shaking = async {
        let ends = worker.ends(&tcp, peer).await?;
        shake(&worker, &terminator, tcp).await.map(|shaken| (shaken, ends))
    };
    let shaken = watch.in_time(shaking).await;
    drop(place);
    match shaken {
        Some(Ok((Shaken::Session(session, secure), ends))) => {
            dispatch(worker, *session, secure, ends.source.ip())
        }
        Some(Ok((Shaken::NotOurs(tcp, entry, begun), ends))) => {
            let arrived = Arrived { tcp, ends, entry, begun };
            // A task of its own, for the same reason.
            tokio::task::spawn_local(async move { tcp::carry(&worker, &watch, arrived).await });
        }
        // Scanners and clients that do not trust the certificate: many, and nobody's fault here.
        Some(Err(error)) => tracing::debug!(%error, %peer, "handshake"),
        Some(Ok((Shaken::Proven, _))) | None => {}
    }
}

enum Shaken {
    Session(Box<Session>, Secure),
    /// Somebody else ends the TLS; this much was read of it.
    NotOurs(TcpStream, Entry, Buffer),
    /// An issuer has seen what it wanted.
    Proven,
}

async fn shake(worker: &Worker, terminator: &Terminator, mut tcp: TcpStream) -> io::Result<Shaken> {
    tune(&tcp);
    let hello = hello::read(&mut tcp).await?;
    // Before anything else, an issuer's question too: the process has its own certificates.
    let entry = hello.host.as_deref().and_then(|host| worker.registry.table().passthrough(host));
    if let Some(entry) = entry {
        return Ok(Shaken::NotOurs(tcp, entry, hello.raw));
    }
    let Choice { config, mut secure, is_challenge } = match terminator.choose(&hello) {
        Ok(choice) => choice,
        Err(alert) => {
            alert.send(&tcp);
            return Err(alert.into());
        }
    };
    let mut session = Session::new(tcp, config, hello.raw)?;
    poll_fn(|cx| session.poll_handshake(cx)).await?;
    if is_challenge {
        session.farewell();
        return Ok(Shaken::Proven);
    }
    secure.subject = session.state().peer_certificates().and_then(|chain| Some(subject::of(chain.first()?)));
    secure.version = match session.state().protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    Ok(Shaken::Session(Box::new(session), secure))
}

/// Hands a connection to whoever speaks its protocol. A task of its own, since this one has the size of a handshake.
fn dispatch(worker: Rc<Worker>, session: Session, secure: Secure, peer: IpAddr) {
    let is_http2 = session.state().alpn_protocol() == Some(b"h2");
    let way = Way::http1(peer, Some(Rc::new(secure)));
    let stream = Stream::tls(session);
    if is_http2 {
        http2::serve(worker, stream, way);
    } else {
        tokio::task::spawn_local(Client::new(worker, stream, way).serve());
    }
}
