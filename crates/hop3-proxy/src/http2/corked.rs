// SPDX-License-Identifier: Apache-2.0
//! `Corked`: gathers what is written until it is flushed, so that the frames of many streams leave in one piece.
//!
//! Invariant: a connection with nothing to send owns no buffer.

use crate::buffer::{Buffer, PIECE};
use crate::stream::Stream;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Corked {
    stream: Rc<Stream>,
    out: Buffer,
}

impl Corked {
    pub(super) fn new(stream: Rc<Stream>) -> Corked {
        Corked { stream, out: Buffer::default() }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let sent = ready!(self.stream.poll_write(cx, &self.out))?;
            self.out.consume(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Corked {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(self.stream.poll_read(cx, out.initialize_unfilled()))?;
        out.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Corked {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.out.len() >= PIECE {
            ready!(this.poll_drain(cx))?;
        }
        this.out.open().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        pin!(this.stream.finish()).poll(cx)
    }
}
