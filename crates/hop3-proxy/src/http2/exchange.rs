// SPDX-License-Identifier: Apache-2.0
//! One stream: its request is handed to a `Client` through memory, and the answer is brought back.
//!
//! ```text
//! client ──DATA──▶ up ──▶ memory ──▶ Client ─▶ upstream
//!        ◀─DATA── down ◀── memory ◀──
//! ```
//! Invariant: the stream ends well only when the whole answer was sent; anything else is a reset. A client that resets
//! its stream ends the work for it.

use super::head;
use crate::client::{Client, SEND_IDLE, Way};
use crate::deadline::Watch;
use crate::http1::body::{Body, Framing};
use crate::memory::{self, Memory};
use crate::stream::Stream;
use crate::worker::Worker;
use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, StatusCode, header};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    /// The client did not wait for the answer.
    Given,
    /// It was broken off here.
    Broken,
}

pub(super) async fn run(
    worker: Rc<Worker>,
    way: Way,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Fate {
    let (parts, body) = request.into_parts();
    let protocol = parts.extensions.get::<h2::ext::Protocol>().map(|protocol| protocol.as_str());
    let has_body = !body.is_end_stream();
    let (ours, theirs) = memory::pair();
    let mut client = Client::new(worker.clone(), Stream::memory(theirs), way);
    head::request(&parts, protocol, has_body, client.pending.open());
    let is_framed = parts.headers.contains_key(header::CONTENT_LENGTH) || protocol.is_some();
    let framing = if has_body && !is_framed { Framing::Chunked } else { Framing::Raw };

    let watch = client.watch.clone();
    let is_served = Cell::new(false);
    let moved = || {
        if is_served.get() {
            worker.deadlines.set(&watch, SEND_IDLE);
        }
    };
    let mut served = Box::pin(client.serve_one());
    let mut up = pin!(up(body, &ours, framing));
    let mut down = pin!(Down { link: &ours, held: BytesMut::new(), respond, moved }.run(&parts.method));
    let (mut is_up, mut fate) = (has_body, None);
    poll_fn(|cx| {
        if !is_served.get() && served.as_mut().poll(cx).is_ready() {
            is_served.set(true);
            worker.deadlines.set(&watch, SEND_IDLE);
        }
        if is_up && let Poll::Ready(sent) = up.as_mut().poll(cx) {
            is_up = false;
            if sent.is_err() && fate.is_none() {
                give_up(&watch, &ours);
                fate = Some(Fate::Given);
            }
        }
        if fate.is_none()
            && let Poll::Ready(ended) = down.as_mut().poll(cx)
        {
            if ended != Fate::Answered {
                give_up(&watch, &ours);
            }
            fate = Some(ended);
        }
        match fate {
            Some(fate) if is_served.get() => Poll::Ready(fate),
            None if is_served.get() => watch.poll(cx).map(|_| Fate::Broken),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Nobody waits for the answer any more.
fn give_up(watch: &Watch, link: &Memory) {
    watch.leave();
    link.abort();
}

/// The client has reset the stream, or is gone.
struct Reset;

/// Brings the request's body to the memory. Ends well also when nobody reads it.
async fn up(mut body: RecvStream, link: &Memory, framing: Framing) -> Result<(), Reset> {
    let mut out = Vec::new();
    while let Some(data) = poll_fn(|cx| body.poll_data(cx)).await {
        let data = data.map_err(|_| Reset)?;
        if poll_fn(|cx| link.poll_room(cx)).await.is_err() {
            return Ok(());
        }
        match framing {
            Framing::Raw => link.put(&data),
            Framing::Chunked => {
                out.clear();
                framing.write(&mut out, &data);
                link.put(&out);
            }
        }
        // Only now may the client send as much again.
        body.flow_control().release_capacity(data.len()).map_err(|_| Reset)?;
    }
    let trailers = poll_fn(|cx| body.poll_trailers(cx)).await.map_err(|_| Reset)?;
    out.clear();
    framing.finish(&mut out, &trailers.map(|trailers| head::trailer_lines(&trailers)).unwrap_or_default());
    link.put(&out);
    link.end();
    Ok(())
}

struct Down<'a, F> {
    link: &'a Memory,
    /// Taken from the memory and not yet used.
    held: BytesMut,
    respond: SendResponse<Bytes>,
    moved: F,
}

impl<F: Fn()> Down<'_, F> {
    async fn run(mut self, method: &Method) -> Fate {
        let answer = loop {
            let answer = match self.head(*method == Method::HEAD).await {
                Ok(answer) => answer,
                Err(fate) => return self.refuse(fate),
            };
            let status = answer.response.status();
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                break answer;
            }
            self.respond.send_informational(answer.response).ok();
        };
        let mut response = answer.response;
        let mut body = Body::new(answer.length);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            *response.status_mut() = StatusCode::OK;
            response.headers_mut().remove("sec-websocket-accept");
            body = Body::UntilClose;
        }
        let Ok(mut stream) = self.respond.send_response(response, body.is_done()) else { return Fate::Given };
        while !body.is_done() {
            match self.piece(&mut body, &mut stream).await {
                Ok(()) => (self.moved)(),
                Err(Fate::Broken) => {
                    stream.send_reset(Reason::INTERNAL_ERROR);
                    return Fate::Broken;
                }
                Err(fate) => return fate,
            }
        }
        Fate::Answered
    }

    fn refuse(&mut self, fate: Fate) -> Fate {
        if fate == Fate::Broken {
            self.respond.send_reset(Reason::INTERNAL_ERROR);
        }
        fate
    }

    async fn head(&mut self, is_head: bool) -> Result<head::Answer, Fate> {
        loop {
            if let Some((answer, used)) = head::answer(&self.held, is_head) {
                drop(self.held.split_to(used));
                return Ok(answer);
            }
            let more = poll_fn(|cx| match self.link.poll_take(cx) {
                Poll::Ready(taken) => Poll::Ready(taken.ok().flatten().ok_or(Fate::Broken)),
                Poll::Pending => self.respond.poll_reset(cx).map(|_| Err(Fate::Given)),
            })
            .await?;
            self.add(more);
        }
    }

    fn add(&mut self, more: BytesMut) {
        if self.held.is_empty() {
            self.held = more;
        } else {
            self.held.extend_from_slice(&more);
        }
    }

    /// Sends one piece of body, or its end.
    async fn piece(&mut self, body: &mut Body, stream: &mut SendStream<Bytes>) -> Result<(), Fate> {
        if self.held.is_empty() {
            match poll_fn(|cx| poll_more(cx, self.link, stream)).await? {
                Some(more) => self.held = more,
                None if body.ends_at_close() => return end(stream, &[]),
                None => return Err(Fate::Broken),
            }
        }
        let mut lines = Vec::new();
        let piece = body.take(&mut self.held, &mut lines).map_err(|_| Fate::Broken)?;
        let mut rest = self.held.split_off(piece.consumed);
        std::mem::swap(&mut rest, &mut self.held);
        rest.truncate(piece.data);
        let is_last = body.is_done() && lines.is_empty();
        if rest.is_empty() {
            return if body.is_done() { end(stream, &lines) } else { Ok(()) };
        }
        self.send(rest.freeze(), is_last, stream).await?;
        if body.is_done() && !is_last { end(stream, &lines) } else { Ok(()) }
    }

    async fn send(&self, mut data: Bytes, is_last: bool, stream: &mut SendStream<Bytes>) -> Result<(), Fate> {
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            while stream.capacity() == 0 {
                poll_fn(|cx| poll_window(cx, self.link, stream)).await?;
            }
            let piece = data.split_to(stream.capacity().min(data.len()));
            let ends = is_last && data.is_empty();
            stream.send_data(piece, ends).map_err(|_| Fate::Given)?;
            (self.moved)();
        }
        Ok(())
    }
}

/// More of the answer, or its end; or the client's reset.
fn poll_more(
    cx: &mut Context<'_>,
    link: &Memory,
    stream: &mut SendStream<Bytes>,
) -> Poll<Result<Option<BytesMut>, Fate>> {
    match link.poll_take(cx) {
        Poll::Ready(taken) => Poll::Ready(taken.map_err(|_| Fate::Broken)),
        Poll::Pending => stream.poll_reset(cx).map(|_| Err(Fate::Given)),
    }
}

/// The client takes more; or nobody has more for it.
fn poll_window(
    cx: &mut Context<'_>,
    link: &Memory,
    stream: &mut SendStream<Bytes>,
) -> Poll<Result<(), Fate>> {
    match stream.poll_capacity(cx) {
        Poll::Ready(Some(Ok(_))) => Poll::Ready(Ok(())),
        Poll::Ready(_) => Poll::Ready(Err(Fate::Given)),
        Poll::Pending => link.poll_broken(cx).map(|()| Err(Fate::Broken)),
    }
}

fn end(stream: &mut SendStream<Bytes>, trailer_lines: &[u8]) -> Result<(), Fate> {
    let ended = if trailer_lines.is_empty() {
        stream.send_data(Bytes::new(), true)
    } else {
        stream.send_trailers(head::trailers(trailer_lines))
    };
    ended.map_err(|_| Fate::Given)
}
