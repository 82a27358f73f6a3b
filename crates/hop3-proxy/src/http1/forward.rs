// SPDX-License-Identifier: Apache-2.0
//! What an upstream receives: the request's head, rewritten.
//!
//! Invariant: headers about the way a request came (`X-Forwarded-*` and relatives) are ours alone; a client's own
//! are dropped, in every spelling that an environment-variable gateway would fold into the same key.

use super::body::Length;
use super::header::{is, push_line};
use super::lines::Lines;
use super::request::Head;
use httparse::Header;
use std::ops::Range;

/// What the proxy knows of the way a request came.
pub(crate) struct Origin<'a> {
    pub(crate) peer: &'a str,
    pub(crate) scheme: &'static str,
    /// Whose certificate the client had to show, and showed.
    pub(crate) subject: Option<&'a str>,
    /// Used when the client sent none.
    pub(crate) request_id: &'a str,
}

/// The facts of a request whose head lies rewritten in a buffer of its own.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) host: Range<usize>,
    /// Between the method and a space.
    pub(crate) path: Range<usize>,
    pub(crate) id: Range<usize>,
    /// Empty when there is none, as is `agent`.
    pub(crate) referer: Range<usize>,
    pub(crate) agent: Range<usize>,
    /// How long the head was, as the client sent it.
    pub(crate) head_bytes: usize,
    pub(crate) length: Length,
    pub(crate) is_http10: bool,
    pub(crate) is_head: bool,
    /// It asks for something and changes nothing.
    pub(crate) is_safe: bool,
    /// Doing it twice is the same as doing it once (RFC 9110, 9.2.2).
    pub(crate) is_idempotent: bool,
    pub(crate) upgrade: bool,
    pub(crate) keep_alive: bool,
    /// What the client says of where the request came from, if anything: believed of nobody but trusted proxies.
    pub(crate) forwarded: Option<Box<Forwarded>>,
}

/// A client's own `X-Forwarded-For` and `X-Forwarded-Proto`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forwarded {
    pub(crate) addresses: String,
    pub(crate) scheme: String,
}

impl Request {
    pub(crate) fn has_no_body(&self) -> bool {
        matches!(self.length, Length::None | Length::Exact(0))
    }
}

/// Appends the head as the upstream shall see it.
pub(crate) fn write(head: &Head, origin: &Origin, out: &mut Vec<u8>) -> Request {
    let start = out.len();
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    let path = start + head.method.len() + 1;
    out.extend_from_slice(head.path.as_bytes());
    let path = path..out.len();
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    let host = out.len()..out.len() + head.host.len();
    out.extend_from_slice(head.host);
    out.extend_from_slice(b"\r\n");
    let (mut request_id, mut trace, mut forwarded) = (None, None, None);
    let (mut referer, mut agent) = (0..0, 0..0);
    let mut lines = Lines::of(head.input);
    for header in head.headers {
        match header.name.len() {
            11 if is(header, "traceparent") => {
                trace = trace.or(Some(header.value).filter(|value| is_trace(value)));
            }
            12 if is(header, "x-request-id") => {
                request_id = request_id.or(Some(header.value).filter(|value| is_sane_id(value)));
            }
            _ if is_dropped(header, head) => keep_forwarded(header, &mut forwarded),
            7 if is(header, "referer") => referer = lines.push(header, out),
            10 if is(header, "user-agent") => agent = lines.push(header, out),
            _ => {
                lines.push(header, out);
            }
        }
    }
    lines.flush(out);
    if head.length == Length::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if head.upgrade {
        push_upgrade(out, head.headers);
    }
    push_way(out, origin, head.host);
    if let Some(subject) = origin.subject {
        push_line(out, "X-Forwarded-Client-Subject", subject.as_bytes());
    }
    push_trace(out, trace, origin.request_id);
    let request_id = request_id.unwrap_or(origin.request_id.as_bytes());
    push_line(out, "X-Request-Id", request_id);
    let id = out.len() - 2 - request_id.len()..out.len() - 2;
    out.extend_from_slice(b"\r\n");
    Request {
        host,
        path,
        id,
        referer,
        agent,
        head_bytes: head.bytes,
        length: head.length,
        is_http10: head.is_http10,
        is_head: head.method == "HEAD",
        is_safe: matches!(head.method, "GET" | "HEAD"),
        is_idempotent: matches!(head.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE") && !head.upgrade,
        upgrade: head.upgrade,
        keep_alive: !head.connection.close && (!head.is_http10 || head.connection.keep_alive),
        forwarded,
    }
}

fn keep_forwarded(header: &Header, kept: &mut Option<Box<Forwarded>>) {
    let is_address = is(header, "x-forwarded-for");
    if !is_address && !is(header, "x-forwarded-proto") {
        return;
    }
    let value = String::from_utf8_lossy(header.value);
    let kept = kept.get_or_insert_default();
    match is_address {
        true if kept.addresses.is_empty() => kept.addresses = value.into_owned(),
        true => kept.addresses = format!("{}, {value}", kept.addresses),
        false => kept.scheme = value.into_owned(),
    }
}

/// The port as the client wrote it, which another device may have mapped to ours.
fn port<'a>(host: &'a [u8], scheme: &str) -> &'a [u8] {
    let written = host.iter().rposition(|b| *b == b':').map(|colon| &host[colon + 1..]);
    let usual: &[u8] = if scheme == "https" { b"443" } else { b"80" };
    written.filter(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit)).unwrap_or(usual)
}

fn is_dropped(header: &Header, head: &Head) -> bool {
    let name = header.name;
    is(header, "host")
        || is_forged(name)
        // Gateways that make variables of headers cannot tell `_` from `-`: `Content_Length` would pass for the real one.
        || name.bytes().any(|byte| byte == b'_')
        || (is(header, "expect") && !head.expects_continue)
        || head.connection.strips(header)
}

/// Headers a client sends to look like somebody else, or that change what a gateway does (`Proxy`: "httpoxy").
fn is_forged(name: &str) -> bool {
    const PREFIX: &[u8] = b"x-forwarded-";
    let starts = name.len() > PREFIX.len() && name.as_bytes()[..PREFIX.len()].eq_ignore_ascii_case(PREFIX);
    starts
        || ["forwarded", "x-real-ip", "proxy", "http2-settings", "client-cert", "client-cert-chain"]
            .iter()
            .any(|n| name.eq_ignore_ascii_case(n))
}

/// Several lines in one go, which costs less than line by line.
fn push_way(out: &mut Vec<u8>, origin: &Origin, host: &[u8]) {
    for part in [
        b"X-Forwarded-For: ",
        origin.peer.as_bytes(),
        b"\r\nX-Forwarded-Proto: ",
        origin.scheme.as_bytes(),
        b"\r\nX-Forwarded-Host: ",
        host,
        b"\r\nX-Forwarded-Port: ",
        port(host, origin.scheme),
        b"\r\n",
    ] {
        out.extend_from_slice(part);
    }
}

fn push_upgrade(out: &mut Vec<u8>, headers: &[Header]) {
    out.extend_from_slice(b"Connection: Upgrade\r\n");
    for header in headers.iter().filter(|h| is(h, "upgrade")) {
        push_line(out, "Upgrade", header.value);
    }
}

/// W3C trace context: a trace that began before this hop is passed on; one that did not begins here, and whether it
/// is recorded is left to whoever comes next.
fn push_trace(out: &mut Vec<u8>, trace: Option<&[u8]>, request_id: &str) {
    if let Some(trace) = trace {
        return push_line(out, "traceparent", trace);
    }
    let span = request_id.get(16..).unwrap_or_default();
    for part in ["traceparent: 00-", request_id, "-", span, "-00\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// `00-<32 digits>-<16 digits>-<2 digits>`, small hexadecimal ones, neither id all zeros; later versions may add more.
fn is_trace(value: &[u8]) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &[u8]| is_hex(part) && part.iter().any(|b| *b != b'0');
    let dashes = [2, 35, 52].iter().all(|place| value.get(*place) == Some(&b'-'));
    let length = value.len() == 55 || (value.len() > 55 && &value[..2] != b"00" && value[55] == b'-');
    dashes
        && length
        && &value[..2] != b"ff"
        && is_hex(&value[..2])
        && is_id(&value[3..35])
        && is_id(&value[36..52])
        && is_hex(&value[53..55])
}

fn is_sane_id(value: &[u8]) -> bool {
    (1..=128).contains(&value.len())
        && value.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b))
}
