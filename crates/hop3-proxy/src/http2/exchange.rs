// SPDX-License-Identifier: Apache-2.0
//! One stream of a client: its request is handed to a `Client` through memory, and the answer is brought back.
//!
//! Invariant: the stream ends well only when the whole answer was sent; anything else is a reset.

use super::flow::{self, Cut, Outward};
use super::head;
use crate::client::{Client, Way};
use crate::ferry::{Fate, Ferry, Left};
use crate::http1::body::{Body, Framing};
use crate::memory::Memory;
use crate::stream::Stream;
use crate::worker::Worker;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderValue, Method, Request, StatusCode, header};
use std::pin::pin;
use std::rc::Rc;

pub(super) async fn run(
    worker: Rc<Worker>,
    way: Way,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Fate {
    let (parts, body) = request.into_parts();
    let protocol = parts.extensions.get::<h2::ext::Protocol>().map(|protocol| protocol.as_str());
    let has_body = !body.is_end_stream();
    let (ours, theirs) = way.sharing.pair();
    let mut client = Client::new(worker.clone(), Stream::memory(theirs), way);
    head::request(&parts, protocol, has_body, client.pending.open());
    let is_framed = parts.headers.contains_key(header::CONTENT_LENGTH) || protocol.is_some();
    let framing = if has_body && !is_framed { Framing::Chunked } else { Framing::Raw };

    let ferry = Ferry::new(&client);
    let up = pin!(async { flow::inward(body, &ours, framing).await.map_err(|_| Left) });
    let asked = Asked { is_head: parts.method == Method::HEAD, is_tunnel: protocol.is_some() };
    // It lies in the client's buffer now.
    drop(parts);
    let down = pin!(down(&ours, respond, (asked, worker.alt_svc()), || ferry.moved()));
    ferry.carry(client, &ours, has_body.then_some(up), down).await
}

/// What a request asked for, as far as its answer depends on it.
struct Asked {
    is_head: bool,
    is_tunnel: bool,
}

async fn down(
    link: &Memory,
    mut respond: SendResponse<Bytes>,
    (Asked { is_head, is_tunnel }, alt_svc): (Asked, Option<HeaderValue>),
    moved: impl Fn(),
) -> Fate {
    let mut source = Outward::new(link);
    let answer = loop {
        let found =
            source.head(|bytes| head::answer(bytes, is_head), |cx| respond.poll_reset(cx).map(|_| ())).await;
        let answer = match found {
            Ok(answer) => answer,
            Err(Cut::Broken) => {
                respond.send_reset(Reason::INTERNAL_ERROR);
                return Fate::Broken;
            }
            Err(_) => return Fate::Given,
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
    } else if is_tunnel && response.status().is_success() {
        // Success would say that the tunnel is open (RFC 8441, 5).
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response.headers_mut().clear();
        respond.send_response(response, true).ok();
        return Fate::Broken;
    } else if let Some(alt_svc) = alt_svc {
        response.headers_mut().entry(header::ALT_SVC).or_insert(alt_svc);
    }
    let Ok(mut stream) = respond.send_response(response, body.is_done()) else { return Fate::Given };
    match source.body(body, &mut stream, moved).await {
        Ok(()) => Fate::Answered,
        Err(Cut::Broken) => {
            // As a reset of TCP is said in a tunnel (RFC 8441, 5).
            stream.send_reset(if is_tunnel { Reason::CANCEL } else { Reason::INTERNAL_ERROR });
            Fate::Broken
        }
        Err(_) => Fate::Given,
    }
}
