// SPDX-License-Identifier: Apache-2.0
//! The way up: a request's head and body, from the client to the upstream.
//!
//! Invariant: while `Upload::is_whole`, `out` holds everything that was ever taken from the client for this request,
//! so that it can be sent again from its beginning.

use crate::buffer::{Buffer, with_scratch};
use crate::http1::body::{Body, Framing, Length};
use crate::splice::{self, Broken};
use crate::stream::Stream;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

/// What is left to send of one request. Survives a failed attempt.
pub(crate) struct Upload {
    /// Bytes for the upstream: the rewritten head, then body as it comes.
    pub(crate) out: Buffer,
    sent: usize,
    pub(crate) body: Body,
    framing: Framing,
    /// Bytes sent are kept for another attempt up to this length.
    keep: usize,
    is_whole: bool,
    /// Something has reached an upstream in this attempt.
    has_sent: bool,
    /// What has left the client and has not reached the upstream.
    held: Cell<usize>,
    /// Bytes of body that may still come.
    left: u64,
}

#[derive(Debug)]
pub(crate) enum UploadError {
    Client,
    BadChunk,
    /// More came than the service's policy allows.
    TooLarge,
    Upstream,
}

impl Upload {
    /// `out` holds the head. With `keep` 0 nothing is kept.
    pub(crate) fn new(out: Buffer, length: Length, keep: usize) -> Upload {
        let framing = if length == Length::Chunked { Framing::Chunked } else { Framing::Raw };
        let keep = if keep == 0 { 0 } else { keep + out.len() };
        Upload {
            out,
            sent: 0,
            body: Body::of_request(length),
            framing,
            keep,
            is_whole: true,
            has_sent: false,
            held: Cell::new(0),
            left: u64::MAX,
        }
    }

    /// Bounds the body.
    pub(crate) fn at_most(self, bytes: u64) -> Upload {
        Upload { left: bytes, ..self }
    }

    /// Keeps this much of the body too, as far as nothing is lost yet.
    pub(crate) fn keep(&mut self, bytes: usize) {
        if self.is_whole && self.keep == 0 {
            self.keep = bytes + self.out.len();
        }
    }

    /// Begins anew, on another connection. False when it cannot.
    pub(crate) fn rewind(&mut self) -> bool {
        if self.is_whole {
            (self.sent, self.has_sent) = (0, false);
        }
        self.is_whole
    }

    pub(crate) fn has_sent(&self) -> bool {
        self.has_sent
    }

    /// The upstream has not taken what was there for it.
    pub(crate) fn is_blocked(&self) -> bool {
        self.sent < self.out.len() || self.held.get() > 0
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Sends everything, reading the body as the upstream takes it. `moved` is called at each progress.
    pub(crate) async fn run(
        &mut self,
        client: &Stream,
        pending: &mut Buffer,
        upstream: &Stream,
        moved: impl Fn(),
    ) -> Result<(), UploadError> {
        // What came together with the head leaves together with it.
        self.take_pending(pending)?;
        loop {
            while self.sent < self.out.len() {
                let count = poll_fn(|cx| upstream.poll_write(cx, &self.out[self.sent..])).await;
                self.sent += count.map_err(|_| UploadError::Upstream)?;
                self.has_sent = true;
                moved();
            }
            if self.body.is_done() {
                return Ok(());
            }
            self.make_room();
            if pending.is_empty() && self.may_splice(client, upstream) {
                return self.splice(client, upstream, &moved).await;
            }
            if pending.is_empty() {
                poll_fn(|cx| self.poll_body(cx, client, pending, upstream)).await?;
            } else {
                self.take_pending(pending)?;
            }
            moved();
        }
    }

    /// Nothing has to be kept, and what is left of the body is large and passes as it is.
    fn may_splice(&self, client: &Stream, upstream: &Stream) -> bool {
        !self.is_whole
            && self.framing == Framing::Raw
            && self.body.rest(splice::WORTH).is_some_and(|rest| rest <= self.left)
            && splice::is_possible(client, upstream)
    }

    async fn splice(
        &mut self,
        client: &Stream,
        upstream: &Stream,
        moved: &impl Fn(),
    ) -> Result<(), UploadError> {
        let left = self.body.rest(0).unwrap_or(0);
        let carried = Box::pin(splice::carry(client, upstream, left, &self.held, moved)).await;
        carried.map_err(|broken| match broken {
            Broken::From => UploadError::Client,
            Broken::To => UploadError::Upstream,
        })?;
        self.body = Body::Done;
        Ok(())
    }

    /// Forgets what has been sent, unless it is to be kept and small enough.
    fn make_room(&mut self) {
        if self.is_whole && self.out.len() < self.keep {
            return;
        }
        self.is_whole = false;
        self.out.release();
        self.sent = 0;
    }

    /// Moves body bytes that were read together with earlier ones.
    fn take_pending(&mut self, pending: &mut Buffer) -> Result<(), UploadError> {
        if pending.is_empty() || self.body.is_done() {
            return Ok(());
        }
        let consumed = self.decode(pending, None)?;
        pending.consume(consumed);
        Ok(())
    }

    fn poll_body(
        &mut self,
        cx: &mut Context,
        client: &Stream,
        pending: &mut Buffer,
        upstream: &Stream,
    ) -> Poll<Result<(), UploadError>> {
        with_scratch(|scratch| {
            let count = ready!(client.poll_read(cx, scratch)).map_err(|_| UploadError::Client)?;
            if count == 0 {
                return Poll::Ready(Err(UploadError::Client));
            }
            let consumed = self.decode(&mut scratch[..count], Some((upstream, cx)))?;
            if consumed < count {
                pending.open().extend_from_slice(&scratch[consumed..count]);
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Brings one buffer of body to `out`, or past it straight to the upstream when nothing has to be kept.
    fn decode(
        &mut self,
        input: &mut [u8],
        direct: Option<(&Stream, &mut Context)>,
    ) -> Result<usize, UploadError> {
        let mut trailers = Vec::new();
        let piece = self.body.take(input, &mut trailers).map_err(|_| UploadError::BadChunk)?;
        self.left = self.left.checked_sub(piece.data as u64).ok_or(UploadError::TooLarge)?;
        let mut data = &input[..piece.data];
        if let Some((upstream, cx)) = direct
            && self.framing == Framing::Raw
            && !self.is_whole
        {
            data = &data[write_now(upstream, cx, data).map_err(|_| UploadError::Upstream)?..];
        }
        let done = self.body.is_done();
        if !data.is_empty() || done {
            let out = self.out.open();
            self.framing.write(out, data);
            if done {
                self.framing.finish(out, &trailers);
            }
        }
        Ok(piece.consumed)
    }
}

/// Writes what the socket takes at once; the rest is for a buffer.
pub(crate) fn write_now(stream: &Stream, cx: &mut Context, data: &[u8]) -> io::Result<usize> {
    match stream.poll_write(cx, data) {
        Poll::Ready(written) => written,
        Poll::Pending => Ok(0),
    }
}
