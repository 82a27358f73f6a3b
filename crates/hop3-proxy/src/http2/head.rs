// SPDX-License-Identifier: Apache-2.0
//! One message's head in the words of the other protocol: a request of HTTP/2 or HTTP/3 as HTTP/1 says it, and the
//! answer back (RFC 9113, 8.2 and 8.3).
//!
//! Invariant: nothing is judged here. What HTTP/1 cannot say, or says twice, is left for its parser to refuse, so that
//! there is one place that knows what a good request is.

use crate::http1::body::{Framing, Length};
use crate::http1::header::{content_length, is, own_slots, push_line};
use crate::http1::response::push_status;
use crate::limit::MAX_HEADERS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri, response};
use std::mem::MaybeUninit;

/// Appends the request's head. `protocol` is what an extended CONNECT asks for.
pub(crate) fn request(parts: &Parts, protocol: Option<&str>, has_body: bool, out: &mut Vec<u8>) {
    let is_websocket = parts.method == Method::CONNECT && protocol == Some("websocket");
    let method = if is_websocket { "GET" } else { parts.method.as_str() };
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let target = match parts.uri.path_and_query() {
        Some(target) => target.as_str(),
        None => authority.unwrap_or("/"),
    };
    for part in [method, " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if let Some(authority) = authority {
        push_line(out, "Host", authority.as_bytes());
    }
    fields(&parts.headers, authority, out);
    if is_websocket {
        upgrade(out);
    } else if has_body && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn fields(headers: &HeaderMap, authority: Option<&str>, out: &mut Vec<u8>) {
    for (name, value) in headers {
        let repeats_host = *name == header::HOST
            && authority.is_some_and(|host| value.as_bytes().eq_ignore_ascii_case(host.as_bytes()));
        if !repeats_host && *name != header::COOKIE {
            push_line(out, name.as_str(), value.as_bytes());
        }
    }
    // Clients may give each cookie a line of its own; HTTP/1 knows one line.
    let mut cookies = headers.get_all(header::COOKIE).iter();
    if let Some(first) = cookies.next() {
        out.extend_from_slice(b"cookie: ");
        out.extend_from_slice(first.as_bytes());
        for cookie in cookies {
            out.extend_from_slice(b"; ");
            out.extend_from_slice(cookie.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// What a WebSocket's opening has in HTTP/1 alone. Nobody looks at the answer to the key: the stream itself proves
/// that both sides mean WebSocket.
fn upgrade(out: &mut Vec<u8>) {
    let mut key = [0; 16];
    rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty()).ok();
    out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    push_line(out, "Sec-WebSocket-Key", STANDARD.encode(key).as_bytes());
}

/// An answer's head, and how its body ends.
pub(crate) struct Answer {
    pub(crate) response: Response<()>,
    pub(crate) length: Length,
}

/// Takes the head at the start of `bytes`, which the proxy itself wrote; `None` when it is not whole. Tells also how
/// long it was.
pub(crate) fn answer(bytes: &[u8], is_head: bool) -> Option<(Answer, usize)> {
    let mut few = own_slots();
    let mut many;
    let config = httparse::ParserConfig::default();
    let mut head = httparse::Response::new(&mut []);
    let mut parsed = config.parse_response_with_uninit_headers(&mut head, bytes, &mut few);
    if parsed == Err(httparse::Error::TooManyHeaders) {
        many = line_slots(bytes);
        head = httparse::Response::new(&mut []);
        parsed = config.parse_response_with_uninit_headers(&mut head, bytes, &mut many);
    }
    let httparse::Status::Complete(used) = parsed.ok()? else { return None };
    let status = StatusCode::from_u16(head.code?).ok()?;
    let mut response = Response::new(());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(head.headers.len());
    let values = Values::of(&bytes[..used]);
    let mut length = Length::UntilClose;
    for field in head.headers.iter() {
        let (Ok(name), Some(value)) = (HeaderName::from_bytes(field.name.as_bytes()), values.of_field(field))
        else {
            continue;
        };
        if name == header::TRANSFER_ENCODING {
            length = Length::Chunked;
        } else if name == header::CONTENT_LENGTH {
            length = content_length(field.value).map_or(Length::UntilClose, Length::Exact);
        }
        if !is_of_one_connection(&name) {
            headers.append(name, value);
        }
    }
    if is_head || status.is_informational() || matches!(status.as_u16(), 204 | 304) {
        length = Length::None;
    }
    Some((Answer { response, length }, used))
}

/// Values of a head, which is copied once for all of them.
struct Values<'b> {
    head: &'b [u8],
    copy: Bytes,
}

impl<'b> Values<'b> {
    fn of(head: &'b [u8]) -> Values<'b> {
        Values { head, copy: Bytes::copy_from_slice(head) }
    }

    /// The value of a field that was parsed from this head; `None` when HTTP/2 cannot say it.
    fn of_field(&self, field: &httparse::Header<'_>) -> Option<HeaderValue> {
        let at = (field.value.as_ptr() as usize).checked_sub(self.head.as_ptr() as usize);
        match at.and_then(|at| at.checked_add(field.value.len()).map(|end| at..end)) {
            Some(range) if range.end <= self.copy.len() => {
                HeaderValue::from_maybe_shared(self.copy.slice(range)).ok()
            }
            // An empty value need not lie in the head.
            _ => HeaderValue::from_bytes(field.value).ok(),
        }
    }
}

/// Room for every line there is: a policy may set more than is usual.
fn line_slots<'b>(bytes: &'b [u8]) -> Vec<MaybeUninit<httparse::Header<'b>>> {
    bytes.iter().filter(|byte| **byte == b'\n').map(|_| MaybeUninit::uninit()).collect()
}

/// What HTTP/2 says by other means (RFC 9113, 8.2.2).
fn is_of_one_connection(name: &HeaderName) -> bool {
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE].contains(name)
        || ["keep-alive", "proxy-connection"].contains(&name.as_str())
}

/// Says something that a request may say in HTTP/1 alone (RFC 9113, 8.2.2; RFC 9114, 4.2).
pub(crate) fn is_malformed(headers: &HeaderMap) -> bool {
    headers.keys().any(is_of_one_connection)
        || headers.get_all(header::TE).iter().any(|value| *value != "trailers")
}

/// A request that the proxy itself wrote, for an upstream.
pub(crate) struct Question {
    /// Absent when HTTP/2 cannot say it: an upgrade, a host that is none.
    pub(crate) request: Option<Request<()>>,
    pub(crate) length: Length,
}

/// Takes the head at the start of `bytes`; `None` when it is not whole. Tells also how long it was.
pub(crate) fn question(bytes: &[u8]) -> Option<(Question, usize)> {
    let mut few = own_slots();
    let mut many;
    let mut head = httparse::Request::new(&mut []);
    let mut parsed = head.parse_with_uninit_headers(bytes, &mut few);
    if parsed == Err(httparse::Error::TooManyHeaders) {
        many = line_slots(bytes);
        head = httparse::Request::new(&mut []);
        parsed = head.parse_with_uninit_headers(bytes, &mut many);
    }
    let httparse::Status::Complete(used) = parsed.ok()? else { return None };
    let mut length = Length::None;
    for field in head.headers.iter() {
        if is(field, "transfer-encoding") {
            length = Length::Chunked;
        } else if is(field, "content-length") {
            length = content_length(field.value).map_or(Length::None, Length::Exact);
        }
    }
    Some((Question { request: said_anew(&head, &Values::of(&bytes[..used])), length }, used))
}

fn said_anew(head: &httparse::Request<'_, '_>, values: &Values) -> Option<Request<()>> {
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    let mut host = None;
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if name == header::UPGRADE {
            return None;
        } else if name == header::HOST {
            host = std::str::from_utf8(field.value).ok();
        } else if !is_of_one_connection(&name) {
            headers.append(name, values.of_field(field)?);
        }
    }
    // It takes trailers, which gRPC ends its answers with (RFC 9110, 10.1.4).
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let uri = Uri::builder().scheme("http").authority(host?).path_and_query(head.path?).build().ok()?;
    let mut request = Request::new(());
    *request.method_mut() = head.method?.parse().ok()?;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Some(request)
}

/// Appends an upstream's answer; tells how its body has to be framed.
pub(super) fn reply(parts: &response::Parts, is_head: bool, is_over: bool, out: &mut Vec<u8>) -> Framing {
    let has_none = is_head || matches!(parts.status.as_u16(), 204 | 304);
    status_and_fields(parts.status, &parts.headers, out);
    let framing = match () {
        () if has_none || parts.headers.contains_key(header::CONTENT_LENGTH) => Framing::Raw,
        () if is_over => {
            out.extend_from_slice(b"Content-Length: 0\r\n");
            Framing::Raw
        }
        () => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Framing::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    framing
}

/// Appends what an upstream says before its answer.
pub(super) fn hint(hint: &Response<()>, out: &mut Vec<u8>) {
    status_and_fields(hint.status(), hint.headers(), out);
    out.extend_from_slice(b"\r\n");
}

fn status_and_fields(status: StatusCode, headers: &HeaderMap, out: &mut Vec<u8>) {
    push_status(out, status.as_u16(), status.canonical_reason().unwrap_or_default());
    for (name, value) in headers {
        push_line(out, name.as_str(), value.as_bytes());
    }
}

/// Trailers as they lie behind the last chunk.
pub(crate) fn trailers(lines: &[u8]) -> HeaderMap {
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut whole = lines.to_vec();
    whole.extend_from_slice(b"\r\n");
    let mut trailers = HeaderMap::new();
    if let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(&whole, &mut slots) {
        for field in fields {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_bytes(field.value))
            {
                trailers.append(name, value);
            }
        }
    }
    trailers
}

/// The lines of trailers that end a chunked body.
pub(crate) fn trailer_lines(trailers: &HeaderMap) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in trailers {
        push_line(&mut lines, name.as_str(), value.as_bytes());
    }
    lines
}
