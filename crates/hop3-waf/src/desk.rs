// SPDX-License-Identifier: Apache-2.0
//! `Desk`: where questions come in and are answered, by a few threads, each with an engine of its own.
//!
//! Invariant: whoever was let in is answered, also when the desk closes meanwhile; who waits at the door then is left
//! to the filter that has taken this one's place.

use crate::engine::Engine;
use crate::handover;
use crate::sets::{Choice, MAX_SETS};
use hop3_core::lock::RoleLock;
use hop3_core::waf::{self, Answer, Ask};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Uid;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a question may take to come, and an answer to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the threads share.
pub(crate) struct Desk {
    /// Does not block: another process may have taken what was waiting.
    pub(crate) listener: UnixListener,
    /// Who may ask, beside root.
    pub(crate) owner: Uid,
    /// Given up when another process has taken the place.
    pub(crate) lock: Mutex<Option<RoleLock>>,
    /// Whose rules some thread has read, the latest last.
    pub(crate) known: Mutex<Vec<Choice>>,
    /// A place is given to one alone.
    pub(crate) is_giving: AtomicBool,
    /// Passed once every thread has its rules and nobody else serves.
    pub(crate) open: Barrier,
    /// Ends when the desk closes.
    pub(crate) closing: UnixStream,
    pub(crate) tell: Sender<Event>,
}

/// What the role has to know of its threads.
pub(crate) enum Event {
    /// One could begin.
    Ready,
    /// Another process asks for this one's place.
    Asked(UnixStream),
    /// It has it.
    Replaced,
    /// A thread cannot go on.
    Failed(io::Error),
}

impl Event {
    pub(crate) fn error(self) -> Option<io::Error> {
        match self {
            Event::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl Desk {
    /// A thread's work, until the desk closes.
    pub(crate) fn answer_all(&self) -> io::Result<()> {
        let mut engine = Engine::new().map_err(io::Error::other)?;
        for choice in self.known().clone() {
            engine.prepare(choice).map_err(io::Error::other)?;
        }
        self.send(Event::Ready);
        self.open.wait();
        while let Some(stream) = self.next()? {
            // Whoever asked has gone, or asked nonsense: there is nobody to tell.
            let _ = self.answer(&mut engine, stream);
            if let Some(choice) = engine.news() {
                self.note(choice);
            }
        }
        Ok(())
    }

    /// Nobody listens any more when the role ends, and its threads with it.
    pub(crate) fn send(&self, event: Event) {
        let _ = self.tell.send(event);
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Vec<Choice>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<RoleLock>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, choice: Choice) {
        let mut known = self.known();
        known.retain(|other| *other != choice);
        known.push(choice);
        let surplus = known.len().saturating_sub(MAX_SETS);
        known.drain(..surplus);
    }

    /// Waits for a question; `None` when the desk closes.
    fn next(&self) -> io::Result<Option<UnixStream>> {
        loop {
            let mut waited =
                [PollFd::new(&self.closing, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut waited, None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if !waited[0].revents().is_empty() {
                return Ok(None);
            }
            match self.listener.accept() {
                Ok((stream, _)) => return Ok(Some(stream)),
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn answer(&self, engine: &mut Engine, mut stream: UnixStream) -> io::Result<()> {
        let peer = rustix::net::sockopt::socket_peercred(&stream)?.uid;
        if peer != self.owner && !peer.is_root() {
            return Ok(());
        }
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut start = [0; waf::LENGTHS];
        stream.read_exact(&mut start)?;
        if start == handover::REQUEST {
            self.send(Event::Asked(stream));
            return Ok(());
        }
        let answer = match question(start, &mut stream)? {
            Some((ask, head, body)) => engine.judge(&ask, &head, &body),
            None => Answer::failed("this is no question"),
        };
        stream.write_all(&answer.bytes())
    }
}

type Question = (Ask, Vec<u8>, Vec<u8>);

fn question(start: [u8; waf::LENGTHS], stream: &mut UnixStream) -> io::Result<Option<Question>> {
    let Some(lengths) = waf::lengths(start) else { return Ok(None) };
    let mut part = |length: usize| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let (settings, head, body) = (part(lengths[0])?, part(lengths[1])?, part(lengths[2])?);
    let ask: Option<Ask> = serde_json::from_slice(&settings).ok();
    Ok(ask.filter(|ask| (1..=4).contains(&ask.paranoia)).map(|ask| (ask, head, body)))
}
