// SPDX-License-Identifier: Apache-2.0
//! Hand-over: a new filter takes the place of a living one, and no question is lost.
//!
//! ```text
//! new ── REQUEST ─────────────────────▶ old    (where questions are asked)
//! new ◀── lock and listening socket ─── old    (SCM_RIGHTS), with the choices whose rules are in use
//! new    reads the rules of those, and signs the lock
//! new ── SERVING ─────────────────────▶ old    lets nobody in any more, answers whom it has, ends
//! ```
//! Invariant: the socket is open all the time, and somebody lets in or is about to. A new one that ends before it
//! serves leaves the old one as it was, and one that cannot read the rules does.

use crate::desk::Desk;
use crate::sets::Choice;
use hop3_core::descriptor;
use hop3_core::layout::Layout;
use hop3_core::lock::RoleLock;
use hop3_core::waf::LENGTHS;
use rustix::process::Uid;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// Stands where a question has its lengths. None is so long.
pub(crate) const REQUEST: [u8; LENGTHS] = *b"hand over 1\n";
const SERVING: u8 = b'!';
/// A living filter has a thread for it within this, however many ask.
const PATIENCE: Duration = Duration::from_secs(10);
const DESCRIPTORS: usize = 2;

/// The only line; lock and listening socket come with it.
#[derive(Serialize, Deserialize)]
struct Handed {
    owner: u32,
    known: Vec<Choice>,
}

/// What makes a process the filter of its root.
pub(crate) struct Place {
    pub(crate) lock: RoleLock,
    pub(crate) listener: UnixListener,
    pub(crate) owner: Uid,
    /// Whose rules are in use.
    pub(crate) known: Vec<Choice>,
    pub(crate) predecessor: Option<UnixStream>,
}

/// The old one's side; tells whether the new one has the place.
pub(crate) fn give(desk: &Desk, mut connection: UnixStream) -> bool {
    let mut word = [0];
    // However long it reads rules: this one goes on meanwhile.
    let told = connection
        .set_read_timeout(None)
        .and_then(|()| send(desk, &connection))
        .and_then(|()| connection.read_exact(&mut word));
    let mut lock = desk.lock();
    if told.is_ok() && word[0] == SERVING {
        *lock = None;
        return true;
    }
    // It may have signed. When that cannot be mended, only who asks for the pid is misled.
    let _ = lock.as_ref().map(RoleLock::sign);
    false
}

fn send(desk: &Desk, connection: &UnixStream) -> io::Result<()> {
    let handed = Handed { owner: desk.owner.as_raw(), known: desk.known().clone() };
    let line = serde_json::to_string(&handed)?;
    let lock = desk.lock();
    let descriptors = [lock.as_ref().ok_or(io::ErrorKind::NotFound)?.as_fd(), desk.listener.as_fd()];
    descriptor::send(connection, line, &descriptors)
}

/// Asks the living filter of the root for its place.
pub(crate) fn receive(layout: &Layout) -> io::Result<Place> {
    let mut connection = UnixStream::connect(layout.waf_socket())?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(&REQUEST)?;
    let (line, descriptors) = descriptor::receive(&connection)?;
    let handed: Option<Handed> = serde_json::from_str(&line).ok();
    let descriptors = <[OwnedFd; DESCRIPTORS]>::try_from(descriptors).ok();
    let Some((Handed { owner, known }, [lock, listener])) = handed.zip(descriptors) else {
        return Err(io::Error::other(
            "the filter that runs does not hand over its place: it is older than this, or gives it to another one",
        ));
    };
    Ok(Place {
        lock: RoleLock::handed(lock),
        listener: listener.into(),
        owner: Uid::from_raw(owner),
        // Rules that cannot be read are found before anybody asks.
        known: if known.is_empty() { vec![Choice::usual()] } else { known },
        predecessor: Some(connection),
    })
}

/// Tells the old one that this one serves. One that has died meanwhile is not missed.
pub(crate) fn relieve(mut predecessor: UnixStream) {
    let _ = predecessor.write_all(&[SERVING]);
}
