// SPDX-License-Identifier: Apache-2.0
//! `Stream`: one byte connection, whatever it runs over, read and written through a shared reference by one task.
//!
//! A request and its response move at the same time, so both directions must be pollable at once; a `RefCell` held
//! for one poll gives that for every transport, also for those (TLS) whose halves share state.

use crate::buffer::{PIECE, with_scratch};
use crate::memory::Memory;
use crate::ring::{self, Socket};
use crate::tls::Session;
use hop3_core::route::Address;
use rustix::net::RecvFlags;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

pub(crate) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Of either family, over the thread's ring.
    Ring(Socket),
    /// Boxed, so that a plain connection does not own the room of a session.
    Tls(Box<Session>),
    /// The other end is in this thread.
    Memory(Memory),
}

pub(crate) struct Stream(RefCell<Transport>, Cell<Traffic>);

/// Bytes that have gone over a stream since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// Runs the same expression for every transport.
macro_rules! each {
    ($self:expr, $stream:ident => $body:expr) => {
        match &mut *$self.0.borrow_mut() {
            Transport::Tcp($stream) => $body,
            Transport::Unix($stream) => $body,
            Transport::Ring($stream) => $body,
            Transport::Tls($stream) => $body,
            Transport::Memory($stream) => $body,
        }
    };
}

/// Makes a connection quick. Failure only costs time.
pub(crate) fn tune(stream: &TcpStream) {
    // Without it small responses wait for the reader's delayed acknowledgement.
    stream.set_nodelay(true).ok();
    // Within the machine there is no congestion to be controlled, so the cheapest way, which every kernel has, serves:
    // bbr would measure the path and set a timer for each segment.
    if stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback()) {
        rustix::net::sockopt::set_tcp_congestion(stream, "reno").ok();
    }
}

impl Stream {
    /// # Errors
    /// It could not be taken over by the thread's ring.
    pub(crate) fn tcp(stream: TcpStream) -> io::Result<Stream> {
        tune(&stream);
        Ok(Stream::over(match ring::current() {
            None => Transport::Tcp(stream),
            Some(driver) => Transport::Ring(Socket::new(driver, stream.into_std()?.into())),
        }))
    }

    /// # Errors
    /// As for TCP.
    pub(crate) fn unix(stream: UnixStream) -> io::Result<Stream> {
        Ok(Stream::over(match ring::current() {
            None => Transport::Unix(stream),
            Some(driver) => Transport::Ring(Socket::new(driver, stream.into_std()?.into())),
        }))
    }

    fn over(transport: Transport) -> Stream {
        Stream(RefCell::new(transport), Cell::default())
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.1.get()
    }

    fn received(&self, count: usize) {
        let traffic = self.1.get();
        self.1.set(Traffic { received: traffic.received + count as u64, ..traffic });
    }

    fn sent(&self, count: usize) {
        let traffic = self.1.get();
        self.1.set(Traffic { sent: traffic.sent + count as u64, ..traffic });
    }

    pub(crate) fn tls(session: Session) -> Stream {
        Stream::over(Transport::Tls(Box::new(session)))
    }

    pub(crate) fn memory(end: Memory) -> Stream {
        Stream::over(Transport::Memory(end))
    }

    pub(crate) async fn connect(address: &Address) -> io::Result<Stream> {
        match address {
            Address::Tcp(address) => Stream::tcp(TcpStream::connect(address).await?),
            Address::Unix(path) => Stream::unix(UnixStream::connect(path).await?),
        }
    }

    /// Reads once; 0 is the end.
    pub(crate) fn poll_read(&self, cx: &mut Context, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(each!(self, stream => Pin::new(stream).poll_read(cx, &mut buffer)))?;
        self.received(buffer.filled().len());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes some; never reports 0 for a non-empty input.
    pub(crate) fn poll_write(&self, cx: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(each!(self, stream => Pin::new(stream).poll_write(cx, bytes))) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                self.sent(count);
                Poll::Ready(Ok(count))
            }
            error => Poll::Ready(error),
        }
    }

    pub(crate) async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            sent += poll_fn(|cx| self.poll_write(cx, &bytes[sent..])).await?;
        }
        Ok(())
    }

    /// Tells the other side that no more is coming.
    pub(crate) async fn finish(&self) -> io::Result<()> {
        poll_fn(|cx| each!(self, stream => Pin::new(stream).poll_shutdown(cx))).await
    }

    /// Tells the end and waits for the other side's, discarding what it still sends, so that a close does not reset
    /// away what it has yet to read. `heard` is called whenever something came.
    pub(crate) async fn linger(&self, heard: impl Fn()) {
        self.finish().await.ok();
        while let Ok(1..) = poll_fn(|cx| with_scratch(|scratch| self.poll_read(cx, scratch))).await {
            heard();
        }
    }

    /// Right before a drop: what was sent is whole. A socket's own end says that already.
    pub(crate) fn farewell(&self) {
        if let Transport::Tls(session) = &mut *self.0.borrow_mut() {
            session.farewell();
        }
    }

    /// Asks the kernel, if it knows, whether an idle connection is still good: open, and silent.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0_u8; 1];
        let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let seen = self.with_fd(|fd| rustix::net::recv(fd, &mut byte[..], look).map(|_| ()));
        let is_drained = match &*self.0.borrow() {
            Transport::Tls(session) => session.is_drained(),
            Transport::Ring(socket) => socket.is_drained(),
            Transport::Tcp(_) | Transport::Unix(_) | Transport::Memory(_) => true,
        };
        is_drained && seen == Some(Err(rustix::io::Errno::WOULDBLOCK))
    }

    /// What the last wait for events told, without asking the kernel.
    pub(crate) fn may_be_readable(&self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match &*self.0.borrow() {
            Transport::Tcp(stream) => stream.poll_read_ready(&mut cx).is_ready(),
            Transport::Unix(stream) => stream.poll_read_ready(&mut cx).is_ready(),
            Transport::Ring(socket) => !socket.is_silent(),
            Transport::Tls(session) => !session.is_silent(),
            Transport::Memory(_) => true,
        }
    }

    /// Makes the coming drop a reset, so that the other side cannot take what it got for everything.
    pub(crate) fn abort(&self) {
        match &mut *self.0.borrow_mut() {
            Transport::Tcp(stream) => reset_at_close(stream),
            Transport::Ring(socket) => socket.abort(),
            Transport::Tls(session) => session.abort(),
            Transport::Memory(end) => end.abort(),
            Transport::Unix(_) => {}
        }
    }

    /// What was written is to be read, and is not the whole. A socket's reader learns of the first part alone.
    pub(crate) fn cut(&self) {
        if let Transport::Memory(end) = &*self.0.borrow() {
            end.cut();
        }
    }

    /// Sends some of a file, at most `count` bytes from `offset` on; 0 when there are no more. The kernel sends it
    /// where nothing has to be done with the bytes on the way.
    pub(crate) async fn send_file(&self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
        let is_ring = matches!(&*self.0.borrow(), Transport::Ring(_));
        // Over a ring a short file leaves together with what was written before it.
        if !self.is_socket() || (is_ring && count <= PIECE) {
            return poll_fn(|cx| self.poll_copy(cx, file, offset, count)).await;
        }
        self.write_with(|socket| {
            let mut from = offset;
            Ok(rustix::fs::sendfile(socket, file, Some(&mut from), count)?)
        })
        .await
    }

    /// Repeats a non-blocking system call that fills the socket until the socket takes something.
    pub(crate) async fn write_with(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        poll_fn(|cx| {
            let done = ready!(self.poll_write_with(cx, &mut call));
            self.sent(*done.as_ref().unwrap_or(&0));
            Poll::Ready(done)
        })
        .await
    }

    /// Repeats a non-blocking system call that takes from the socket until there was something to take.
    pub(crate) async fn read_with(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        poll_fn(|cx| {
            let done = ready!(self.poll_read_with(cx, &mut call));
            self.received(*done.as_ref().unwrap_or(&0));
            Poll::Ready(done)
        })
        .await
    }

    fn poll_read_with(
        &self,
        cx: &mut Context,
        call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if let Transport::Ring(socket) = &*self.0.borrow() {
            return socket.poll_take(cx, call);
        }
        loop {
            ready!(self.poll_read_ready(cx))?;
            match self.try_read_with(call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_write_with(
        &self,
        cx: &mut Context,
        call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if let Transport::Ring(socket) = &*self.0.borrow() {
            return socket.poll_fill(cx, call);
        }
        loop {
            ready!(self.poll_write_ready(cx))?;
            match self.try_write_with(call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Stops receiving ahead of what is asked for, and tells whether something was received that is to be read first.
    pub(crate) async fn rest(&self) -> bool {
        poll_fn(|cx| match &*self.0.borrow() {
            Transport::Ring(socket) => socket.poll_rest(cx).map(|()| socket.has_unread()),
            _ => Poll::Ready(false),
        })
        .await
    }

    fn poll_read_ready(&self, cx: &mut Context) -> Poll<io::Result<()>> {
        match &*self.0.borrow() {
            Transport::Tcp(stream) => stream.poll_read_ready(cx),
            Transport::Unix(stream) => stream.poll_read_ready(cx),
            Transport::Ring(_) | Transport::Tls(_) | Transport::Memory(_) => {
                Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
            }
        }
    }

    fn try_read_with(&self, call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<usize>) -> io::Result<usize> {
        let readable = tokio::io::Interest::READABLE;
        match &*self.0.borrow() {
            Transport::Tcp(stream) => stream.try_io(readable, || call(std::os::fd::AsFd::as_fd(stream))),
            Transport::Unix(stream) => stream.try_io(readable, || call(std::os::fd::AsFd::as_fd(stream))),
            // Bytes past the session would break it.
            Transport::Ring(_) | Transport::Tls(_) | Transport::Memory(_) => {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    /// The bytes of the socket are the bytes of the stream, so that the kernel may carry them by itself.
    pub(crate) fn is_socket(&self) -> bool {
        matches!(&*self.0.borrow(), Transport::Tcp(_) | Transport::Unix(_) | Transport::Ring(_))
    }

    /// What may be kept here at the moment for an other end that is slow.
    pub(crate) fn share(&self) -> usize {
        match &*self.0.borrow() {
            Transport::Memory(end) => end.share(),
            _ => PIECE,
        }
    }

    /// The other end is the proxy's own.
    pub(crate) fn is_inner(&self) -> bool {
        matches!(&*self.0.borrow(), Transport::Memory(_))
    }

    /// Reads the same bytes anew at each poll rather than keep them for a reader that is slow.
    fn poll_copy(&self, cx: &mut Context, file: &File, offset: u64, count: usize) -> Poll<io::Result<usize>> {
        with_scratch(|scratch| {
            let room = scratch.len().min(count);
            let read = file.read_at(&mut scratch[..room], offset)?;
            if read == 0 { Poll::Ready(Ok(0)) } else { self.poll_write(cx, &scratch[..read]) }
        })
    }

    fn poll_write_ready(&self, cx: &mut Context) -> Poll<io::Result<()>> {
        match &*self.0.borrow() {
            Transport::Tcp(stream) => stream.poll_write_ready(cx),
            Transport::Unix(stream) => stream.poll_write_ready(cx),
            Transport::Ring(_) | Transport::Tls(_) | Transport::Memory(_) => {
                Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
            }
        }
    }

    fn try_write_with(
        &self,
        call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let writable = tokio::io::Interest::WRITABLE;
        match &*self.0.borrow() {
            Transport::Tcp(stream) => stream.try_io(writable, || call(std::os::fd::AsFd::as_fd(stream))),
            Transport::Unix(stream) => stream.try_io(writable, || call(std::os::fd::AsFd::as_fd(stream))),
            // Bytes past the session would break it.
            Transport::Ring(_) | Transport::Tls(_) | Transport::Memory(_) => {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    fn with_fd<T>(&self, work: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        match &*self.0.borrow() {
            Transport::Tcp(stream) => Some(work(std::os::fd::AsFd::as_fd(stream))),
            Transport::Unix(stream) => Some(work(std::os::fd::AsFd::as_fd(stream))),
            Transport::Ring(socket) => Some(work(socket.fd())),
            Transport::Tls(session) => Some(work(session.fd())),
            Transport::Memory(_) => None,
        }
    }
}

fn reset_at_close(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::{set_tcp_congestion, tcp_congestion};
    use std::net::TcpListener;

    #[tokio::test]
    async fn a_connection_within_the_machine_needs_no_congestion_control() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let all = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control").unwrap();
        let other = all.split_whitespace().find(|name| *name != "reno");
        if let Some(other) = other {
            set_tcp_congestion(&stream, other).unwrap();
        }
        tune(&stream);
        assert_eq!(tcp_congestion(&stream).unwrap(), "reno");
        assert!(stream.nodelay().unwrap());
    }
}
