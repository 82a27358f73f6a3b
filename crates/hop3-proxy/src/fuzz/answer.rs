// SPDX-License-Identifier: Apache-2.0
//! Answers: those of upstreams as they are passed on and kept, those of DNS servers, and the lines that tell of both.

use super::{choice, split, text};
use crate::access::json::{self, key};
use crate::cert::dns::update;
use crate::http1::body::{Framing, Length};
use crate::http1::forward::Request;
use crate::http1::response::{self, Response};
use crate::http2::head;
use hickory_proto::op::Message;
use hickory_proto::rr::Name;
use hop3_core::acme::DnsUpdate;

fn request(kind: u8) -> Request {
    Request {
        host: 0..0,
        path: 0..0,
        id: 0..0,
        referer: 0..0,
        agent: 0..0,
        head_bytes: 0,
        length: Length::None,
        is_http10: kind & 1 != 0,
        is_head: kind & 2 != 0,
        is_safe: true,
        is_idempotent: true,
        upgrade: kind & 5 == 4,
        keep_alive: kind & 8 == 0,
        forwarded: None,
    }
}

/// What the client is told has one framing, which is the one that the body gets.
pub fn response_head(mut data: &[u8]) {
    let request = request(choice(&mut data));
    let mut out = Vec::new();
    let Ok(Some(response)) = response::rewrite(data, &request, true, &mut out) else { return };
    assert!(response.bytes <= data.len());
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(&out).expect("what was written parses");
    assert_eq!(parsed, httparse::Status::Complete(out.len()));
    assert_eq!((head.code, head.version), (Some(response.status), Some(1)));
    check_lines(head.headers, &response, &request);
    let Some((again, used)) = head::answer(&out, request.is_head) else {
        panic!("HTTP/2 takes it for half a head")
    };
    assert_eq!((used, again.response.status().as_u16()), (out.len(), response.status));
    if !request.is_http10 && response.length != Length::UntilClose && !response.is_interim() {
        assert_eq!(again.length == Length::None, response.length == Length::None);
    }
    // A client that reads as this proxy does sees the same end, but for lines beyond its bound.
    if head.headers.len() > crate::MAX_HEADERS {
        return;
    }
    let mut again = Vec::new();
    let read = response::rewrite(&out, &request, true, &mut again).expect("what was written is accepted");
    let read = read.expect("what was written is whole");
    if !request.is_http10 && response.length != Length::UntilClose {
        assert_eq!(read.length, response.length);
    }
    assert!(!response.upstream_stays || response.length != Length::UntilClose);
    assert!(response.framing == Framing::Raw || !request.is_http10);
}

fn check_lines(headers: &[httparse::Header<'_>], response: &Response, request: &Request) {
    let count = |name: &str| headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name)).count();
    let is_chunked = response.framing == Framing::Chunked && !response.is_interim() && response.status != 101;
    assert_eq!(count("transfer-encoding"), usize::from(is_chunked));
    assert!(count("content-length") <= usize::from(!is_chunked));
    if matches!(response.length, Length::Exact(_)) {
        assert_eq!(count("content-length"), 1);
    }
    if response.framing == Framing::Raw && matches!(response.length, Length::UntilClose | Length::Chunked) {
        assert!(!response.client_stays, "nobody knows where the body ends");
    }
    assert!(count("connection") <= 1);
    assert!(count("keep-alive") == 0 && count("te") == 0);
    assert!(response.status != 101 || request.upgrade);
}

/// A line of the log is one line and one object, with what was sent in it.
pub fn log_line(mut data: &[u8]) {
    let limit = usize::from(choice(&mut data));
    let (first, second) = (split(&mut data), data);
    let mut line = Vec::new();
    json::begin(&mut line, b"now");
    json::text(&mut line, key!("first"), first, limit);
    json::plain(&mut line, key!("between"), "x");
    json::text(&mut line, key!("second"), second, usize::MAX);
    line.push(b'}');
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    let object: serde_json::Value = serde_json::from_slice(&line).expect("a log line is JSON");
    assert_eq!(object.as_object().map(serde_json::Map::len), Some(4));
    if let Ok(text) = std::str::from_utf8(second) {
        assert_eq!(object["second"], text);
    }
}

/// No answer to an update is believed that was not signed with the key.
pub fn dns_answer(mut data: &[u8]) {
    let zone = text(&mut data);
    let update = DnsUpdate {
        server: ([127, 0, 0, 1], 53).into(),
        key_name: Some("key.example.org".to_owned()),
        key_algorithm: None,
        key: Some(hop3_core::secret::Secret::new("c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0".to_owned())),
    };
    let name = Name::from_ascii("_acme-challenge.example.org.").expect("a name");
    let Some(zone) = Name::from_ascii(zone).ok().filter(|zone| zone.zone_of(&name)) else { return };
    let message = update::message(name, zone, "value", update::Change::Add);
    let Ok((bytes, Some(mut verifier))) = update::signed(message, &update, 1_700_000_000) else { return };
    assert!(Message::from_vec(&bytes).is_ok(), "what was made is no message");
    if Message::from_vec(data).is_ok() {
        assert!(verifier.verify(data).is_err(), "an answer without the key's signature is believed");
    }
}
