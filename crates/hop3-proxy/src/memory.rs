// SPDX-License-Identifier: Apache-2.0
//! `memory`: a byte connection within one thread. One end is a `Stream` like any other; the other is held by whoever
//! speaks another protocol than HTTP/1 to the outside.
//!
//! Invariants: a direction holds at most `ROOM` bytes, and less when many share a connection; an end that is dropped
//! makes the other see the end of what was written, or a failure when it was broken off or has more to write.

use bytes::{Buf, BytesMut};
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one direction may hold.
const ROOM: usize = 64 << 10;
/// What those of one connection may hold together, as long as each has a little.
const TOGETHER: usize = 512 << 10;
const LITTLE: usize = 4 << 10;

/// Pairs that belong to one connection, and so to one client: how much it makes us keep does not grow with their number.
/// The default shares with nobody.
#[derive(Clone, Default)]
pub(crate) struct Sharing(Option<Rc<Cell<usize>>>);

impl Sharing {
    pub(crate) fn begin() -> Sharing {
        Sharing(Some(Rc::default()))
    }

    pub(crate) fn pair(&self) -> (Memory, Memory) {
        let pipe = || Rc::new(RefCell::new(Pipe { sharing: self.clone(), ..Pipe::default() }));
        let (a, b) = (pipe(), pipe());
        if let Some(count) = &self.0 {
            count.set(count.get() + 1);
        }
        let ours = Memory { incoming: a.clone(), outgoing: b.clone(), counted: self.clone() };
        (ours, Memory { incoming: b, outgoing: a, counted: Sharing::default() })
    }

    /// What one direction may hold at the moment.
    fn room(&self) -> usize {
        self.0.as_ref().map_or(ROOM, |count| (TOGETHER / count.get().max(1)).clamp(LITTLE, ROOM))
    }
}

#[derive(Default)]
struct Pipe {
    sharing: Sharing,
    bytes: BytesMut,
    /// No more comes.
    is_over: bool,
    /// Why what came is not the whole.
    broken: Option<io::ErrorKind>,
    /// It is not the whole, and good as far as it goes.
    is_cut: bool,
    /// Nobody reads any more.
    is_unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.is_unread {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = self.sharing.room().saturating_sub(self.bytes.len());
        if room == 0 {
            wait(&mut self.writer, cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(room))
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        wake(&mut self.reader);
    }

    /// True when there are bytes, false at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let Some(kind) = self.broken {
            return Poll::Ready(Err(kind.into()));
        }
        if !self.bytes.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if self.is_over {
            return Poll::Ready(if self.is_cut {
                Err(io::ErrorKind::ConnectionReset.into())
            } else {
                Ok(false)
            });
        }
        wait(&mut self.reader, cx);
        Poll::Pending
    }

    fn end(&mut self) {
        self.is_over = true;
        wake(&mut self.reader);
    }

    fn abandon(&mut self) {
        self.is_unread = true;
        self.bytes = BytesMut::new();
        wake(&mut self.writer);
    }
}

fn wait(place: &mut Option<Waker>, cx: &Context<'_>) {
    if !place.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *place = Some(cx.waker().clone());
    }
}

fn wake(place: &mut Option<Waker>) {
    if let Some(waker) = place.take() {
        waker.wake();
    }
}

/// One end.
pub(crate) struct Memory {
    incoming: Rc<RefCell<Pipe>>,
    outgoing: Rc<RefCell<Pipe>>,
    /// One of both ends is counted.
    counted: Sharing,
}

impl Memory {
    /// Waits for bytes and takes all of them, with whatever memory they lie in; `None` at the end.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<BytesMut>>> {
        let mut pipe = self.incoming.borrow_mut();
        pipe.poll_bytes(cx).map_ok(|some| {
            some.then(|| {
                wake(&mut pipe.writer);
                pipe.bytes.split()
            })
        })
    }

    /// Waits until what comes is known not to be the whole.
    pub(crate) fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut pipe = self.incoming.borrow_mut();
        if pipe.broken.is_some() {
            return Poll::Ready(());
        }
        wait(&mut pipe.reader, cx);
        Poll::Pending
    }

    /// Waits until the other end reads no more.
    pub(crate) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut pipe = self.outgoing.borrow_mut();
        if pipe.is_unread {
            return Poll::Ready(());
        }
        wait(&mut pipe.writer, cx);
        Poll::Pending
    }

    /// Waits until there is room; what is put then may be a little more than the room.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.outgoing.borrow_mut().poll_room(cx)
    }

    pub(crate) fn put(&self, bytes: &[u8]) {
        self.outgoing.borrow_mut().push(bytes);
    }

    /// What may be held at the moment of what goes to the other end.
    pub(crate) fn share(&self) -> usize {
        self.outgoing.borrow().sharing.room()
    }

    /// What was put is the whole.
    pub(crate) fn end(&self) {
        self.outgoing.borrow_mut().end();
    }

    /// What was put is to be read, and is not the whole unless that was said before.
    pub(crate) fn cut(&self) {
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.is_cut |= !outgoing.is_over;
        outgoing.end();
    }

    /// What was put is not the whole, and nothing is wanted any more.
    pub(crate) fn abort(&self) {
        self.break_off(io::ErrorKind::ConnectionReset);
    }

    /// Nothing was done with what came, and nothing will be: the other end's reads fail as if there had been no
    /// connection.
    pub(crate) fn refuse(&self) {
        self.break_off(io::ErrorKind::ConnectionRefused);
    }

    fn break_off(&self, kind: io::ErrorKind) {
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.broken = Some(kind);
        outgoing.end();
        self.incoming.borrow_mut().abandon();
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.outgoing.borrow_mut().end();
        self.incoming.borrow_mut().abandon();
        if let Some(count) = &self.counted.0 {
            count.set(count.get() - 1);
        }
    }
}

impl AsyncRead for Memory {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.incoming.borrow_mut();
        pipe.poll_bytes(cx).map_ok(|_| {
            let count = pipe.bytes.len().min(out.remaining());
            out.put_slice(&pipe.bytes[..count]);
            pipe.bytes.advance(count);
            wake(&mut pipe.writer);
        })
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.outgoing.borrow_mut();
        pipe.poll_room(cx).map_ok(|room| {
            let count = room.min(bytes.len());
            pipe.push(&bytes[..count]);
            count
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}
