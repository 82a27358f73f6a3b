// SPDX-License-Identifier: Apache-2.0
//! What must hold of a header for any bytes (`crate::fuzz`).

use super::header::{MAX_BYTES, Said, parse, write};

/// It means the same however it comes in, ends before its bound, and is told on as it was told.
pub fn proxy_header(data: &[u8]) {
    let whole = parse(data);
    for end in 0..data.len().min(MAX_BYTES + 1) {
        match parse(&data[..end]) {
            Ok(None) => assert!(end < MAX_BYTES, "it wants more than its bound"),
            early => {
                // Neither a verdict nor a length changes with what follows.
                assert_eq!(early.ok(), whole.ok(), "after {end} bytes");
                break;
            }
        }
    }
    let Ok(Some((said, length))) = whole else { return };
    assert!(length <= data.len().min(MAX_BYTES));
    let Said::Proxied(ends) = said else { return };
    let told = write(&ends);
    let Ok(Some((Said::Proxied(again), length))) = parse(&told) else { panic!("{ends:?} is not told on") };
    let plain = |address: std::net::SocketAddr| (address.ip().to_canonical(), address.port());
    assert_eq!(length, told.len());
    assert_eq!(plain(again.source), plain(ends.source));
    assert_eq!(plain(again.destination), plain(ends.destination));
}
