// SPDX-License-Identifier: Apache-2.0
//! The lists of headers beside this file: each line is a verdict and bytes, with the escapes of the other lists.

use super::Ends;
use super::fuzz::proxy_header;
use super::header::{MAX_BYTES, Malformed, Said, parse, write};
use crate::tests::corpus::cases_of;
use std::net::SocketAddr;

fn told(said: &Said) -> String {
    match said {
        Said::Own => "own".to_owned(),
        Said::Proxied(Ends { source, destination }) => format!("{source}>{destination}"),
    }
}

/// As a connection would bring it, byte by byte: never good before its last byte, never more than it has.
fn fed(bytes: &[u8]) -> Result<Option<(Said, usize)>, Malformed> {
    for end in 1..=bytes.len() {
        let seen = parse(&bytes[..end]);
        if !matches!(seen, Ok(None)) {
            return seen;
        }
    }
    Ok(None)
}

#[test]
fn good_headers_say_what_they_say_and_leave_what_follows() {
    for (verdict, bytes, line) in cases_of(include_str!("headers.txt")) {
        let (said, length) = fed(&bytes).unwrap_or_else(|e| panic!("{line}: {e}")).expect(line);
        assert_eq!((told(&said).as_str(), length), (verdict, bytes.len()), "{line}");
        let followed = [&bytes[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(parse(&followed), Ok(Some((said, length))), "{line}");
    }
}

#[test]
fn malformed_headers_are_refused_at_once_and_cut_ones_wait() {
    let mut count = 0;
    for (verdict, bytes, line) in cases_of(include_str!("malformed.txt")) {
        let seen = fed(&bytes);
        match verdict {
            "refused" => assert!(seen.is_err(), "{line}: {seen:?}"),
            "waits" => assert_eq!(seen, Ok(None), "{line}"),
            other => panic!("no verdict: {other}"),
        }
        count += 1;
    }
    assert!(count > 60, "only {count}");
}

#[test]
fn nothing_makes_it_want_more_than_its_bound() {
    for first in ["PROXY UNKNOWN ", "\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\u{7f}"] {
        let mut bytes = first.as_bytes().to_vec();
        while matches!(parse(&bytes), Ok(None)) {
            bytes.push(b'x');
            assert!(bytes.len() <= MAX_BYTES);
        }
    }
}

#[test]
fn what_is_written_is_read_again() {
    let end = |text: &str| text.parse::<SocketAddr>().unwrap();
    for (source, destination, read) in [
        ("192.0.2.1:5000", "198.51.100.7:443", "192.0.2.1:5000>198.51.100.7:443"),
        ("[2001:db8::1]:5000", "[2001:db8::2]:443", "[2001:db8::1]:5000>[2001:db8::2]:443"),
        ("[::ffff:192.0.2.1]:1", "[::ffff:198.51.100.7]:2", "192.0.2.1:1>198.51.100.7:2"),
        ("192.0.2.1:1", "[2001:db8::2]:2", "[::ffff:192.0.2.1]:1>[2001:db8::2]:2"),
    ] {
        let bytes = write(&Ends { source: end(source), destination: end(destination) });
        let (said, length) = parse(&bytes).unwrap().unwrap();
        assert_eq!((told(&said).as_str(), length), (read, bytes.len()));
    }
}

/// Bytes changed, cut off and put in at random places of every header of the lists.
#[test]
fn no_change_of_a_header_confuses_the_reader() {
    let mut seed = 0x9e37_79b9_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let lists = [include_str!("headers.txt"), include_str!("malformed.txt")];
    for (_, bytes, _) in lists.into_iter().flat_map(cases_of) {
        proxy_header(&bytes);
        for _ in 0..200 {
            let mut bytes = bytes.clone();
            for _ in 0..=random() % 3 {
                let at = random() % bytes.len();
                match random() % 3 {
                    0 => bytes[at] = random() as u8,
                    1 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, random() as u8),
                }
            }
            proxy_header(&bytes);
        }
    }
}
