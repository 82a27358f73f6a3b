// SPDX-License-Identifier: Apache-2.0
//! The rules on what is known to be difficult, and on what was found once.

use super::*;
use crate::tests::corpus;

/// Heads that are accepted, some of them barely.
fn heads() -> Vec<Vec<u8>> {
    let lines = |count: usize| "X: 1\r\n".repeat(count);
    let heads = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        format!("POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nCookie: a=b; c\r\n{}\r\n", lines(90)),
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{}\r\n", lines(98)),
        format!("GET / HTTP/1.0\r\n{}\r\n", lines(100)),
        "GET /ws HTTP/1.1\r\nHost: a:80\r\nConnection: Upgrade, x\r\nX: 1\r\nUpgrade: websocket\r\n\r\n"
            .to_owned(),
        "GET /a%5c..%5cb/\\c HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\n\r\n".to_owned(),
    ];
    heads.into_iter().map(String::into_bytes).collect()
}

#[test]
fn a_request_has_one_reading_before_and_after() {
    for head in heads().into_iter().chain(corpus::heads().into_iter().map(|case| case.bytes)) {
        request_head(&head);
        visit(&head);
        for cut in 0..40 {
            request_pieces(&[&[cut, cut], head.as_slice()].concat());
        }
        head_edit(&[b"/x?y\0cookie\0X-New\0value\0".as_slice(), &head].concat());
        head_edit(&[b"\0\0X\0a\nb\0".as_slice(), &head].concat());
    }
}

#[test]
fn a_request_of_http2_is_one_of_http1() {
    for request in [
        "\0GET\nhttps://a/x?y\ncookie: a=b\ncookie: c=d\nx: 1",
        "\u{1}POST\nhttps://a:1/\ncontent-length: 3\nhost: b",
        "\u{1}OPTIONS\n*\nhost: a\ntransfer-encoding: chunked",
        "\0CONNECT\na:80\nx:\t1 ",
    ] {
        request_of_http2(request.as_bytes());
    }
}

#[test]
fn frames_are_the_same_in_any_pieces() {
    let plain = b"\x01\x1a\0\0\x27\x02:protocol\x09websocket\x51\x01/";
    let coded = b"\x01\x15\0\0\xd1\x2f\0\xb9\x5d\x87\x49\xc8\x7a\x3f\x87\xf0\x58\xd0\x72\x75\x2a\x7f";
    for head in [&plain[..], coded, b"\x01\x02\0\0", b"\x21\x03abc\x01\x04\x02\0\x10\x27", b"\x01\0"] {
        for size in [0, 1, 2, 3, 200] {
            stream_frames(&[&[size], head].concat());
            stream_frames(&[&[size], head, b"\0\0\0\x40\x02hi\x21\0\x01\x02\0\0"].concat());
            stream_frames(&[&[size], head, head, b"\0\xbf\xff\xff\xffhi"].concat());
            stream_frames(&[&[size], head, b"\x21\xbf\xff\xff\xff"].concat());
            stream_frames(&[&[size], &head[..head.len() - 1]].concat());
        }
    }
}

#[test]
fn bodies_mean_the_same_in_any_pieces() {
    let after_head = |bytes: &[u8]| {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        bytes[end..].to_vec()
    };
    for case in corpus::bodies() {
        for size in [1, 2, 3, 200] {
            chunked_body(&[&[size, 1, 7], after_head(&case.bytes).as_slice()].concat());
        }
    }
    chunked_body(b"\x01\x05\x025;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\nGET");
    chunked_body(b"\x01\x07\x025\r\nhello\r\n0\r\nX-Forwarded-: 1\r\n\r\n");
    body_framing(b"\x03\x04hello and what follows");
}

#[test]
fn nothing_of_somebodys_own_is_kept() {
    let head = b"HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 0\r\n\r\n";
    for value in [&b""[..], b"a=b", b"a=\xff"] {
        freshness(&[b"\0", value, b"\0", head].concat());
    }
    let many = format!("HTTP/1.0 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(100));
    for status in ["099", "000", "103"] {
        auth_answer(format!("\0HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n").as_bytes());
    }
    for cut in [0, 5, 6, 7, 8, 9, 20] {
        auth_answer(
            &[&[cut], b"HTTP/1.1 401 No\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\nhello".as_slice()]
                .concat(),
        );
        auth_answer(
            &[&[cut], b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".as_slice()]
                .concat(),
        );
    }
    for kind in 0..16 {
        response_head(&[&[kind], many.as_bytes()].concat());
        response_head(&[&[kind], head.as_slice()].concat());
        response_head(
            &[&[kind], b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nX: 1\r\n\r\n".as_slice()].concat(),
        );
        response_head(&[&[kind], b"HTTP/1.0 304 x\r\nContent-Length: 5\r\n\r\n".as_slice()].concat());
    }
}

#[test]
fn names_lead_nowhere_else() {
    for path in ["/a/b.html", "/%2e%2e/a", "/.well-known/x", "/a/.well-known", "/a%2fb", "//a///b/", "/%E9"] {
        file_path(path.as_bytes());
    }
    for name in ["a.b", "A.B:80", "a.b.:", "a.b:80:80", "[::1]:80", ".a.b", "a.b..", "a_b.c"] {
        host(name.as_bytes());
    }
    condition(b"\x07\x03\0\0\0bytes=0-3");
    condition(b"\x00\x00\"b\", W/\"a-1\"\0\0\0bytes=-0");
    log_line(b"\x05hello\"\x1b\\world\xff\0\xc3\xa9\n");
    dns_answer(b"example.org\0\x00\x01\x28\x00\0\0\0\0\0\0\0\0");
    journal(br#"{"services":[]}"#);
    journal(b"\0{\"generation\":0}\n{\"put\":{\"name\":\"a\",\"hosts\":[\"a.b\"],\"routes\":[]}}\n{\"remove\":\"b\"}\n{");
}
