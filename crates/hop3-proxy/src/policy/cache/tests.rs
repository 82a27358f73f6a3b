// SPDX-License-Identifier: Apache-2.0
//! Which answers are kept, for how long, and what makes room for others.

use super::freshness::{self, Freshness};
use super::store::{Found, Kept, Key, Store};
use jiff::Timestamp;
use std::time::{Duration, Instant};

fn lifetime(status: u16, lines: &str) -> Option<(u64, bool)> {
    let now: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n", lines.trim());
    freshness::of(head.as_bytes(), status, now).map(|f| (f.lifetime.as_secs(), f.is_public))
}

#[test]
fn only_answers_that_say_so_are_kept() {
    let table = [
        ("", None),
        ("Cache-Control: max-age=60", Some((60, false))),
        ("Cache-Control: public, max-age=60", Some((60, true))),
        ("Cache-Control: max-age=60, s-maxage=5", Some((5, true))),
        ("Cache-Control: max-age=60\r\nAge: 50", Some((10, false))),
        ("Cache-Control: max-age=60\r\nAge: 60", None),
        ("Cache-Control: max-age=60\r\nCache-Control: no-store", None),
        ("Cache-Control: max-age=60, private", None),
        ("Cache-Control: max-age=60, PRIVATE=\"x\"", None),
        ("Cache-Control: no-cache, max-age=60", None),
        ("Cache-Control: max-age=nonsense", None),
        ("Cache-Control: max-age=60, max-age=1", Some((1, false))),
        ("Cache-Control: max-age=99999999999", Some((86_400, false))),
        ("Cache-Control: max-age=60\r\nSet-Cookie: a=b", None),
        ("Cache-Control: max-age=60\r\nVary: *", None),
        ("Cache-Control: max-age=60\r\nVary: Accept, *", None),
        ("Expires: Mon, 01 Jan 2024 00:01:00 GMT", Some((60, false))),
        ("Date: Mon, 01 Jan 2024 00:00:30 GMT\r\nExpires: Mon, 01 Jan 2024 00:01:00 GMT", Some((30, false))),
        ("Expires: 0", None),
        ("Expires: Sun, 31 Dec 2023 00:00:00 GMT", None),
        ("Cache-Control: max-age=0\r\nExpires: Mon, 01 Jan 2024 00:01:00 GMT", None),
    ];
    for (lines, kept) in table {
        assert_eq!(lifetime(200, lines), kept, "{lines}");
    }
    for (status, is_kept) in [(200, true), (404, true), (301, true), (302, false), (206, false), (500, false)]
    {
        assert_eq!(lifetime(status, "Cache-Control: max-age=60").is_some(), is_kept, "{status}");
    }
}

fn kept(body: usize, seconds: u64) -> Kept {
    let freshness = Freshness { lifetime: Duration::from_secs(seconds), is_public: true };
    let (head, body) = (Vec::new(), vec![0; body]);
    Kept { status: 200, head, body, vary: Vec::new(), since: Instant::now(), age: 0, freshness }
}

fn has(store: &Store, key: &Key) -> bool {
    match store.find(key, |_| true) {
        Found::Kept(_) => true,
        Found::Wait(_) => panic!("nobody asks"),
        Found::Ask => {
            store.asked(key);
            false
        }
    }
}

#[test]
fn what_was_used_longest_ago_makes_room() {
    let store = Store::new(10_000);
    let keys: Vec<Key> = ["a", "b", "c", "d"].map(Key::from).to_vec();
    for key in &keys[..3] {
        store.put(key, kept(3_000, 60));
    }
    assert!(has(&store, &keys[0]));
    store.put(&keys[3], kept(3_000, 60));
    assert_eq!(keys.iter().map(|key| has(&store, key)).collect::<Vec<_>>(), [true, false, true, true]);
    store.put(&keys[1], kept(20_000, 60));
    assert_eq!(keys.iter().map(|key| has(&store, key)).collect::<Vec<_>>(), [true, false, true, true]);
    // The same again takes its own place.
    for _ in 0..10 {
        store.put(&keys[0], kept(3_000, 60));
    }
    assert_eq!(keys.iter().map(|key| has(&store, key)).collect::<Vec<_>>(), [true, false, true, true]);
    store.put(&keys[0], kept(10, 0));
    assert!(!has(&store, &keys[0]));
}
