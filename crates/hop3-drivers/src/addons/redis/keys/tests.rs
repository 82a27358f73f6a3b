// SPDX-License-Identifier: Apache-2.0
//! Beginnings of files of data.

use super::{database, parts};

/// As Redis 7.0 writes it, with texts, numbers of each size, a function, and lengths of two bytes.
fn head() -> Vec<u8> {
    let mut data =
        b"REDIS0010\xfa\x09redis-ver\x067.0.15\xfa\x0aredis-bits\xc0\x40\xfa\x05ctime\xc2\x56\xd4\x09\x6b"
            .to_vec();
    data.extend(b"\xfa\x08used-mem\xc1\xb8\xfc\xf5\x40\x42");
    data.extend([b'x'; 0x42]);
    data.extend(b"\xf5\xc3\x03\x40\x50abc\xfe\x02\xfb\x40\x65\x01\x00\x03k51\x03v51");
    data
}

#[test]
fn the_first_database_says_how_many_keys_it_has() {
    let data = head();
    let told = |data: &[u8]| parts(data).map(|parts| parts.into_iter().collect::<Vec<_>>());
    assert_eq!(told(&data), Some(vec![("2".to_owned(), 100)]));
    assert_eq!(told(b"REDIS0010\xfa\x01a\x01b\xff12345678"), Some(vec![("0".to_owned(), 0)]));
    assert_eq!(told(b"VALKEY080\xfe\x00\xfb\x80\x00\x01\x00\x00\x00"), Some(vec![("0".to_owned(), 65_536)]));
    assert_eq!(told(b"REDIS0010\xf7\x01"), None, "what a module writes is not known");
    // Cut off, or anything: nothing is made up.
    for end in 0..data.len() - 9 {
        assert_eq!(told(&data[..end]), None, "{end}");
    }
    assert_eq!(told(b"PGDMP\x01\x02\x03\x04\x05\x06"), None);
}

#[test]
fn keys_that_have_an_end_are_not_counted() {
    assert_eq!(database("db3:keys=101,expires=1,avg_ttl=0\r"), Some(("3".to_owned(), 100)));
    assert_eq!(database("# Keyspace"), None);
}
