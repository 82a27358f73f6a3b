// SPDX-License-Identifier: Apache-2.0
//! Which coding is chosen.

use super::Coding;

#[test]
fn the_client_chooses_and_work_decides_between_equals() {
    let table = [
        ("", None),
        ("identity", None),
        ("gzip", Some(Coding::Gzip)),
        ("gzip, deflate, br", Some(Coding::Brotli)),
        ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
        ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
        ("GZIP; Q=0.3", Some(Coding::Gzip)),
        ("gzip;q=0, *;q=0.1", Some(Coding::Zstd)),
        ("*;q=0", None),
        ("gzip;q=nonsense", None),
        ("br;q=0.001", Some(Coding::Brotli)),
    ];
    for (accepts, coding) in table {
        assert_eq!(Coding::best(accepts), coding, "{accepts}");
    }
}
