// SPDX-License-Identifier: Apache-2.0
//! The way down: an upstream's response, from its first byte to its last, to the client.
//!
//! Invariant: each piece leaves as soon as it was read (server-sent events need it), and the end of a body is told
//! to the client only when the upstream told it to us.

use crate::buffer::{Buffer, with_scratch};
use crate::http1::body::{Body, Framing};
use crate::http1::forward::Request;
use crate::http1::header::{may_be_complete, push_line};
use crate::http1::response::{self, Response};
use crate::policy::{Coder, Plan, Recorder, Replaced, Way};
use crate::splice::{self, Broken};
use crate::stream::Stream;
use crate::upload::write_now;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// How a response failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DownloadError {
    /// The upstream closed the connection without a single byte.
    Silent,
    /// The upstream says that it has done nothing for the request.
    Refused,
    /// The upstream broke off within a head, or sent nonsense. The client has got nothing final.
    BadHead,
    /// The upstream broke off within a body.
    Truncated,
    /// The client is gone.
    Client,
    /// The service has a page of its own for this status; nothing was sent.
    Replaced(u16),
}

/// The two ends of an exchange, seen from the response.
pub(crate) struct Download<'a> {
    pub(crate) upstream: &'a Stream,
    pub(crate) client: &'a Stream,
    pub(crate) request: &'a Request,
    pub(crate) client_may_stay: bool,
    pub(crate) head_bytes: usize,
    /// The status, once a final head is on its way to the client.
    pub(crate) answered: &'a Cell<u16>,
    pub(crate) timing: Timing,
    /// False when the upstream sent more than its response.
    pub(crate) is_clean: Cell<bool>,
    pub(crate) plan: Option<&'a Plan>,
    /// Makes the body smaller on its way.
    pub(crate) coder: RefCell<Option<Coder>>,
    /// Keeps a copy of what leaves. A body that is not seen here, because the kernel moves it, cannot have one.
    pub(crate) recorder: RefCell<Option<Box<Recorder>>>,
}

/// How long the upstream took to the head of its response, and whether the client is told.
pub(crate) struct Timing {
    asked: Instant,
    took: Cell<Option<Duration>>,
    /// When the client's request began, if it is.
    told_since: Option<Instant>,
}

impl Timing {
    pub(crate) fn begin(told_since: Option<Instant>) -> Timing {
        Timing { asked: Instant::now(), took: Cell::new(None), told_since }
    }

    pub(crate) fn took(&self) -> Option<Duration> {
        self.took.get()
    }

    /// The head is there: `out` ends with it.
    fn heard(&self, out: &mut Vec<u8>) {
        let took = self.asked.elapsed();
        self.took.set(Some(took));
        if let Some(begun) = self.told_since {
            let before = self.asked.duration_since(begun);
            let ms = |time: Duration| time.as_secs_f64() * 1000.0;
            let value = format!("proxy;dur={:.2}, upstream;dur={:.2}", ms(before), ms(took));
            out.truncate(out.len() - 2);
            push_line(out, "Server-Timing", value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl Download<'_> {
    /// Brings the response down. What the upstream sent after a 101 stays in `pending`.
    pub(crate) async fn run(
        &self,
        pending: &mut Buffer,
        moved: impl Fn(),
    ) -> Result<Response, DownloadError> {
        let mut out = Buffer::default();
        loop {
            let response = poll_fn(|cx| self.poll_head(cx, pending, &mut out)).await?;
            if response.is_interim() {
                if self.request.is_http10 {
                    out.release();
                }
                self.flush(&mut out, &moved).await?;
                continue;
            }
            self.answered.set(response.status);
            self.timing.heard(out.open());
            moved();
            let mut body = Body::new(response.length);
            if response.status != 101 {
                self.take_pending(pending, &mut body, response.framing, &mut out)?;
            }
            self.keep(&body);
            self.flush(&mut out, &moved).await?;
            if response.framing == Framing::Raw
                && let Some(left) = body.rest(splice::WORTH)
                && self.may_splice()
            {
                self.splice(left, &moved).await?;
                body = Body::Done;
            }
            while !body.is_done() {
                poll_fn(|cx| self.poll_body(cx, &mut body, response.framing, &mut out)).await?;
                self.keep(&body);
                moved();
                self.flush(&mut out, &moved).await?;
            }
            return Ok(response);
        }
    }

    /// Nothing has to be done with the body here.
    fn may_splice(&self) -> bool {
        splice::is_possible(self.upstream, self.client)
            && self.coder.borrow().is_none()
            && self.recorder.borrow().is_none()
    }

    async fn splice(&self, left: u64, moved: &impl Fn()) -> Result<(), DownloadError> {
        let held = Cell::new(0);
        let carried = Box::pin(splice::carry(self.upstream, self.client, left, &held, moved)).await;
        carried.map_err(|broken| match broken {
            Broken::From => DownloadError::Truncated,
            Broken::To => DownloadError::Client,
        })
    }

    async fn flush(&self, out: &mut Buffer, moved: &impl Fn()) -> Result<(), DownloadError> {
        let mut sent = 0;
        while sent < out.len() {
            let count = poll_fn(|cx| self.client.poll_write(cx, &out[sent..])).await;
            sent += count.map_err(|_| DownloadError::Client)?;
            moved();
        }
        out.release();
        Ok(())
    }

    /// Reads until a head is complete; it is appended to `out`, what follows it to `pending`.
    fn poll_head(
        &self,
        cx: &mut Context,
        pending: &mut Buffer,
        out: &mut Buffer,
    ) -> Poll<Result<Response, DownloadError>> {
        if let Some(response) = self.parse(pending, out)? {
            pending.consume(response.bytes);
            return Poll::Ready(Ok(response));
        }
        loop {
            let found = ready!(with_scratch(|scratch| {
                let share = self.client.share();
                match ready!(self.upstream.poll_read(cx, &mut scratch[..share])) {
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        Poll::Ready(Err(DownloadError::Refused))
                    }
                    Ok(0) | Err(_) => Poll::Ready(Err(end_of_head(pending))),
                    Ok(count) => Poll::Ready(self.head_from(&scratch[..count], pending, out)),
                }
            }))?;
            if let Some(response) = found {
                return Poll::Ready(Ok(response));
            }
        }
    }

    fn head_from(
        &self,
        read: &[u8],
        pending: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<Option<Response>, DownloadError> {
        if !pending.is_empty() {
            let before = pending.len();
            pending.open().extend_from_slice(read);
            if !may_be_complete(pending, before) {
                return Ok(None);
            }
            let Some(response) = self.parse(pending, out)? else { return Ok(None) };
            pending.consume(response.bytes);
            return Ok(Some(response));
        }
        let response = self.parse(read, out)?;
        let rest = response.as_ref().map_or(read, |response| &read[response.bytes..]);
        if !rest.is_empty() {
            pending.open().extend_from_slice(rest);
        }
        Ok(response)
    }

    fn parse(&self, input: &[u8], out: &mut Buffer) -> Result<Option<Response>, DownloadError> {
        if input.is_empty() {
            return Ok(None);
        }
        let from = out.len();
        let found = response::rewrite(input, self.request, self.client_may_stay, out.open());
        match found.map_err(|_| DownloadError::BadHead)? {
            Some(mut response) if self.plan.is_some() => {
                self.follow_plan(&mut response, out, from)?;
                Ok(Some(response))
            }
            None if input.len() > self.head_bytes => Err(DownloadError::BadHead),
            found => Ok(found),
        }
    }

    /// Does to the head what the service's policy says.
    fn follow_plan(
        &self,
        response: &mut Response,
        out: &mut Buffer,
        from: usize,
    ) -> Result<(), DownloadError> {
        let Some(plan) = self.plan.filter(|_| response.status >= 200) else { return Ok(()) };
        match plan.response(response, self.request, out.open(), from) {
            Ok(Way { coder, recorder }) => {
                self.coder.replace(coder);
                self.recorder.replace(recorder);
                Ok(())
            }
            Err(Replaced(status)) => Err(DownloadError::Replaced(status)),
        }
    }

    fn record(&self, data: &[u8]) {
        let mut recorder = self.recorder.borrow_mut();
        if recorder.as_mut().is_some_and(|recorder| !recorder.push(data)) {
            *recorder = None;
        }
    }

    /// The body came whole: others may have the copy.
    fn keep(&self, body: &Body) {
        if body.is_done()
            && let Some(recorder) = self.recorder.take()
        {
            recorder.finish();
        }
    }

    /// Appends a piece of body, as it shall leave.
    fn put(&self, framing: Framing, out: &mut Buffer, data: &[u8]) -> Result<(), DownloadError> {
        match &mut *self.coder.borrow_mut() {
            _ if data.is_empty() => {}
            None => framing.write(out.open(), data),
            Some(coder) => {
                let coded = coder.push(data).map_err(|_| DownloadError::Truncated)?;
                self.record(&coded);
                framing.write(out.open(), &coded);
            }
        }
        Ok(())
    }

    /// Appends the end of the body.
    fn end(&self, framing: Framing, out: &mut Buffer, trailers: &[u8]) -> Result<(), DownloadError> {
        if let Some(coder) = self.coder.take() {
            let coded = coder.finish().map_err(|_| DownloadError::Truncated)?;
            self.record(&coded);
            framing.write(out.open(), &coded);
        }
        framing.finish(out.open(), trailers);
        Ok(())
    }

    fn poll_body(
        &self,
        cx: &mut Context,
        body: &mut Body,
        framing: Framing,
        out: &mut Buffer,
    ) -> Poll<Result<(), DownloadError>> {
        with_scratch(|scratch| {
            let share = self.client.share();
            // A reset is not an end, even where the end of the connection is the end of the body.
            let count = ready!(self.upstream.poll_read(cx, &mut scratch[..share]))
                .map_err(|_| DownloadError::Truncated)?;
            if count == 0 {
                if !body.ends_at_close() {
                    return Poll::Ready(Err(DownloadError::Truncated));
                }
                return Poll::Ready(self.end(framing, out, b""));
            }
            let mut trailers = Vec::new();
            let piece =
                body.take(&mut scratch[..count], &mut trailers).map_err(|_| DownloadError::Truncated)?;
            let mut data = &scratch[..piece.data];
            if self.coder.borrow().is_none() {
                self.record(data);
            }
            if framing == Framing::Raw {
                data = &data[write_now(self.client, cx, data).map_err(|_| DownloadError::Client)?..];
            }
            self.put(framing, out, data)?;
            if body.is_done() && framing == Framing::Chunked {
                self.end(framing, out, &trailers)?;
            }
            self.is_clean.set(piece.consumed == count);
            Poll::Ready(Ok(()))
        })
    }

    /// Body bytes that came together with the head leave together with it.
    fn take_pending(
        &self,
        pending: &mut Buffer,
        body: &mut Body,
        framing: Framing,
        out: &mut Buffer,
    ) -> Result<(), DownloadError> {
        if pending.is_empty() || body.is_done() {
            return Ok(());
        }
        let mut trailers = Vec::new();
        let piece = body.take(pending, &mut trailers).map_err(|_| DownloadError::BadHead)?;
        if self.coder.borrow().is_none() {
            self.record(&pending[..piece.data]);
        }
        self.put(framing, out, &pending[..piece.data])?;
        if body.is_done() {
            self.end(framing, out, &trailers)?;
        }
        pending.consume(piece.consumed);
        Ok(())
    }
}

fn end_of_head(pending: &Buffer) -> DownloadError {
    if pending.is_empty() { DownloadError::Silent } else { DownloadError::BadHead }
}
