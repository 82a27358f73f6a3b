// SPDX-License-Identifier: Apache-2.0
//! Requests: one that is accepted has a single reading, before and after it is rewritten, and whoever reads the
//! rewritten head sees the same request.

use super::{LIMITS, choice};
use crate::http1::body::Length;
use crate::http1::forward::{self, Origin, Request};
use crate::http1::header::{OwnSlots, is, may_be_complete, own_slots, slots};
use crate::http1::request::{self, Head};
use crate::http2::head as streams;
use crate::limit::Limits;
use std::sync::LazyLock;

pub(crate) const PEER: &str = "192.0.2.7";
const ID: &str = "00112233445566778899aabbccddeeff";

/// Parses a head and writes it for an upstream.
pub(crate) fn forwarded(data: &[u8]) -> Option<(Vec<u8>, Request)> {
    let mut slots = slots();
    let head = request::parse(data, &mut slots, &LIMITS).ok()??;
    if head.host.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    let request = forward::write(&head, &ORIGIN, &mut out);
    Some((out, request))
}

const ORIGIN: Origin<'_> = Origin { peer: PEER, scheme: "https", subject: None, request_id: ID };

/// What is written for the upstream is read as the same request, with one framing and one origin.
pub fn request_head(data: &[u8]) {
    let mut first = slots();
    let Ok(Some(head)) = request::parse(data, &mut first, &LIMITS) else { return };
    // Nobody answers for a request of HTTP/1.0 without a host.
    if head.host.is_empty() {
        return;
    }
    let mut out = Vec::new();
    let request = forward::write(&head, &ORIGIN, &mut out);
    let mut second = own_slots();
    let again = read(&out, &mut second);
    check_same(&head, &again);
    check_lines(&again, &request);
    for (range, value) in [(&request.host, again.host), (&request.path, again.path.as_bytes())] {
        assert_eq!(&out[range.clone()], value);
    }
    assert!(out[..request.path.start].ends_with(b" ") && out[request.path.end..].starts_with(b" "));
    for range in [&request.id, &request.referer, &request.agent] {
        assert!(!out[range.clone()].contains(&b'\n'), "a value goes over its line");
    }
    let (question, used) = streams::question(&out).expect("what was written is whole");
    assert_eq!((used, question.length), (out.len(), head.length));
    if let Some(asked) = question.request {
        assert_eq!(asked.method().as_str(), head.method);
        assert_eq!(asked.uri().authority().map(|authority| authority.as_str().as_bytes()), Some(head.host));
        assert_eq!(asked.uri().path_and_query().map(|path| path.as_str()), Some(head.path));
        assert!(!request.upgrade);
    }
    assert_eq!(request.length, head.length);
    assert_eq!(request.upgrade, again.upgrade);
}

/// Reads what was written, which is longer than what came by what the proxy knows.
pub(crate) fn read<'h, 'b>(bytes: &'b [u8], slots: &'h mut OwnSlots<'b>) -> Head<'h, 'b> {
    static LONGER: LazyLock<Limits> = LazyLock::new(|| Limits { head_bytes: 64 << 10, ..Limits::default() });
    let head = request::parse(bytes, slots, &LONGER);
    let head = head.unwrap_or_else(|refusal| panic!("what was written is refused: {}", refusal.reason));
    let head = head.expect("what was written is whole");
    assert_eq!(head.bytes, bytes.len(), "the head ends where its writer ended it");
    head
}

fn check_same(head: &Head<'_, '_>, again: &Head<'_, '_>) {
    assert_eq!((head.method, head.path, head.host), (again.method, again.path, again.host));
    assert_eq!((head.length, head.upgrade), (again.length, again.upgrade));
    assert!(!again.is_http10 && !again.connection.close);
    assert_eq!(head.expects_continue, again.expects_continue);
}

fn check_lines(head: &Head<'_, '_>, request: &Request) {
    let count = |name: &str| head.headers.iter().filter(|header| is(header, name)).count();
    let value = |name: &str| head.headers.iter().find(|header| is(header, name)).map(|header| header.value);
    let chunked = usize::from(head.length == Length::Chunked);
    let exact = usize::from(matches!(head.length, Length::Exact(_)));
    assert_eq!((count("transfer-encoding"), count("content-length")), (chunked, exact));
    assert_eq!(count("host"), 1);
    assert_eq!(count("connection"), usize::from(request.upgrade));
    for (name, ours) in [("x-forwarded-for", PEER), ("x-forwarded-proto", "https")] {
        assert_eq!((count(name), value(name)), (1, Some(ours.as_bytes())));
    }
    for name in ["forwarded", "x-real-ip", "proxy", "te", "x-forwarded-client-subject", "keep-alive"] {
        assert_eq!(count(name), 0, "{name} is passed on");
    }
    for name in ["x-request-id", "traceparent", "x-forwarded-host", "x-forwarded-port"] {
        assert_eq!(count(name), 1, "{name}");
    }
    assert!(head.headers.iter().all(|header| !header.name.contains('_')));
}

/// A request of HTTP/2 becomes one request of HTTP/1 with its fields and no others, or is refused. A line each: method,
/// target, fields as `name: value`.
pub fn request_of_http2(mut data: &[u8]) {
    let has_body = choice(&mut data) & 1 == 1;
    let mut lines = data.split(|b| *b == b'\n');
    let (method, target) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut request = http::Request::builder().method(method).uri(target);
    for line in lines {
        let colon = line.iter().skip(1).position(|b| *b == b':').map_or(line.len(), |at| at + 1);
        let (name, value) = line.split_at(colon);
        request = request.header(name, value.strip_prefix(b":").unwrap_or(value));
    }
    let Ok(request) = request.body(()) else { return };
    let (parts, ()) = request.into_parts();
    let mut out = Vec::new();
    streams::request(&parts, None, has_body, &mut out);
    let mut slots = slots();
    let Ok(head) = request::parse(&out, &mut slots, &LIMITS) else { return };
    let head = head.expect("what was written is whole");
    assert_eq!(head.bytes, out.len(), "one request became more");
    assert_eq!(head.method, parts.method.as_str());
    let host = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    assert!(host.is_none_or(|host| host.eq_ignore_ascii_case(head.host)));
    let ours = ["host", "transfer-encoding", "cookie"];
    for header in head.headers.iter().filter(|header| !ours.iter().any(|name| is(header, name))) {
        let mut values = parts.headers.get_all(header.name).iter();
        assert!(values.any(|value| value.as_bytes().trim_ascii() == header.value), "{header:?} was not sent");
    }
    for (name, value) in parts.headers.iter().filter(|(name, _)| !ours.contains(&name.as_str())) {
        let mut lines = head.headers.iter().filter(|header| is(header, name.as_str()));
        assert!(lines.any(|line| line.value == value.as_bytes().trim_ascii()), "{name} is lost");
    }
}

/// A head that arrives in pieces is awaited until its end, and looked at when that comes.
pub fn request_pieces(mut data: &[u8]) {
    let cut = usize::from(choice(&mut data)) << 2 | usize::from(choice(&mut data)) & 3;
    let verdict = |bytes: &[u8]| {
        let mut slots = slots();
        request::parse(bytes, &mut slots, &LIMITS).map(|head| head.map(|head| head.bytes))
    };
    let Ok(Some(bytes)) = verdict(data) else { return };
    assert_eq!(verdict(&data[..bytes]), Ok(Some(bytes)));
    let cut = cut.min(bytes - 1);
    assert_eq!(verdict(&data[..cut]), Ok(None), "half a head is taken for one, or refused");
    assert!(may_be_complete(&data[..bytes], cut), "the end of a head is not seen");
}
