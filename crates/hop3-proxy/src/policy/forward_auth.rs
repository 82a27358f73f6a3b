// SPDX-License-Identifier: Apache-2.0
//! Single sign-on: another service is told of each request and says whether it may pass.
//!
//! Invariant: no answer is a no. What that service says of the visitor reaches the upstream only from it: a visitor's
//! own headers of those names are dropped.

use super::answer::Answer;
use super::live::Live;
use super::visit::Visit;
use crate::client::Client;
use crate::http1::body::{Body, Length};
use crate::page;
use crate::stream::Stream;
use hop3_core::policy::ForwardAuth;
use hop3_core::route::Address;
use std::future::poll_fn;
use std::io;
use std::time::Duration;

/// From the connection to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Head and body of the answer.
const MAX_ANSWER: usize = 128 << 10;

/// What is passed on to a visitor who may not come in.
const PASSED: &[&str] = &["Cache-Control", "Content-Language", "Location", "WWW-Authenticate", "Retry-After"];

/// What the service said.
pub(super) struct Said {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Said {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn cookies(&self) -> impl Iterator<Item = &str> {
        let lines = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case("set-cookie"));
        lines.map(|(_, value)| value.as_str())
    }
}

pub(super) async fn check(client: &Client, live: &Live, visit: &mut Visit<'_>) -> Result<(), Answer> {
    let Some(auth) = live.source.forward_auth.as_ref().filter(|auth| auth.on) else { return Ok(()) };
    if visit.is_plainly(&auth.except) {
        return Ok(());
    }
    client.worker.deadlines.set(&client.watch, PATIENCE);
    // Boxed, so that requests that ask nobody do not own its room.
    let asked = Box::pin(ask(auth, question(auth, visit)));
    let said = match client.in_time(asked).await {
        Some(Ok(said)) => said,
        failed => {
            let error = failed.and_then(Result::err);
            tracing::warn!(
                url = auth.url,
                error = error.map(tracing::field::display),
                "forward-auth has no answer"
            );
            return Err(Answer::page(page::GATE_AWAY));
        }
    };
    if !(200..300).contains(&said.status) {
        return Err(refusal(&said));
    }
    for cookie in said.cookies() {
        visit.lines += &format!("Set-Cookie: {cookie}\r\n");
    }
    for name in &auth.copy {
        visit.edit.remove(name);
        if let Some(value) = said.header(name) {
            visit.edit.set(name, value);
        }
    }
    Ok(())
}

fn refusal(said: &Said) -> Answer {
    let media = said.header("Content-Type").unwrap_or("text/plain; charset=utf-8");
    let mut answer = Answer::bytes(said.status, said.body.clone(), media);
    for name in PASSED {
        if let Some(value) = said.header(name) {
            answer = answer.line(name, value);
        }
    }
    said.cookies().fold(answer, |answer, cookie| answer.line("Set-Cookie", cookie))
}

/// The visitor's headers without those about the message itself, and where it wants to go.
fn question(auth: &ForwardAuth, visit: &Visit<'_>) -> Vec<u8> {
    const DROPPED: &[&str] = &[
        "connection",
        "content-length",
        "expect",
        "host",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-proto",
    ];
    let rest = auth.url.trim_start_matches("http://");
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let mut out = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n").into_bytes();
    for (name, value) in visit.headers() {
        if !DROPPED.iter().any(|dropped| name.eq_ignore_ascii_case(dropped)) {
            crate::http1::header::push_line(&mut out, name, value);
        }
    }
    for (name, value) in [
        ("X-Forwarded-For", visit.address.to_string().as_str()),
        ("X-Forwarded-Proto", visit.scheme),
        ("X-Forwarded-Method", visit.method),
        ("X-Forwarded-Uri", visit.target),
    ] {
        super::edit::push(&mut out, name, value);
    }
    out.extend_from_slice(b"\r\n");
    out
}

async fn ask(auth: &ForwardAuth, question: Vec<u8>) -> io::Result<Said> {
    let rest = auth.url.trim_start_matches("http://");
    let address = rest.split('/').next().unwrap_or(rest).parse().map_err(io::Error::other)?;
    let stream = Stream::connect(&Address::Tcp(address)).await?;
    stream.write_all(&question).await?;
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = poll_fn(|cx| stream.poll_read(cx, &mut piece)).await?;
        bytes.extend_from_slice(&piece[..count]);
        if let Some(said) = parse(&bytes, count == 0)? {
            return Ok(said);
        }
        if count == 0 || bytes.len() > MAX_ANSWER {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// The answer, once it is whole.
pub(super) fn parse(bytes: &[u8], is_end: bool) -> io::Result<Option<Said>> {
    let mut slots = [httparse::EMPTY_HEADER; crate::limit::MAX_HEADERS];
    let mut head = httparse::Response::new(&mut slots);
    let Ok(httparse::Status::Complete(start)) = head.parse(bytes) else { return Ok(None) };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .filter_map(|h| Some((h.name.to_owned(), std::str::from_utf8(h.value).ok()?.to_owned())))
        .collect();
    // One that announces another is no answer, and no other status exists.
    let status = head.code.filter(|status| (200..1000).contains(status)).ok_or(io::ErrorKind::InvalidData)?;
    let mut said = Said { status, headers, body: Vec::new() };
    let length = match (said.header("transfer-encoding"), said.header("content-length")) {
        _ if matches!(said.status, 204 | 304) => Length::None,
        (Some(_), _) => Length::Chunked,
        (None, Some(length)) => Length::Exact(length.parse().map_err(io::Error::other)?),
        (None, None) => Length::UntilClose,
    };
    let mut body = Body::new(length);
    let mut rest = bytes[start..].to_vec();
    let piece = body.take(&mut rest, &mut Vec::new()).map_err(io::Error::other)?;
    rest.truncate(piece.data);
    said.body = rest;
    Ok((body.is_done() || (is_end && body.ends_at_close())).then_some(said))
}
