// SPDX-License-Identifier: Apache-2.0
//! `Driver`: the turns of one thread. Sockets say what they want; once everybody else has run, all of it goes to the
//! kernel in one call, which brings what has completed; then those who waited for it run.
//!
//! ```text
//!   tokio runs tasks ──▶ ... ──▶ this task: one call ──something──▶ wakes tasks, and itself behind them
//!                                        │ nothing
//!                                        ▼
//!                            bell on; tokio waits for everything, the bell too
//! ```
//! Invariant: a socket's slot is not used again before the kernel has nothing under way for it.

use super::queue::{Completion, Kind, Queue};
use super::socket::Inner;
use crate::buffer::Buffer;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// How long bytes that were written to a socket since dropped may take, as the kernel would give up at some time.
const LAST_BYTES: Duration = Duration::from_secs(30);
/// The same when the thread ends.
const FAREWELL: Duration = Duration::from_secs(1);

thread_local! {
    static CURRENT: RefCell<Option<Rc<Driver>>> = const { RefCell::new(None) };
}

/// The one of this thread.
pub(crate) fn current() -> Option<Rc<Driver>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Cuts off those of this thread who take too long over their last bytes.
pub(crate) fn sweep() {
    if let Some(driver) = current() {
        driver.sweep();
    }
}

pub(crate) struct Driver {
    queue: RefCell<Queue>,
    slots: RefCell<Vec<Option<Rc<Inner>>>>,
    free: RefCell<Vec<u32>>,
    /// Those that have accepted something to be sent since the last call.
    wanting: RefCell<Vec<Rc<Inner>>>,
    /// Sockets that were dropped before all was sent, and until when they may stay.
    leaving: RefCell<Vec<(Instant, Weak<Inner>)>>,
    done: RefCell<Vec<Completion>>,
    waker: RefCell<Option<Waker>>,
    /// The task will run without being woken.
    is_awake: Cell<bool>,
}

impl Driver {
    /// Whether there is what is needed. Work that is deferred to the calls of its own thread came last, with Linux 6.1;
    /// a kernel that has it has the rest.
    pub(super) fn look() -> io::Result<()> {
        // On a thread of its own: what is left to do for a ring that is closed interrupts the calls of its thread.
        let looking = thread::Builder::new().spawn(|| Queue::new().map(drop))?;
        looking.join().unwrap_or_else(|_| Err(io::Error::other("the look at io_uring panicked")))
    }

    /// Makes this thread's sockets those of a ring, and a task of its turns.
    ///
    /// # Errors
    /// The kernel does not have what is needed, or does not let us.
    pub(super) fn begin() -> io::Result<Rc<Driver>> {
        let driver = Rc::new(Driver {
            queue: RefCell::new(Queue::new()?),
            slots: RefCell::default(),
            free: RefCell::default(),
            wanting: RefCell::default(),
            leaving: RefCell::default(),
            done: RefCell::default(),
            waker: RefCell::default(),
            is_awake: Cell::new(false),
        });
        let bell = driver.queue.borrow().bell()?;
        CURRENT.set(Some(driver.clone()));
        let turning = driver.clone();
        tokio::task::spawn_local(async move { poll_fn(|cx| turning.poll(cx, &bell)).await });
        Ok(driver)
    }

    fn poll(&self, cx: &mut Context, bell: &AsyncFd<OwnedFd>) -> Poll<io::Result<()>> {
        self.remember(cx);
        self.is_awake.set(true);
        self.queue.borrow_mut().ring_bell(false);
        loop {
            if self.has_work() {
                self.turn();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.queue.borrow_mut().ring_bell(true);
            if self.has_work() {
                self.queue.borrow_mut().ring_bell(false);
                continue;
            }
            match bell.poll_read_ready(cx) {
                Poll::Ready(Ok(mut rung)) => rung.clear_ready(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.is_awake.set(false);
                    return Poll::Pending;
                }
            }
        }
    }

    fn remember(&self, cx: &Context) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn has_work(&self) -> bool {
        !self.wanting.borrow().is_empty() || self.queue.borrow_mut().has_work()
    }

    fn turn(&self) {
        self.send_wanted();
        let mut done = self.done.take();
        self.queue.borrow_mut().turn(&mut done);
        self.complete(&mut done);
        self.done.replace(done);
    }

    fn send_wanted(&self) {
        let mut wanting = self.wanting.take();
        for socket in wanting.drain(..) {
            socket.send_wanted(self);
        }
        // Nobody runs meanwhile, so that it was not added to: the room is kept.
        self.wanting.replace(wanting);
    }

    fn complete(&self, done: &mut Vec<Completion>) {
        for mut completion in done.drain(..) {
            let socket = self.slots.borrow().get(completion.slot as usize).cloned().flatten();
            let piece = completion.piece.take();
            let mut queue = self.queue.borrow_mut();
            if let (Some(socket), Some(piece), Ok(count)) = (&socket, &piece, completion.result) {
                socket.received(queue.bytes(piece, count));
            }
            if let Some(piece) = piece {
                queue.give_back(piece);
            }
            let sent = queue.take_sent(&completion);
            drop(queue);
            if let Some(socket) = socket {
                socket.complete(self, &completion, sent);
            }
        }
    }

    /// Gives a socket its slot.
    pub(super) fn enter(&self, make: impl FnOnce(u32) -> Inner) -> Rc<Inner> {
        let mut slots = self.slots.borrow_mut();
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(None);
            slots.len() as u32 - 1
        });
        let socket = Rc::new(make(slot));
        slots[slot as usize] = Some(socket.clone());
        socket
    }

    /// Nothing is under way for a socket that nobody has: it is closed with its last reference.
    pub(super) fn leave(&self, slot: u32) {
        if self.slots.borrow_mut()[slot as usize].take().is_some() {
            self.free.borrow_mut().push(slot);
        }
    }

    /// A socket that nobody has still sends.
    pub(super) fn linger(&self, slot: u32) {
        if let Some(Some(socket)) = self.slots.borrow().get(slot as usize) {
            self.leaving.borrow_mut().push((Instant::now() + LAST_BYTES, Rc::downgrade(socket)));
        }
    }

    fn sweep(&self) {
        let now = Instant::now();
        self.leaving.borrow_mut().retain(|(until, socket)| {
            let socket = socket.upgrade();
            if let Some(socket) = &socket
                && now >= *until
            {
                socket.cut(self);
            }
            socket.is_some() && now < *until
        });
    }

    /// At the thread's end, when nobody has a socket any more: sends what was written and closes everything.
    pub(crate) fn end(self: Rc<Driver>) {
        let until = Instant::now() + FAREWELL;
        let mut done = Vec::new();
        let is_sending = || self.leaving.borrow().iter().any(|(_, socket)| socket.strong_count() > 0);
        while Instant::now() < until && is_sending() {
            self.send_wanted();
            self.queue.borrow_mut().wait(Duration::from_millis(20), &mut done);
            self.complete(&mut done);
        }
        CURRENT.set(None);
    }

    pub(super) fn receive(&self, socket: &Inner) {
        self.queue.borrow_mut().receive(socket.slot, socket.fd.as_fd());
        self.wake();
    }

    /// Sends at the end of this turn, with what is accepted until then.
    pub(super) fn want(&self, socket: &Rc<Inner>) {
        self.wanting.borrow_mut().push(socket.clone());
        self.wake();
    }

    pub(super) fn send(&self, socket: &Inner, bytes: Buffer) {
        self.queue.borrow_mut().send(socket.slot, socket.fd.as_fd(), bytes);
        self.wake();
    }

    pub(super) fn watch(&self, socket: &Inner, kind: Kind) {
        self.queue.borrow_mut().poll(socket.slot, socket.fd.as_fd(), kind);
        self.wake();
    }

    pub(super) fn cancel(&self, socket: &Inner, kind: Kind) {
        self.queue.borrow_mut().cancel(socket.slot, kind);
        self.wake();
    }

    fn wake(&self) {
        if !self.is_awake.replace(true)
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }
}
