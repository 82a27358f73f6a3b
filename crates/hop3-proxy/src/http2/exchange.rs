// SPDX-License-Identifier: Apache-2.0
//! One stream of a client: its request is handed to a `Client` through memory, and the answer is brought back.
//!
//! ```text
//! client ──DATA──▶ up ──▶ memory ──▶ Client ─▶ upstream
//!        ◀─DATA── down ◀── memory ◀──
//! ```
//! Invariant: the stream ends well only when the whole answer was sent; anything else is a reset. A client that resets
//! its stream ends the work for it.

use super::flow::{self, Cut, Outward};
use super::head;
use crate::client::{Client, SEND_IDLE, Way};
use crate::deadline::Watch;
use crate::http1::body::{Body, Framing};
use crate::memory::{self, Memory};
use crate::stream::Stream;
use crate::worker::Worker;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, StatusCode, header};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

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
    let mut up = pin!(flow::inward(body, &ours, framing));
    let mut down = pin!(down(&ours, respond, parts.method == http::Method::HEAD, moved));
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

async fn down(link: &Memory, mut respond: SendResponse<Bytes>, is_head: bool, moved: impl Fn()) -> Fate {
    let mut source = Outward::new(link);
    let answer = loop {
        let found =
            source.head(|bytes| head::answer(bytes, is_head), |cx| respond.poll_reset(cx).map(|_| ())).await;
        let answer = match found {
            Ok(answer) => answer,
            Err(Cut::Reset) => return Fate::Given,
            Err(Cut::Broken) => {
                respond.send_reset(Reason::INTERNAL_ERROR);
                return Fate::Broken;
            }
        };
        let status = answer.response.status();
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            break answer;
        }
        respond.send_informational(answer.response).ok();
    };
    let (mut response, mut body) = (answer.response, Body::new(answer.length));
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().remove("sec-websocket-accept");
        body = Body::UntilClose;
    }
    let Ok(mut stream) = respond.send_response(response, body.is_done()) else { return Fate::Given };
    match source.body(body, &mut stream, moved).await {
        Ok(()) => Fate::Answered,
        Err(Cut::Reset) => Fate::Given,
        Err(Cut::Broken) => {
            stream.send_reset(Reason::INTERNAL_ERROR);
            Fate::Broken
        }
    }
}
