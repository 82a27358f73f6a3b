// SPDX-License-Identifier: Apache-2.0
//! HTTP/1 as data: which requests are refused, what is forwarded, how bodies end.

mod mutation;

use super::body::{Body, Framing, Length, Piece};
use super::chunked::Decoder;
use super::forward::{self, Origin, Request};
use super::header::slots;
use super::request;
use super::response;
use crate::limit::Limits;
use crate::tests::corpus;
use expect_test::{Expect, expect};

/// The status a request head is refused with; 0 when it is accepted, 1 when more is awaited.
fn verdict(head: impl AsRef<[u8]>) -> u16 {
    let mut slots = slots();
    match request::parse(head.as_ref(), &mut slots, &Limits::default()) {
        Ok(Some(_)) => 0,
        Ok(None) => 1,
        Err(refusal) => refusal.status,
    }
}

#[test]
fn malformed_and_ambiguous_requests_are_refused() {
    let cases = corpus::heads();
    assert!(cases.len() >= 150);
    let verdicts = cases.iter().map(|case| (verdict(&case.bytes), case));
    let wrong = verdicts.filter(|(said, case)| *said != case.status);
    let wrong: Vec<_> = wrong.map(|(said, case)| (said, case.text)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn ordinary_requests_are_accepted_and_unfinished_ones_awaited() {
    const CASES: &[(u16, &str)] = &[
        (0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (0, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (0, "GET / HTTP/1.0\r\n\r\n"),
        (0, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (0, "GET http://a/x HTTP/1.1\r\nHost: A\r\n\r\n"),
        (0, "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (0, "PROPFIND /x?y=%20 HTTP/1.1\r\nHost: a.example.org:8080\r\n\r\n"),
        (0, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
        (0, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"),
        (0, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        (0, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n"),
        (0, "GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\u{e8} and\ttab\r\n\r\n"),
        (1, "GET / HTTP/1.1\r\nHost: a\r\n"),
        (1, "GE"),
    ];
    for (expected, head) in CASES {
        assert_eq!(verdict(head), *expected, "{head:?}");
    }
}

#[test]
fn sizes_are_bounded() {
    let long = |n| "x".repeat(n);
    assert_eq!(verdict(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(9 << 10))), 414);
    assert_eq!(verdict(format!("GET /{}", long(9 << 10))), 414);
    assert_eq!(verdict(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(33 << 10))), 431);
    assert_eq!(verdict(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", long(33 << 10))), 431);
    let many = |n| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(n));
    assert_eq!(verdict(many(99)), 0);
    assert_eq!(verdict(many(100)), 431);
}

fn forwarded(head: &str) -> (String, Request) {
    let mut slots = slots();
    let parsed = request::parse(head.as_bytes(), &mut slots, &Limits::default());
    let parsed = parsed.unwrap_or_else(|refusal| panic!("{refusal:?}")).unwrap();
    let mut out = Vec::new();
    let request_id = "00112233445566778899aabbccddeeff";
    let origin = Origin { peer: "192.0.2.7", scheme: "http", subject: None, request_id };
    let request = forward::write(&parsed, &origin, &mut out);
    assert_eq!(&out[request.host.clone()], parsed.host);
    assert_eq!(&out[request.path.clone()], parsed.path.as_bytes());
    (String::from_utf8(out).unwrap(), request)
}

fn check_forwarded(head: &str, expected: Expect) {
    expected.assert_eq(&forwarded(head).0.replace('\r', ""));
}

#[test]
fn a_request_is_rewritten_for_its_upstream() {
    check_forwarded(
        "POST /a?b=c HTTP/1.1\r\nAccept: */*\r\nHost: Shop.example.org:8080\r\nConnection: keep-alive, X-Hop\r\n\
         X-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-PORT: 1\r\n\
         X_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nProxy: http://evil\r\n\
         Content-Length: 3\r\nX-Request-Id: mine-1\r\nProxy-Authorization: x\r\n\r\n",
        expect![[r#"
            POST /a?b=c HTTP/1.1
            Host: Shop.example.org:8080
            Accept: */*
            Content-Length: 3
            X-Forwarded-For: 192.0.2.7
            X-Forwarded-Proto: http
            X-Forwarded-Host: Shop.example.org:8080
            X-Forwarded-Port: 8080
            traceparent: 00-00112233445566778899aabbccddeeff-8899aabbccddeeff-00
            X-Request-Id: mine-1

        "#]],
    );
    check_forwarded(
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nX-Request-Id: <b>\r\nTransfer-Encoding: chunked\r\n\r\n",
        expect![[r#"
            GET / HTTP/1.1
            Host: a
            Transfer-Encoding: chunked
            X-Forwarded-For: 192.0.2.7
            X-Forwarded-Proto: http
            X-Forwarded-Host: a
            X-Forwarded-Port: 80
            traceparent: 00-00112233445566778899aabbccddeeff-8899aabbccddeeff-00
            X-Request-Id: 00112233445566778899aabbccddeeff

        "#]],
    );
}

#[test]
fn a_trace_is_passed_on_when_it_is_one() {
    let seen = |trace: &str| {
        let (text, request) = forwarded(&format!(
            "GET / HTTP/1.1\r\nHost: a\r\nReferer: /x\r\nUser-Agent: me\r\nTraceparent: {trace}\r\n\r\n"
        ));
        assert_eq!((&text[request.referer], &text[request.agent]), ("/x", "me"));
        assert_eq!(&text[request.id], "00112233445566778899aabbccddeeff");
        text.contains(&format!("traceparent: {trace}\r\n"))
    };
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    assert!(seen(&format!("00-{trace}-{span}-01")));
    assert!(seen(&format!("01-{trace}-{span}-01-more")));
    for bad in [
        format!("00-{trace}-{span}-01-more"),
        format!("ff-{trace}-{span}-01"),
        format!("00-{}-{span}-01", "0".repeat(32)),
        format!("00-{trace}-{}-01", "0".repeat(16)),
        format!("00-{}-{span}-01", trace.to_uppercase()),
        format!("00-{trace}-{span}-1"),
        String::new(),
    ] {
        assert!(!seen(&bad), "{bad}");
    }
}

#[test]
fn nobody_strips_framing_by_naming_it_in_connection() {
    let (text, _) = forwarded(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, Host, Content-Length, X-Forwarded-For\r\nContent-Length: 3\r\n\r\n",
    );
    assert!(text.contains("Host: a\r\n") && text.contains("Content-Length: 3\r\n"), "{text}");
    assert!(text.contains("X-Forwarded-For: 192.0.2.7\r\n"), "{text}");
}

#[test]
fn upgrades_are_asked_for_only_where_they_are_possible() {
    let ask = |extra: &str| {
        let head = format!("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n{extra}\r\n");
        let (text, request) = forwarded(&head);
        assert_eq!(request.upgrade, text.contains("Connection: Upgrade\r\nUpgrade: "), "{text}");
        request.upgrade
    };
    assert!(ask("Upgrade: websocket\r\n"));
    assert!(!ask(""));
    assert!(!ask("Upgrade: h2c\r\nHTTP2-Settings: x\r\n"));
    assert!(!ask("Upgrade: websocket\r\nContent-Length: 4\r\n"));
    assert!(!forwarded("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n").1.upgrade);
    assert!(
        !forwarded("GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            .1
            .upgrade
    );
}

#[test]
fn connections_are_kept_as_the_version_says() {
    let stays =
        |line: &str, extra: &str| forwarded(&format!("{line}\r\nHost: a\r\n{extra}\r\n")).1.keep_alive;
    assert!(stays("GET / HTTP/1.1", ""));
    assert!(!stays("GET / HTTP/1.1", "Connection: close\r\n"));
    assert!(!stays("GET / HTTP/1.1", "Connection: x, CLOSE\r\n"));
    assert!(!stays("GET / HTTP/1.0", ""));
    assert!(stays("GET / HTTP/1.0", "Connection: Keep-Alive\r\n"));
}

/// Rewrites a response and tells its length, framing and what stays open.
fn check_response(request: &str, head: &str, expected: Expect) {
    let (_, request) = forwarded(request);
    let mut out = Vec::new();
    let text = match response::rewrite(head.as_bytes(), &request, true, &mut out) {
        Ok(Some(r)) => format!(
            "{:?} as {:?}, upstream stays: {}, client stays: {}\n{}",
            r.length,
            r.framing,
            r.upstream_stays,
            r.client_stays,
            String::from_utf8(out).unwrap().replace('\r', "")
        ),
        other => format!("{other:?}"),
    };
    expected.assert_eq(&text);
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET10: &str = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const WS: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn responses_end_where_their_head_says() {
    check_response(
        GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: 3\r\nServer: x\r\n\r\nhello",
        expect![[r#"
            Exact(5) as Raw, upstream stays: true, client stays: true
            HTTP/1.1 200 OK
            Content-Length: 5
            Server: x

        "#]],
    );
    check_response(
        GET,
        "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        expect![[r#"
            Chunked as Chunked, upstream stays: false, client stays: true
            HTTP/1.1 200 Fine
            Transfer-Encoding: chunked

        "#]],
    );
    check_response(
        GET10,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        expect![[r#"
            Chunked as Raw, upstream stays: true, client stays: false
            HTTP/1.1 200 OK
            Connection: close

        "#]],
    );
    check_response(
        GET10,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        expect![[r#"
            Exact(5) as Raw, upstream stays: true, client stays: true
            HTTP/1.1 200 OK
            Content-Length: 5
            Connection: keep-alive

        "#]],
    );
    check_response(
        GET,
        "HTTP/1.0 200 OK\r\n\r\n",
        expect![[r#"
            UntilClose as Chunked, upstream stays: false, client stays: true
            HTTP/1.1 200 OK
            Transfer-Encoding: chunked

        "#]],
    );
}

#[test]
fn some_responses_have_no_body_whatever_they_announce() {
    check_response(
        HEAD,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        expect![[r#"
            None as Raw, upstream stays: true, client stays: true
            HTTP/1.1 200 OK
            Content-Length: 5

        "#]],
    );
    check_response(
        GET,
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        expect![[r#"
            None as Raw, upstream stays: true, client stays: true
            HTTP/1.1 204 No Content

        "#]],
    );
    check_response(
        GET,
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        expect![[r#"
            None as Raw, upstream stays: true, client stays: true
            HTTP/1.1 304 Not Modified
            Content-Length: 5

        "#]],
    );
    check_response(
        WS,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        expect![[r#"
            None as Raw, upstream stays: false, client stays: true
            HTTP/1.1 101 Switching Protocols
            Connection: Upgrade
            Upgrade: websocket

        "#]],
    );
}

#[test]
fn ambiguous_responses_are_not_passed_on() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
    ] {
        check_response(GET, head, expect!["Err(BadResponse)"]);
    }
}

/// Decodes a chunked body given in pieces of every size, all with the same result.
fn decode(body: &str) -> Option<(String, String, usize)> {
    let results: Vec<_> = (1..=body.len()).map(|size| decode_in_pieces(body.as_bytes(), size)).collect();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{body:?}: {results:?}");
    results.into_iter().next().flatten()
}

fn decode_in_pieces(body: &[u8], size: usize) -> Option<(String, String, usize)> {
    let mut reading = Body::new(Length::Chunked);
    let (mut data, mut trailers, mut used) = (Vec::new(), Vec::new(), 0);
    for piece in body.chunks(size) {
        let mut buffer = piece.to_vec();
        let taken = reading.take(&mut buffer, &mut trailers).ok()?;
        data.extend_from_slice(&buffer[..taken.data]);
        used += taken.consumed;
    }
    let text = |bytes| String::from_utf8(bytes).unwrap();
    reading.is_done().then(|| (text(data), text(trailers), used))
}

#[test]
fn chunked_bodies_are_decoded_in_any_pieces() {
    assert_eq!(decode("0\r\n\r\n"), Some((String::new(), String::new(), 5)));
    assert_eq!(decode("5\r\nhello\r\n0\r\n\r\nGET"), Some(("hello".into(), String::new(), 15)));
    assert_eq!(decode("3;a=b\r\nhel\r\n02\r\nlo\r\n000\r\n\r\n").unwrap().0, "hello");
    assert_eq!(decode("A\r\n0123456789\r\n0\r\n\r\n").unwrap().0, "0123456789");
    let (_, trailers, _) = decode("1\r\nx\r\n0\r\nX-Sum: 1\r\nHost: b\r\nContent-Length: 9\r\n\r\n").unwrap();
    assert_eq!(trailers, "X-Sum: 1\r\n");
    let many: String = (0..crate::MAX_HEADERS).map(|i| format!("x_{i}: 1\r\n")).collect();
    assert_eq!(decode(&format!("0\r\n{many}\r\n")).unwrap().1, many);
    let mut trailers = Vec::new();
    let mut asked = Body::of_request(Length::Chunked);
    asked.take(&mut b"0\r\nx_y: 1\r\nx-y: 2\r\n\r\n".to_vec(), &mut trailers).unwrap();
    assert_eq!(trailers, b"x-y: 2\r\n");
}

#[test]
fn malformed_chunks_are_refused() {
    for body in [
        "g\r\n",
        "\r\n",
        "-1\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "1 \r\nx\r\n",
        "1\nx\n",
        "1\r\nx\n",
        "1\rx",
        "1\r\nxy\r\n",
        "1\r\nx\r0\r\n\r\n",
        "1;\n\r\nx\r\n",
        "1;a\rb\r\nx\r\n",
        "1;\0\r\nx\r\n",
        "1111111111111111\r\n",
        "ffffffffffffffffffff\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nX : 1\r\n\r\n",
        "0\r\nX: 1\n\r\n",
        "0\r\n\n",
        "0\r\n X: 1\r\n\r\n",
    ] {
        let mut decoder = Decoder::default();
        assert!(decoder.decode(&mut body.as_bytes().to_vec()).is_err(), "{body:?}");
    }
    let mut decoder = Decoder::default();
    assert!(decoder.decode(&mut format!("1;{}\r\n", "x".repeat(300)).into_bytes()).is_err());
    let mut decoder = Decoder::default();
    assert!(decoder.decode(&mut format!("0\r\nX: {}", "x".repeat(9000)).into_bytes()).is_err());
}

#[test]
fn a_body_never_takes_more_than_its_length() {
    let mut body = Body::new(Length::Exact(3));
    let piece = body.take(&mut b"helloGET".to_vec(), &mut Vec::new());
    assert_eq!(piece, Ok(Piece { consumed: 3, data: 3 }));
    assert!(body.is_done());
    assert!(!Body::new(Length::Exact(3)).ends_at_close());
    assert!(!Body::new(Length::Chunked).ends_at_close());
    assert!(Body::new(Length::UntilClose).ends_at_close());
}

#[test]
fn bodies_are_chunked_anew() {
    let mut out = Vec::new();
    Framing::Chunked.write(&mut out, b"hello world, 17 b");
    Framing::Chunked.write(&mut out, b"");
    Framing::Chunked.finish(&mut out, b"X-Sum: 1\r\n");
    assert_eq!(out, b"11\r\nhello world, 17 b\r\n0\r\nX-Sum: 1\r\n\r\n");
}
