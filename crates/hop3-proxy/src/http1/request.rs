// SPDX-License-Identifier: Apache-2.0
//! Request heads: parsed once, checked strictly, refused when two readers could disagree about them.
//!
//! Invariant: a `Head` exists only for a request with exactly one reading: at most one length, one host, no folded
//! lines, no bare line feeds.

use super::body::Length;
use super::header::{Connection, content_length, has_bare_lf, is};
use crate::limit::Limits;
use httparse::{Error, Header, Status};
use std::mem::MaybeUninit;

/// Why a request is not served. The connection ends with it, since the next request's beginning is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

impl Refusal {
    const fn bad(reason: &'static str) -> Refusal {
        Refusal { status: 400, reason }
    }

    const fn of(status: u16, reason: &'static str) -> Refusal {
        Refusal { status, reason }
    }
}

pub(crate) const HEAD_TOO_LARGE: Refusal = Refusal::of(431, "the request's headers are too large");
pub(crate) const TARGET_TOO_LONG: Refusal = Refusal::of(414, "the address is too long");
pub(crate) const HEAD_TOO_SLOW: Refusal = Refusal::of(408, "the request took too long to arrive");
pub(crate) const BODY_TOO_SLOW: Refusal = Refusal::of(408, "the request's body took too long to arrive");
pub(crate) const BAD_CHUNK: Refusal = Refusal::bad("the request's body is not correctly chunked");

/// A request head as it lies in the read buffer.
pub(crate) struct Head<'h, 'b> {
    pub(crate) method: &'b str,
    /// Path and query; `*` for `OPTIONS *`.
    pub(crate) path: &'b str,
    /// Empty only in HTTP/1.0.
    pub(crate) host: &'b [u8],
    pub(crate) is_http10: bool,
    pub(crate) headers: &'h [Header<'b>],
    pub(crate) connection: Connection<'h, 'b>,
    pub(crate) length: Length,
    pub(crate) expects_continue: bool,
    /// Asks to switch protocols, and may: HTTP/1.1, no body, not HTTP/2.
    pub(crate) upgrade: bool,
    pub(crate) bytes: usize,
    /// What it was parsed from.
    pub(crate) input: &'b [u8],
}

/// Parses the head at the start of `input`; `None` when more bytes are needed.
pub(crate) fn parse<'h, 'b>(
    input: &'b [u8],
    slots: &'h mut [MaybeUninit<Header<'b>>],
    limits: &Limits,
) -> Result<Option<Head<'h, 'b>>, Refusal> {
    let mut request = httparse::Request::new(&mut []);
    let bytes = match request.parse_with_uninit_headers(input, slots) {
        Ok(Status::Complete(bytes)) if bytes <= limits.head_bytes => bytes,
        Ok(Status::Complete(_)) => return Err(HEAD_TOO_LARGE),
        Ok(Status::Partial) => return check_partial(input, limits).map(|()| None),
        Err(error) => return Err(refusal(error)),
    };
    if has_bare_lf(&input[..bytes]) {
        return Err(Refusal::bad("a line does not end in CR LF"));
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(Refusal::bad("the request line is incomplete"));
    };
    check_method(method, target)?;
    if target.len() > limits.target_bytes {
        return Err(TARGET_TOO_LONG);
    }
    let is_http10 = request.version == Some(0);
    let headers: &'h [Header<'b>] = request.headers;
    let fields = Fields::read(headers, is_http10)?;
    let path = origin_form(method, target, fields.host.unwrap_or_default())?;
    if fields.host.is_none() && !is_http10 {
        return Err(Refusal::bad("the Host header is missing"));
    }
    let connection = Connection::of(headers);
    let upgrade = connection.upgrade && fields.upgrade && !is_http10 && fields.length == Length::None;
    let (host, length, expects_continue) =
        (fields.host.unwrap_or_default(), fields.length, fields.expects_continue);
    Ok(Some(Head {
        method,
        path,
        host,
        is_http10,
        headers,
        connection,
        length,
        expects_continue,
        upgrade,
        bytes,
        input,
    }))
}

/// A head that is still arriving is bounded too.
fn check_partial(input: &[u8], limits: &Limits) -> Result<(), Refusal> {
    if !input.contains(&b'\n') && input.len() > limits.target_bytes + 64 {
        return Err(TARGET_TOO_LONG);
    }
    if input.len() > limits.head_bytes { Err(HEAD_TOO_LARGE) } else { Ok(()) }
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::TooManyHeaders => Refusal::of(431, "the request has too many headers"),
        Error::Version => Refusal::of(505, "the protocol version is not supported"),
        Error::HeaderName => Refusal::bad("a header's name is malformed"),
        Error::HeaderValue => Refusal::bad("a header's value has a forbidden character"),
        Error::NewLine | Error::Status | Error::Token => Refusal::bad("the request line is malformed"),
    }
}

fn check_method(method: &str, target: &str) -> Result<(), Refusal> {
    match method {
        // As streams of HTTP/2 and HTTP/3 ask for another protocol than WebSocket (RFC 9220, 3).
        "CONNECT" if target.starts_with('/') => {
            Err(Refusal::of(501, "the protocol that is asked for is not supported"))
        }
        "CONNECT" | "TRACE" => Err(Refusal::of(405, "the method is not allowed")),
        _ if method.len() > 32 => Err(Refusal::bad("the method is too long")),
        _ => Ok(()),
    }
}

/// Brings a target to the form an origin server gets. An absolute one must name the same host as the header.
fn origin_form<'b>(method: &str, target: &'b str, host: &[u8]) -> Result<&'b str, Refusal> {
    if target.contains('#') {
        return Err(Refusal::bad("the address has a fragment"));
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok(target);
    }
    let scheme = ["http://", "https://"]
        .iter()
        .find(|s| target.len() > s.len() && target.as_bytes()[..s.len()].eq_ignore_ascii_case(s.as_bytes()));
    let Some(scheme) = scheme else {
        return Err(Refusal::bad("the address is malformed"));
    };
    let rest = &target[scheme.len()..];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    if !rest.as_bytes()[..end].eq_ignore_ascii_case(host) {
        return Err(Refusal::bad("the address names another host than the Host header"));
    }
    match &rest[end..] {
        "" => Ok("/"),
        path if path.starts_with('/') => Ok(path),
        _ => Err(Refusal::bad("the address has no path")),
    }
}

/// The headers that decide about framing and routing.
struct Fields<'b> {
    host: Option<&'b [u8]>,
    length: Length,
    expects_continue: bool,
    upgrade: bool,
}

impl<'b> Fields<'b> {
    fn read(headers: &[Header<'b>], is_http10: bool) -> Result<Fields<'b>, Refusal> {
        let mut fields = Fields { host: None, length: Length::None, expects_continue: false, upgrade: false };
        for header in headers {
            match header.name.len() {
                4 if is(header, "host") => fields.host(header.value)?,
                6 if is(header, "expect") => fields.expect(header.value, is_http10)?,
                // HTTP/2 in clear text is spoken to nobody: passing its upgrade on would tunnel past every rule.
                7 if is(header, "upgrade") => {
                    fields.upgrade = !header.value.is_empty() && !contains_h2c(header.value);
                }
                14 if is(header, "content-length") => fields.content_length(header.value)?,
                17 if is(header, "transfer-encoding") => fields.transfer_encoding(header.value, is_http10)?,
                _ => {}
            }
        }
        Ok(fields)
    }

    fn host(&mut self, value: &'b [u8]) -> Result<(), Refusal> {
        if self.host.is_some() {
            return Err(Refusal::bad("the Host header is repeated"));
        }
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(b);
        if value.is_empty() || value.len() > 255 || !value.iter().all(allowed) {
            return Err(Refusal::bad("the Host header is malformed"));
        }
        self.host = Some(value);
        Ok(())
    }

    fn expect(&mut self, value: &[u8], is_http10: bool) -> Result<(), Refusal> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::of(417, "the expectation cannot be met"));
        }
        self.expects_continue = !is_http10;
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length != Length::None {
            return Err(Refusal::bad("the body's length is given twice"));
        }
        let length = content_length(value).ok_or(Refusal::bad("the Content-Length header is malformed"))?;
        self.length = Length::Exact(length);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8], is_http10: bool) -> Result<(), Refusal> {
        if self.length != Length::None {
            return Err(Refusal::bad("the body's length is given twice"));
        }
        if is_http10 {
            return Err(Refusal::bad("HTTP/1.0 has no Transfer-Encoding"));
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::bad("the Transfer-Encoding is not chunked alone"));
        }
        self.length = Length::Chunked;
        Ok(())
    }
}

fn contains_h2c(value: &[u8]) -> bool {
    super::header::tokens(value).any(|token| token.len() >= 2 && token[..2].eq_ignore_ascii_case(b"h2"))
}
