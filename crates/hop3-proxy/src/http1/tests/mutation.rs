// SPDX-License-Identifier: Apache-2.0
//! Requests changed at random: what is accepted and forwarded is read by a second parser as by the first.

use crate::http1::forward::{self, Origin};
use crate::http1::{header, request};
use crate::limit::Limits;

/// The next number of a fixed sequence (xorshift), so that a failure comes again.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state as usize
}

#[test]
fn what_is_forwarded_has_the_reading_that_was_accepted() {
    const SEEDS: &[&str] = &[
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: x, close\r\nX: y\r\n\r\n",
        "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ];
    const PIECES: &[&str] = &[
        "\r",
        "\n",
        "\r\n",
        " ",
        "\t",
        ":",
        ",",
        "\0",
        ";",
        "Host: b\r\n",
        "Content-Length: 7\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding",
        "chunked",
        "0",
        "_",
        "-",
        "\u{e9}",
        "HTTP/1.0",
    ];
    let (mut state, mut accepted) = (0x2545_f491_4f6c_dd1d, 0);
    for round in 0..60_000 {
        let mut bytes = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..=next(&mut state) % 3 {
            let place = next(&mut state) % bytes.len();
            let piece = PIECES[next(&mut state) % PIECES.len()].as_bytes();
            let end = if next(&mut state).is_multiple_of(2) {
                place
            } else {
                (place + piece.len()).min(bytes.len())
            };
            bytes.splice(place..end, piece.iter().copied());
        }
        let mut slots = header::slots();
        let Ok(Some(head)) = request::parse(&bytes, &mut slots, &Limits::default()) else { continue };
        if head.host.is_empty() {
            // HTTP/1.0: there is no service without a host, so this is never forwarded.
            continue;
        }
        accepted += 1;
        let mut out = Vec::new();
        forward::write(
            &head,
            &Origin { peer: "192.0.2.7", scheme: "http", subject: None, request_id: "i" },
            &mut out,
        );
        let mut slots = header::slots();
        let again = request::parse(&out, &mut slots, &Limits::default());
        let again = again.unwrap_or_else(|refusal| panic!("{refusal:?}")).expect("a whole head");
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!((again.length, again.host, again.path), (head.length, head.host, head.path), "{text:?}");
        assert_eq!(
            (again.method, again.upgrade, again.bytes),
            (head.method, head.upgrade, out.len()),
            "{text:?}"
        );
    }
    assert!(accepted > 1_000, "{accepted}");
}
