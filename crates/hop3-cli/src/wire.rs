// SPDX-License-Identifier: Apache-2.0
//! The bytes to and from a server, where a refused write does not hide the answer.
//!
//! A server may answer before it has read an upload (a token that may not, a busy app) and close. The next write then
//! fails although the answer lies ready to be read; so writes after that go nowhere, and reading tells what happened.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Anything bytes flow through both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection to a server.
pub(crate) struct Wire(Box<dyn Stream>);

impl Wire {
    pub(crate) fn new(stream: impl Stream + 'static) -> Wire {
        Wire(Box::new(stream))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write(cx, bytes));
        Poll::Ready(unless_refused(written, bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx).map(|flushed| unless_refused(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx).map(|ended| unless_refused(ended, ()))
    }
}

fn unless_refused<T>(outcome: io::Result<T>, done: T) -> io::Result<T> {
    match outcome {
        Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(done),
        outcome => outcome,
    }
}
