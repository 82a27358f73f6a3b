// SPDX-License-Identifier: Apache-2.0
//! Response heads: what an upstream said, and what the client is told.
//!
//! Invariant: a response whose length could be read in two ways is not passed on; the client gets 502 instead.

use super::body::{Framing, Length};
use super::forward::Request;
use super::header::{Connection, content_length, has_bare_lf, is, push_line, slots};
use super::lines::Lines;
use httparse::{Header, Status};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed response")]
pub(crate) struct BadResponse;

/// The facts of a response whose head has been rewritten for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) length: Length,
    pub(crate) framing: Framing,
    /// The upstream's connection may carry another request after this one.
    pub(crate) upstream_stays: bool,
    /// The client's connection may carry another request after this one.
    pub(crate) client_stays: bool,
    pub(crate) bytes: usize,
}

impl Response {
    /// 100, 103 and the like: another head follows.
    pub(crate) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// Parses the head at the start of `input` and appends it, rewritten, to `out`; `None` when more bytes are needed.
pub(crate) fn rewrite(
    input: &[u8],
    request: &Request,
    client_may_stay: bool,
    out: &mut Vec<u8>,
) -> Result<Option<Response>, BadResponse> {
    let mut slots = slots();
    let mut head = httparse::Response::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut head, input, &mut slots);
    let bytes = match parsed {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) => return Ok(None),
        Err(_) => return Err(BadResponse),
    };
    let status = head.code.ok_or(BadResponse)?;
    if has_bare_lf(&input[..bytes]) || !(100..=999).contains(&status) || (status == 101 && !request.upgrade) {
        return Err(BadResponse);
    }
    let is_http10 = head.version == Some(0);
    let announced = announced_length(head.headers, is_http10)?;
    let connection = Connection::of(head.headers);
    let length = body_length(status, request, announced);
    let framing = match length {
        Length::Chunked | Length::UntilClose if !request.is_http10 => Framing::Chunked,
        _ => Framing::Raw,
    };
    let ends_at_close = framing == Framing::Raw && matches!(length, Length::UntilClose | Length::Chunked);
    let response = Response {
        status,
        length,
        framing,
        upstream_stays: length != Length::UntilClose
            && !connection.close
            && (!is_http10 || connection.keep_alive)
            && status != 101,
        client_stays: request.keep_alive && client_may_stay && !ends_at_close,
        bytes,
    };
    write(&response, request, &Source { input, reason: head.reason, headers: head.headers, connection }, out);
    Ok(Some(response))
}

/// What the upstream's length headers say; `None` when it gave none.
fn announced_length(headers: &[Header], is_http10: bool) -> Result<Option<Length>, BadResponse> {
    let mut announced = None;
    for header in headers {
        let length = match header.name.len() {
            14 if is(header, "content-length") => {
                Length::Exact(content_length(header.value).ok_or(BadResponse)?)
            }
            17 if is(header, "transfer-encoding") => {
                if is_http10 || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(BadResponse);
                }
                Length::Chunked
            }
            _ => continue,
        };
        if announced.replace(length).is_some() {
            return Err(BadResponse);
        }
    }
    Ok(announced)
}

fn body_length(status: u16, request: &Request, announced: Option<Length>) -> Length {
    if request.is_head || status < 200 || status == 204 || status == 304 {
        return Length::None;
    }
    announced.unwrap_or(Length::UntilClose)
}

struct Source<'h, 'b> {
    input: &'b [u8],
    reason: Option<&'b str>,
    headers: &'h [Header<'b>],
    connection: Connection<'h, 'b>,
}

fn write(response: &Response, request: &Request, source: &Source, out: &mut Vec<u8>) {
    push_status(out, response.status, source.reason.unwrap_or(""));
    let has_no_length = response.status < 200 || response.status == 204;
    let mut lines = Lines::of(source.input);
    for header in source.headers {
        let is_length = has_no_length && is(header, "content-length");
        if !is_length && !source.connection.strips(header) {
            lines.push(header, out);
        }
    }
    lines.flush(out);
    if response.status == 101 {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
        for header in source.headers.iter().filter(|h| is(h, "upgrade")) {
            push_line(out, "Upgrade", header.value);
        }
    } else if !response.is_interim() {
        if response.framing == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        push_connection(out, response.client_stays, request.is_http10);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends `Connection` where it differs from what the version implies.
pub(crate) fn push_connection(out: &mut Vec<u8>, stays: bool, is_http10: bool) {
    if !stays {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if is_http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
}

/// Appends the date of a response that is the proxy's own (RFC 9110, 6.6.1).
pub(crate) fn push_date(out: &mut Vec<u8>) {
    let now = jiff::Timestamp::now();
    if let Ok(date) = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
        push_line(out, "Date", date.as_bytes());
    }
}

pub(crate) fn push_status(out: &mut Vec<u8>, status: u16, reason: &str) {
    let mut line = *b"HTTP/1.1 000 ";
    for (place, divisor) in [(9, 100), (10, 10), (11, 1)] {
        line[place] = b'0' + (status / divisor % 10) as u8;
    }
    out.extend_from_slice(&line);
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}
