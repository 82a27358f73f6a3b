// SPDX-License-Identifier: Apache-2.0
//! One request of a client: handed to a `Client` through memory, and the answer brought back.
//!
//! Invariants: the stream ends well only when the whole answer was sent; anything else is a reset. A request is over
//! when its answer was heard, not when it was sent.

use super::wire::{self, Heard, Wire};
use crate::client::{Client, Way};
use crate::ferry::{Fate, Ferry, Left};
use crate::http1::body::{Body, Framing};
use crate::http2::head;
use crate::memory::Memory;
use crate::stream::Stream;
use crate::worker::Worker;
use bytes::{Buf, Bytes, BytesMut};
use h3::error::Code;
use h3::server::{RequestResolver, RequestStream};
use http::{HeaderMap, Method, StatusCode, header};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

type Sending = RequestStream<wire::Sending, Bytes>;
type Receiving = RequestStream<wire::Receiving, Bytes>;

pub(super) async fn run(worker: Rc<Worker>, way: Way, resolver: RequestResolver<Wire, Bytes>, heard: Heard) {
    let resolved = tokio::time::timeout(worker.limits.head_timeout, resolver.resolve_request()).await;
    let Ok(Ok((request, stream))) = resolved else { return };
    let (mut sending, mut receiving) = stream.split();
    let (parts, ()) = request.into_parts();
    if head::is_malformed(&parts.headers) {
        sending.stop_stream(Code::H3_MESSAGE_ERROR);
        return receiving.stop_sending(Code::H3_MESSAGE_ERROR);
    }
    let mut first = poll_fn(|cx| match poll_first(&mut receiving, cx) {
        Poll::Pending => Poll::Ready(First::NotYet),
        first => first,
    })
    .await;
    if matches!(first, First::NotYet) && expects_no_body(&parts) {
        // Its end may come in a packet of its own.
        let ended = poll_fn(|cx| poll_first(&mut receiving, cx));
        first = tokio::time::timeout(worker.limits.head_timeout, ended).await.unwrap_or(First::NotYet);
    }
    let has_body = !matches!(first, First::None);
    let (ours, theirs) = way.sharing.pair();
    let mut client = Client::new(worker, Stream::memory(theirs), way);
    head::request(&parts, None, has_body, client.pending.open());
    let is_framed = !has_body || parts.headers.contains_key(header::CONTENT_LENGTH);
    let framing = if is_framed { Framing::Raw } else { Framing::Chunked };

    if !has_body {
        // So that a body that was announced is not waited for.
        ours.end();
    }

    let ferry = Ferry::new(&client);
    let fate = {
        let up = pin!(up(&mut receiving, first, &ours, framing));
        let down = down(&mut sending, &ours, parts.method == Method::HEAD, || ferry.moved());
        let down = pin!(to_the_end(down, heard, || ferry.sent()));
        ferry.carry(client, &ours, has_body.then_some(up), down).await
    };
    if fate != Fate::Answered {
        sending.stop_stream(Code::H3_INTERNAL_ERROR);
    }
    receiving.stop_sending(Code::H3_NO_ERROR);
}

/// Runs `down`, unless the client leaves first, and waits until it has heard everything.
async fn to_the_end(down: impl Future<Output = Fate>, mut heard: Heard, sent: impl Fn()) -> Fate {
    let mut down = pin!(down);
    let fate = poll_fn(|cx| match down.as_mut().poll(cx) {
        // Nothing else tells of a client that wants no answer any more while the app still thinks.
        Poll::Pending => heard.as_mut().poll(cx).map(|_| None),
        done => done.map(Some),
    });
    match fate.await {
        Some(Fate::Answered) => {
            sent();
            if heard.await == Ok(None) { Fate::Answered } else { Fate::Given }
        }
        Some(fate) => fate,
        None => Fate::Given,
    }
}

/// What of the body has come together with the head.
enum First {
    None,
    Some(Bytes),
    NotYet,
    Left,
}

/// Its method has no use for a body (RFC 9110, 9.3), and none was announced.
fn expects_no_body(parts: &http::request::Parts) -> bool {
    let methods = [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE, Method::TRACE];
    methods.contains(&parts.method) && !parts.headers.contains_key(header::CONTENT_LENGTH)
}

fn poll_first(receiving: &mut Receiving, cx: &mut Context<'_>) -> Poll<First> {
    receiving.poll_recv_data(cx).map(|received| match received {
        Ok(Some(mut data)) => First::Some(data.copy_to_bytes(data.remaining())),
        Ok(None) => First::None,
        Err(_) => First::Left,
    })
}

/// Brings the body to the memory. Ends well also when nobody reads it there.
async fn up(receiving: &mut Receiving, first: First, link: &Memory, framing: Framing) -> Result<(), Left> {
    let mut next = match first {
        First::Left => return Err(Left),
        First::Some(data) => Some(data),
        First::None | First::NotYet => None,
    };
    let mut out = Vec::new();
    loop {
        let data = match next.take() {
            Some(data) => data,
            None => match receiving.recv_data().await.map_err(|_| Left)? {
                Some(mut data) => data.copy_to_bytes(data.remaining()),
                None => break,
            },
        };
        if poll_fn(|cx| link.poll_room(cx)).await.is_err() {
            // It may wait with the answer until it has sent everything.
            receiving.stop_sending(Code::H3_NO_ERROR);
            return Ok(());
        }
        out.clear();
        framing.write(&mut out, &data);
        link.put(&out);
    }
    let trailers = receiving.recv_trailers().await.map_err(|_| Left)?;
    out.clear();
    framing.finish(&mut out, &trailers.map(|trailers| head::trailer_lines(&trailers)).unwrap_or_default());
    link.put(&out);
    link.end();
    Ok(())
}

async fn down(sending: &mut Sending, link: &Memory, is_head: bool, moved: impl Fn()) -> Fate {
    let mut held = BytesMut::new();
    let answer = loop {
        match head::answer(&held, is_head) {
            Some((answer, used)) => {
                drop(held.split_to(used));
                if !answer.response.status().is_informational() {
                    break answer;
                }
                if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    return Fate::Broken;
                }
                if sending.send_response(answer.response).await.is_err() {
                    return Fate::Given;
                }
            }
            None => match poll_fn(|cx| link.poll_take(cx)).await {
                Ok(Some(more)) => held.unsplit(more),
                _ => return Fate::Broken,
            },
        }
    };
    if sending.send_response(answer.response).await.is_err() {
        return Fate::Given;
    }
    match body(sending, link, (held, Body::new(answer.length)), moved).await {
        Ok(trailers) => finish(sending, trailers).await,
        Err(fate) => fate,
    }
}

/// Sends the body; gives its trailers.
async fn body(
    sending: &mut Sending,
    link: &Memory,
    (mut held, mut body): (BytesMut, Body),
    moved: impl Fn(),
) -> Result<HeaderMap, Fate> {
    let mut lines = Vec::new();
    while !body.is_done() {
        if held.is_empty() {
            match poll_fn(|cx| link.poll_take(cx)).await {
                Ok(Some(more)) => held = more,
                Ok(None) if body.ends_at_close() => break,
                _ => return Err(Fate::Broken),
            }
        }
        let piece = body.take(&mut held, &mut lines).map_err(|_| Fate::Broken)?;
        let mut data = held.split_to(piece.consumed);
        data.truncate(piece.data);
        if !data.is_empty() {
            sending.send_data(data.freeze()).await.map_err(|_| Fate::Given)?;
            moved();
        }
    }
    Ok(head::trailers(&lines))
}

async fn finish(sending: &mut Sending, trailers: HeaderMap) -> Fate {
    if !trailers.is_empty() && sending.send_trailers(trailers).await.is_err() {
        return Fate::Given;
    }
    if sending.finish().await.is_ok() { Fate::Answered } else { Fate::Given }
}
