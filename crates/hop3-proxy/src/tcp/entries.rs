// SPDX-License-Identifier: Apache-2.0
//! `Entries`: one thread's listeners on the ports that are open. They follow what the thread is told.

use super::ports::{Opened, Snapshot};
use hop3_core::tcp::Port;
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Entries {
    /// Which of a port's listeners is this thread's.
    place: usize,
    told: watch::Receiver<Snapshot>,
    open: BTreeMap<Port, Entry>,
    /// Where to look first, so that a busy port does not starve those after it.
    turn: usize,
}

struct Entry {
    listener: TcpListener,
    /// To tell a port that was closed and opened anew from one that stayed.
    of: Weak<Opened>,
    _held: Arc<()>,
}

/// The next connection, and the port it came to.
pub(crate) type Accepted = (Port, io::Result<(TcpStream, SocketAddr)>);

impl Entries {
    /// Within the thread's runtime.
    pub(crate) fn new(place: usize, told: watch::Receiver<Snapshot>) -> Entries {
        let mut entries = Entries { place, told, open: BTreeMap::new(), turn: 0 };
        entries.follow();
        entries
    }

    /// Waits for the next connection. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&mut self) -> Accepted {
        loop {
            tokio::select! {
                told = self.told.changed() => match told {
                    Ok(()) => self.follow(),
                    // Nobody is left who could open one.
                    Err(_) => return pending().await,
                },
                accepted = next_of(&self.open, self.turn) => {
                    self.turn = self.turn.wrapping_add(1);
                    return accepted;
                }
            }
        }
    }

    fn follow(&mut self) {
        let told = self.told.borrow_and_update().clone();
        self.open.retain(|port, entry| {
            told.get(port).is_some_and(|opened| Weak::as_ptr(&entry.of) == Arc::as_ptr(opened))
        });
        for (port, opened) in
            told.iter().filter(|(port, _)| !self.open.contains_key(port)).collect::<Vec<_>>()
        {
            match self.listen(opened) {
                Ok(entry) => drop(self.open.insert(*port, entry)),
                Err(error) => tracing::error!(%port, %error, "a thread cannot listen"),
            }
        }
    }

    fn listen(&self, opened: &Arc<Opened>) -> io::Result<Entry> {
        let listener = opened.listeners.get(self.place).ok_or(io::ErrorKind::NotFound)?.try_clone()?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Entry { listener, of: Arc::downgrade(opened), _held: opened.held.clone() })
    }
}

async fn next_of(open: &BTreeMap<Port, Entry>, turn: usize) -> Accepted {
    poll_fn(|cx| poll_next(cx, open, turn)).await
}

fn poll_next(cx: &mut Context<'_>, open: &BTreeMap<Port, Entry>, turn: usize) -> Poll<Accepted> {
    let first = turn % open.len().max(1);
    for (port, entry) in open.iter().skip(first).chain(open.iter().take(first)) {
        if let Poll::Ready(accepted) = entry.listener.poll_accept(cx) {
            return Poll::Ready((*port, accepted));
        }
    }
    Poll::Pending
}
