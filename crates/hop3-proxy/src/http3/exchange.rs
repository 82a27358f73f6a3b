// SPDX-License-Identifier: Apache-2.0
//! One request of a client: handed to a `Client` through memory, and the answer brought back.
//!
//! Invariants: the stream ends well only when the whole answer was sent; anything else is a reset. A request is over
//! when its answer was heard, not when it was sent.

use super::protocol::Asked;
use super::wire::{self, Aside, Heard, Wire};
use crate::client::{Client, Way};
use crate::ferry::{Fate, Ferry, Left};
use crate::http1::body::{Body, Framing};
use crate::http2::head::{self, Answer};
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

pub(super) async fn run(worker: Rc<Worker>, way: Way, resolver: RequestResolver<Wire, Bytes>, aside: Aside) {
    let resolved = tokio::time::timeout(worker.limits.head_timeout, resolver.resolve_request()).await;
    let Ok(Ok((request, stream))) = resolved else { return };
    let (mut sending, mut receiving) = stream.split();
    let (parts, ()) = request.into_parts();
    let asked = aside.asked.get();
    if head::is_malformed(&parts.headers) || !may_ask(&parts, asked) {
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
    head::request(&parts, asked.name(), has_body, client.pending.open());
    let is_tunnel = asked != Asked::Nothing;
    let is_framed = !has_body || is_tunnel || parts.headers.contains_key(header::CONTENT_LENGTH);
    let framing = if is_framed { Framing::Raw } else { Framing::Chunked };

    if !has_body {
        // So that a body that was announced is not waited for.
        ours.end();
    }

    let ferry = Ferry::new(&client);
    let fate = {
        let up = pin!(up(&mut receiving, first, &ours, framing));
        let wants = Wants { is_head: parts.method == Method::HEAD, is_tunnel };
        let down = down(&mut sending, &ours, wants, || ferry.moved());
        let down = pin!(to_the_end(down, aside.heard, || ferry.sent()));
        ferry.carry(client, &ours, has_body.then_some(up), down).await
    };
    if fate != Fate::Answered {
        // As a reset of TCP is said in a tunnel (RFC 9220, 3).
        sending.stop_stream(if is_tunnel { Code::H3_REQUEST_CANCELLED } else { Code::H3_INTERNAL_ERROR });
    }
    receiving.stop_sending(Code::H3_NO_ERROR);
}

/// Only CONNECT names a protocol, and says where to only when it does (RFC 9220, 3; RFC 9114, 4.4).
fn may_ask(parts: &http::request::Parts, asked: Asked) -> bool {
    let is_connect = parts.method == Method::CONNECT;
    match asked {
        Asked::Nothing => !is_connect || parts.uri.scheme().is_none(),
        Asked::WebSocket | Asked::Other => is_connect && parts.uri.scheme().is_some(),
    }
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

/// What a request asked for, as far as its answer depends on it.
#[derive(Clone, Copy)]
struct Wants {
    is_head: bool,
    is_tunnel: bool,
}

async fn down(sending: &mut Sending, link: &Memory, wants: Wants, moved: impl Fn()) -> Fate {
    let (Answer { mut response, length }, held) = match head(sending, link, wants.is_head).await {
        Ok(found) => found,
        Err(fate) => return fate,
    };
    let mut rest = Body::new(length);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().remove("sec-websocket-accept");
        rest = Body::UntilClose;
    } else if wants.is_tunnel && response.status().is_success() {
        // Success would say that the tunnel is open (RFC 8441, 5).
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response.headers_mut().clear();
        rest = Body::Done;
        // Nobody wants the rest.
        link.abort();
    }
    if sending.send_response(response).await.is_err() {
        return Fate::Given;
    }
    match body(sending, link, (held, rest), moved).await {
        Ok(trailers) => finish(sending, trailers).await,
        Err(fate) => fate,
    }
}

/// The answer's head and what came with it. What is said before is sent on.
async fn head(sending: &mut Sending, link: &Memory, is_head: bool) -> Result<(Answer, BytesMut), Fate> {
    let mut held = BytesMut::new();
    loop {
        if let Some((answer, used)) = head::answer(&held, is_head) {
            drop(held.split_to(used));
            let status = answer.response.status();
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok((answer, held));
            }
            sending.send_response(answer.response).await.map_err(|_| Fate::Given)?;
            continue;
        }
        match poll_fn(|cx| link.poll_take(cx)).await {
            Ok(Some(more)) => held.unsplit(more),
            _ => return Err(Fate::Broken),
        }
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
