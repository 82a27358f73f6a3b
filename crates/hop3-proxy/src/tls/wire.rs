// SPDX-License-Identifier: Apache-2.0
//! `Wire`: the TCP connection under a TLS session, over the thread's ring if it has one.

use crate::ring::{self, Socket};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub(crate) enum Wire {
    Tokio(TcpStream),
    Ring(Socket),
}

impl Wire {
    pub(super) fn new(tcp: TcpStream) -> io::Result<Wire> {
        Ok(match ring::current() {
            None => Wire::Tokio(tcp),
            Some(driver) => Wire::Ring(Socket::new(driver, tcp.into_std()?.into())),
        })
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Wire::Tokio(tcp) => {
                let mut out = ReadBuf::new(out);
                Pin::new(tcp).poll_read(cx, &mut out).map_ok(|()| out.filled().len())
            }
            Wire::Ring(socket) => socket.poll_read(cx, out),
        }
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Wire::Tokio(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Wire::Ring(socket) => socket.poll_write(cx, bytes),
        }
    }

    /// What is taken at once.
    pub(super) fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.poll_write(&mut Context::from_waker(Waker::noop()), bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Ok(0),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Wire::Tokio(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Wire::Ring(socket) => socket.poll_finish(cx),
        }
    }

    /// Makes the coming drop a reset.
    pub(super) fn abort(&self) {
        match self {
            Wire::Tokio(tcp) => drop(socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO))),
            Wire::Ring(socket) => socket.abort(),
        }
    }

    /// What the last wait for events told: nothing came.
    pub(super) fn is_silent(&self) -> bool {
        match self {
            Wire::Tokio(tcp) => tcp.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_pending(),
            Wire::Ring(socket) => socket.is_silent(),
        }
    }

    /// Nothing that has come waits here.
    pub(super) fn is_drained(&self) -> bool {
        match self {
            Wire::Tokio(_) => true,
            Wire::Ring(socket) => socket.is_drained(),
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Wire::Tokio(tcp) => tcp.as_fd(),
            Wire::Ring(socket) => socket.fd(),
        }
    }
}
