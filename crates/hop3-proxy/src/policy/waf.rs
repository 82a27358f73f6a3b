// SPDX-License-Identifier: Apache-2.0
//! The request filter: another process compares each request, and the beginning of its body, with rules about attacks.
//!
//! What was read of the body lies in `Client::pending` afterwards as if nobody had read it.
//!
//! Invariant: in `block` mode no answer is a no.

use super::answer::Answer;
use super::live::Live;
use super::visit::Visit;
use crate::buffer::with_scratch;
use crate::client::Client;
use crate::http1::body::Body;
use crate::http1::header::push_line;
use crate::http1::request::{BAD_CHUNK, BODY_TOO_SLOW};
use crate::page::{self, Page};
use crate::stream::Stream;
use hop3_core::policy::{Waf, WafMode};
use hop3_core::route::{Address, Speaks};
use hop3_core::waf::{Answer as Said, Ask, MAX_ANSWER, MAX_BODY};
use std::fmt::Write;
use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::sync::Semaphore;

/// From the wait for a turn to the end of the answer. The first question has the rules read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions of one service at the same time, as many as the filter has threads. The others of a flood wait here, and
/// who asks for another service has few before it.
const AT_ONCE: usize = 4;
/// What is looked at of a body has this long to come.
const BODY_PATIENCE: Duration = Duration::from_secs(120);
/// The same with its chunk framing. Whoever frames more wastefully, in chunks of a few bytes, hides something.
const MAX_RAW: usize = 2 * MAX_BODY;

/// Turns for the questions of one service.
pub(super) fn turns() -> Semaphore {
    Semaphore::new(AT_ONCE)
}

/// What the rules found, for the access log.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    pub(crate) score: u32,
    /// Numbers with commas between them.
    pub(crate) rules: String,
}

impl Finding {
    fn new(what: &'static str, said: &Said) -> Finding {
        let mut rules = String::new();
        for found in &said.matches {
            let comma = if rules.is_empty() { "" } else { "," };
            // Writing to a string does not fail.
            let _ = write!(rules, "{comma}{}", found.id);
        }
        Finding { what, score: said.score, rules }
    }
}

pub(super) async fn check(client: &mut Client, live: &Live, visit: &mut Visit<'_>) -> Result<(), Answer> {
    let Some(waf) = live.source.waf.as_ref().filter(|waf| waf.mode != WafMode::Off) else { return Ok(()) };
    if visit.is_plainly(&waf.except) {
        return Ok(());
    }
    let body = match live.source.speaks() {
        Speaks::Http1 => read(client, visit).await?,
        // Messages of gRPC are no text, and may come one at a time between answers.
        Speaks::H2c => Beginning::default(),
    };
    let blocks = waf.mode == WafMode::Block;
    if body.is_wasteful {
        visit.finding = Some(Finding::new(if blocks { "blocked" } else { "detected" }, &Said::default()));
        return if blocks { Err(Answer::page(page::FILTERED)) } else { Ok(()) };
    }
    client.worker.deadlines.set(&client.watch, PATIENCE);
    // Boxed, so that requests that are not filtered do not own its room.
    let asked = Box::pin(async {
        let _turn = live.questions.acquire().await.map_err(io::Error::other)?;
        ask(&client.worker.filter, waf, visit, &body).await
    });
    let said = match client.in_time(asked).await {
        Some(Ok(said)) => said,
        failed => {
            let error = failed.and_then(Result::err);
            tracing::warn!(error = error.map(tracing::field::display), "the request filter has no answer");
            visit.finding = Some(Finding::new("away", &Said::default()));
            return if blocks { Err(Answer::page(page::FILTER_AWAY)) } else { Ok(()) };
        }
    };
    let what = match (said.stop, blocks) {
        (true, true) => "blocked",
        (true, false) => "detected",
        (false, _) if body.is_cut => "cut",
        (false, _) => "passed",
    };
    if said.stop || body.is_cut || !said.matches.is_empty() {
        visit.finding = Some(Finding::new(what, &said));
    }
    if said.stop && blocks { Err(Answer::page(page::FILTERED)) } else { Ok(()) }
}

/// As much of a body as is looked at.
#[derive(Default)]
struct Beginning {
    data: Vec<u8>,
    is_cut: bool,
    /// Of what came most was framing.
    is_wasteful: bool,
}

/// Waits until the body is there, or as much of it as is looked at.
async fn read(client: &mut Client, visit: &mut Visit<'_>) -> Result<Beginning, Answer> {
    let mut body = Body::new(visit.length);
    let (mut data, mut seen) = (Vec::new(), 0);
    client.worker.deadlines.set(&client.watch, BODY_PATIENCE);
    loop {
        let mut piece = client.pending[seen..].to_vec();
        let took = body.take(&mut piece, &mut Vec::new()).map_err(|_| Answer::page(Page::from(BAD_CHUNK)))?;
        data.extend_from_slice(&piece[..took.data]);
        seen += took.consumed;
        let is_cut = !body.is_done();
        if !is_cut || data.len() >= MAX_BODY || seen >= MAX_RAW {
            let is_wasteful = is_cut && data.len() < MAX_BODY;
            let is_cut = is_cut || data.len() > MAX_BODY;
            data.truncate(MAX_BODY);
            return Ok(Beginning { data, is_cut, is_wasteful });
        }
        if visit.header("expect").is_some() && !visit.edit.removes("Expect") {
            // Whoever waits to be asked for the body is asked here, and by nobody else.
            visit.edit.remove("Expect");
            if !client.send(b"HTTP/1.1 100 Continue\r\n\r\n").await {
                return Err(Answer::page(Page::from(BODY_TOO_SLOW)));
            }
            client.worker.deadlines.set(&client.watch, BODY_PATIENCE);
        }
        match more(client).await {
            Some(true) => {}
            Some(false) => return Err(Answer::page(Page::from(BAD_CHUNK))),
            None => return Err(Answer::page(Page::from(BODY_TOO_SLOW))),
        }
    }
}

/// Reads on; false when the client has gone.
async fn more(client: &mut Client) -> Option<bool> {
    let (watch, stream, pending) = (client.watch.clone(), &client.stream, &mut client.pending);
    let read = poll_fn(|cx| {
        with_scratch(|scratch| {
            let count = ready!(stream.poll_read(cx, scratch)).unwrap_or(0);
            pending.open().extend_from_slice(&scratch[..count]);
            Poll::Ready(count > 0)
        })
    });
    watch.in_time(read).await
}

/// The request as it came, without what the proxy adds about its way.
fn head(visit: &Visit<'_>) -> Vec<u8> {
    let mut out = format!("{} {} HTTP/1.1\r\n", visit.method, visit.target).into_bytes();
    for (name, value) in visit.headers() {
        let is_own = name.get(..12).is_some_and(|start| start.eq_ignore_ascii_case("x-forwarded-"));
        if !is_own {
            push_line(&mut out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

async fn ask(filter: &Address, waf: &Waf, visit: &Visit<'_>, body: &Beginning) -> io::Result<Said> {
    let without = waf.without.clone();
    let ask = Ask { client: visit.address, paranoia: waf.paranoia, without, is_cut: body.is_cut };
    let question = ask.question(&head(visit), &body.data).ok_or(io::ErrorKind::InvalidInput)?;
    let stream = Stream::connect(filter).await?;
    stream.write_all(&question).await?;
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = poll_fn(|cx| stream.poll_read(cx, &mut piece)).await?;
        bytes.extend_from_slice(&piece[..count]);
        if let Some(said) = Said::read(&bytes).map_err(io::Error::other)? {
            return said.failed.clone().map_or(Ok(said), |why| Err(io::Error::other(why)));
        }
        if count == 0 || bytes.len() > MAX_ANSWER + 4 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
