// SPDX-License-Identifier: Apache-2.0
//! `Socket`: one connection over the ring, read and written by one task.
//!
//! ```text
//!   receive:  idle ──read──▶ under way ──end, error──▶ ended
//!               ▲             │ too much unread, or the bytes shall pass in the kernel: cancelled
//!               └─────────────┘
//!   send:     idle ──write──▶ under way, more may wait behind ──sent──▶ idle
//! ```
//! What comes unasked is half a piece and the kernel's last burst, of as much as the thread's buffers hold at most, before
//! it hears of that.
//! Bytes are reported as written once they are accepted here, at most a piece under way and a piece behind it; an error
//! shows at the next write. Large bodies pass by system calls of the caller's own (`poll_raw`), before which the kernel
//! is made to have nothing under way in that direction.

use super::driver::Driver;
use super::queue::{Completion, Kind};
use crate::buffer::{Buffer, PIECE};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So much is worth a write of its own, which copies it once.
const MANY: usize = 8 << 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    UnderWay,
    Cancelled,
}

#[derive(Default)]
struct State {
    unread: Buffer,
    /// Nothing more comes, and why.
    end: Option<Result<(), Errno>>,
    receive: Phase,
    /// More came than was read in the meantime.
    is_flood: bool,
    /// The driver will send what is `behind`.
    is_wanting: bool,
    /// Accepted, behind what is being sent.
    behind: Buffer,
    send: Phase,
    /// So much of what is being sent has left.
    sent: usize,
    broken: Option<Errno>,
    readable: Phase,
    writable: Phase,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Nobody has the socket any more.
    is_left: bool,
    /// What waits to be sent shall not be.
    is_aborted: bool,
}

impl State {
    /// Something that was accepted is not yet with the kernel's own buffers.
    fn is_sending(&self) -> bool {
        self.send != Phase::Idle || !self.behind.is_empty()
    }
}

/// What the driver has of a socket.
pub(super) struct Inner {
    pub(super) fd: OwnedFd,
    pub(super) slot: u32,
    state: RefCell<State>,
    /// The descriptor's own calls do not wait; those of the ring need it otherwise.
    is_nonblocking: Cell<bool>,
}

pub(crate) struct Socket {
    inner: Rc<Inner>,
    driver: Rc<Driver>,
}

impl Socket {
    /// Takes a connected, non-blocking socket.
    pub(crate) fn new(driver: Rc<Driver>, fd: OwnedFd) -> Socket {
        let inner = driver.enter(|slot| Inner {
            fd,
            slot,
            state: RefCell::default(),
            is_nonblocking: Cell::new(true),
        });
        Socket { inner, driver }
    }

    /// Reads what there is; 0 is the end.
    pub(crate) fn poll_read(&self, cx: &mut Context, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.inner.state.borrow_mut();
        if !state.unread.is_empty() {
            let count = state.unread.len().min(out.len());
            out[..count].copy_from_slice(&state.unread[..count]);
            state.unread.consume(count);
            return Poll::Ready(Ok(count));
        }
        if state.is_flood && state.receive == Phase::Idle {
            // It fills a buffer at once, so a call of its own is cheaper than many pieces.
            match rustix::net::recv(&self.inner.fd, &mut *out, RecvFlags::DONTWAIT).map(|(count, _)| count) {
                Ok(0) => state.end = Some(Ok(())),
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(Errno::AGAIN | Errno::INTR) => state.is_flood = false,
                Err(error) => state.end = Some(Err(error)),
            }
        }
        if let Some(end) = state.end {
            return Poll::Ready(end.map(|()| 0).map_err(io::Error::from));
        }
        if state.receive == Phase::Idle && state.readable == Phase::Idle {
            state.receive = Phase::UnderWay;
            self.inner.let_wait();
            self.driver.receive(&self.inner);
        }
        wait(&mut state.reader, cx);
        Poll::Pending
    }

    /// Accepts some bytes; the kernel gets them at the end of the turn, unless they are many.
    pub(crate) fn poll_write(&self, cx: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.inner.state.borrow_mut();
        if let Some(error) = state.broken {
            return Poll::Ready(Err(error.into()));
        }
        if bytes.len() >= MANY && state.send == Phase::Idle && state.writable == Phase::Idle {
            match self.inner.send_now(&mut state, bytes) {
                Ok(0) | Err(Errno::AGAIN | Errno::INTR) => {}
                sent => return Poll::Ready(sent.map_err(io::Error::from)),
            }
        }
        let room = PIECE.saturating_sub(state.behind.len());
        if room == 0 {
            wait(&mut state.writer, cx);
            return Poll::Pending;
        }
        let count = bytes.len().min(room);
        state.behind.open().extend_from_slice(&bytes[..count]);
        if state.send == Phase::Idle && state.writable == Phase::Idle && !state.is_wanting {
            state.is_wanting = true;
            self.driver.want(&self.inner);
        }
        Poll::Ready(Ok(count))
    }

    /// Waits until the kernel has taken everything.
    fn poll_flushed(&self, cx: &mut Context) -> Poll<io::Result<()>> {
        let mut state = self.inner.state.borrow_mut();
        if let Some(error) = state.broken {
            return Poll::Ready(Err(error.into()));
        }
        if !state.is_sending() {
            return Poll::Ready(Ok(()));
        }
        wait(&mut state.writer, cx);
        Poll::Pending
    }

    /// Ends the way out.
    pub(crate) fn poll_finish(&self, cx: &mut Context) -> Poll<io::Result<()>> {
        ready!(self.poll_flushed(cx))?;
        Poll::Ready(socket2::SockRef::from(&self.inner.fd).shutdown(Shutdown::Write))
    }

    /// Makes the coming drop a reset.
    pub(crate) fn abort(&self) {
        let mut state = self.inner.state.borrow_mut();
        // What was reported as written may be read before the reset, as far as the socket takes it at once.
        if state.send == Phase::Idle && !state.behind.is_empty() {
            self.inner.send_now(&mut state, b"").ok();
        }
        state.is_aborted = true;
        state.behind.release();
        self.inner.reset_at_close();
    }

    /// Waits until nothing is received ahead of what is asked for; what was before that is read first.
    pub(crate) fn poll_rest(&self, cx: &mut Context) -> Poll<()> {
        let mut state = self.inner.state.borrow_mut();
        match state.receive {
            Phase::Idle => return Poll::Ready(()),
            Phase::UnderWay => {
                state.receive = Phase::Cancelled;
                self.driver.cancel(&self.inner, Kind::Receive);
            }
            Phase::Cancelled => {}
        }
        wait(&mut state.reader, cx);
        Poll::Pending
    }

    /// Bytes were received and not yet read.
    pub(crate) fn has_unread(&self) -> bool {
        !self.inner.state.borrow().unread.is_empty()
    }

    /// A system call that takes from the socket, repeated until there was something to take. Nothing is unread.
    pub(crate) fn poll_take(
        &self,
        cx: &mut Context,
        call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(cx));
        let end = self.inner.state.borrow().end;
        match end {
            Some(end) => Poll::Ready(end.map(|()| 0).map_err(io::Error::from)),
            None if self.has_unread() => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
            None => self.poll_raw(cx, Kind::Readable, call),
        }
    }

    /// A system call that fills the socket, repeated until that takes something.
    pub(crate) fn poll_fill(
        &self,
        cx: &mut Context,
        call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flushed(cx))?;
        self.poll_raw(cx, Kind::Writable, call)
    }

    fn poll_raw(
        &self,
        cx: &mut Context,
        kind: Kind,
        call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.inner.state.borrow_mut();
        let State { readable, writable, reader, writer, .. } = &mut *state;
        let (phase, waker) = if kind == Kind::Readable { (readable, reader) } else { (writable, writer) };
        if *phase == Phase::Idle {
            self.inner.let_not_wait()?;
            match call(self.inner.fd.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            *phase = Phase::UnderWay;
            self.driver.watch(&self.inner, kind);
        }
        wait(waker, cx);
        Poll::Pending
    }

    /// What the last turn told: nothing came, and nothing is being sent.
    pub(crate) fn is_silent(&self) -> bool {
        let state = self.inner.state.borrow();
        let is_listening = state.receive == Phase::UnderWay;
        is_listening && state.unread.is_empty() && state.end.is_none() && !state.is_sending()
    }

    /// Nothing that came waits to be read, and nothing waits to be sent. The socket itself may know more.
    pub(crate) fn is_drained(&self) -> bool {
        let state = self.inner.state.borrow();
        state.unread.is_empty() && state.end.is_none() && !state.is_sending()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inner.fd.as_fd()
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(Socket::poll_read(&self, cx, out.initialize_unfilled()))?;
        out.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Socket::poll_write(&self, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.inner.leave(&self.driver);
    }
}

impl Inner {
    /// Bytes came.
    pub(super) fn received(&self, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        if !state.is_left && !bytes.is_empty() {
            state.unread.open().extend_from_slice(bytes);
        }
    }

    pub(super) fn complete(&self, driver: &Driver, done: &Completion, sent: Option<Buffer>) {
        match (done.kind, sent) {
            (Kind::Receive, _) => self.receive_done(driver, done),
            (Kind::Send, Some(bytes)) => self.send_done(driver, done.result, bytes),
            (Kind::Readable, _) => {
                let mut state = self.state.borrow_mut();
                state.readable = Phase::Idle;
                wake(&mut state.reader);
            }
            (Kind::Writable, _) => self.writable(driver),
            (Kind::Send | Kind::Cancel, _) => {}
        }
        if self.state.borrow().is_left && self.is_still() {
            driver.leave(self.slot);
        }
    }

    fn receive_done(&self, driver: &Driver, done: &Completion) {
        let mut state = self.state.borrow_mut();
        match done.result {
            Ok(0) => state.end = Some(Ok(())),
            // A piece will be free at the next turn.
            Ok(_) | Err(Errno::CANCELED | Errno::NOBUFS | Errno::INTR) => {}
            Err(Errno::AGAIN) if !state.is_left => {
                // A call that does not wait is being made in the other direction.
                state.readable = Phase::UnderWay;
                driver.watch(self, Kind::Readable);
            }
            Err(error) => state.end = Some(Err(error)),
        }
        if !done.more {
            state.receive = Phase::Idle;
        } else if state.receive == Phase::UnderWay && state.unread.len() >= PIECE / 2 {
            (state.receive, state.is_flood) = (Phase::Cancelled, true);
            driver.cancel(self, Kind::Receive);
        }
        wake(&mut state.reader);
    }

    fn send_done(&self, driver: &Driver, result: Result<usize, Errno>, bytes: Buffer) {
        let mut state = self.state.borrow_mut();
        state.send = Phase::Idle;
        match result {
            Ok(count) => state.sent += count,
            Err(Errno::AGAIN | Errno::INTR) if !state.is_aborted => {}
            Err(error) => {
                state.broken = Some(error);
                state.behind.release();
            }
        }
        if state.broken.is_none() && !state.is_aborted && state.sent < bytes.len() {
            // A call that does not wait was being made meanwhile. What is left goes ahead of what waits.
            let mut rest = Buffer::default();
            rest.open().extend_from_slice(&bytes[state.sent..]);
            rest.open().extend_from_slice(&state.behind);
            state.behind = rest;
            state.writable = Phase::UnderWay;
            driver.watch(self, Kind::Writable);
        } else {
            self.send_behind(driver, &mut state);
        }
        wake(&mut state.writer);
    }

    fn writable(&self, driver: &Driver) {
        let mut state = self.state.borrow_mut();
        state.writable = Phase::Idle;
        self.send_behind(driver, &mut state);
        wake(&mut state.writer);
    }

    /// The turn's end has come.
    pub(super) fn send_wanted(&self, driver: &Driver) {
        let mut state = self.state.borrow_mut();
        state.is_wanting = false;
        self.send_behind(driver, &mut state);
    }

    /// Sends what waits, if something does.
    fn send_behind(&self, driver: &Driver, state: &mut State) {
        if state.send == Phase::Idle && state.writable == Phase::Idle && !state.behind.is_empty() {
            state.send = Phase::UnderWay;
            state.sent = 0;
            self.let_wait();
            driver.send(self, std::mem::take(&mut state.behind));
        }
    }

    /// Nobody has it any more.
    fn leave(&self, driver: &Driver) {
        let mut state = self.state.borrow_mut();
        state.is_left = true;
        state.unread.release();
        (state.reader, state.writer) = (None, None);
        let is_sending = state.is_sending() && !state.is_aborted && state.broken.is_none();
        if !is_sending {
            state.behind.release();
        }
        drop(state);
        self.stop(driver, &[Kind::Receive, Kind::Readable]);
        if is_sending {
            driver.linger(self.slot);
        } else {
            self.stop(driver, &[Kind::Send, Kind::Writable]);
        }
        if self.is_still() {
            driver.leave(self.slot);
        }
    }

    /// Its last bytes have taken too long.
    pub(super) fn cut(&self, driver: &Driver) {
        let mut state = self.state.borrow_mut();
        state.is_aborted = true;
        state.behind.release();
        drop(state);
        self.reset_at_close();
        self.stop(driver, &[Kind::Send, Kind::Writable]);
    }

    fn stop(&self, driver: &Driver, kinds: &[Kind]) {
        for kind in kinds {
            let mut state = self.state.borrow_mut();
            let phase = match kind {
                Kind::Receive => &mut state.receive,
                Kind::Send => &mut state.send,
                Kind::Readable => &mut state.readable,
                Kind::Writable | Kind::Cancel => &mut state.writable,
            };
            if *phase == Phase::UnderWay {
                *phase = Phase::Cancelled;
                driver.cancel(self, *kind);
            }
        }
    }

    /// The kernel has nothing under way for it.
    pub(super) fn is_still(&self) -> bool {
        let state = self.state.borrow();
        let phases = [state.receive, state.send, state.readable, state.writable];
        phases.iter().all(|phase| *phase == Phase::Idle) && state.behind.is_empty()
    }

    /// Sends what waits and then these, as far as the socket takes it at once; tells how many of these.
    fn send_now(&self, state: &mut State, bytes: &[u8]) -> Result<usize, Errno> {
        let both = [IoSlice::new(&state.behind), IoSlice::new(bytes)];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = rustix::net::sendmsg(&self.fd, &both, &mut SendAncillaryBuffer::default(), flags)?;
        let waited = state.behind.len().min(sent);
        state.behind.consume(waited);
        Ok(sent - waited)
    }

    fn reset_at_close(&self) {
        socket2::SockRef::from(&self.fd).set_linger(Some(Duration::ZERO)).ok();
    }

    /// The ring tries at once and then waits for events, but not where the descriptor says not to.
    fn let_wait(&self) {
        if self.is_nonblocking.replace(false) {
            rustix::io::ioctl_fionbio(&self.fd, false).ok();
        }
    }

    fn let_not_wait(&self) -> io::Result<()> {
        if !self.is_nonblocking.replace(true) {
            rustix::io::ioctl_fionbio(&self.fd, true)?;
        }
        Ok(())
    }
}

fn wait(place: &mut Option<Waker>, cx: &Context) {
    if !place.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *place = Some(cx.waker().clone());
    }
}

fn wake(place: &mut Option<Waker>) {
    if let Some(waker) = place.take() {
        waker.wake();
    }
}
