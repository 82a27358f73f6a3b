// SPDX-License-Identifier: Apache-2.0
//! Buckets empty and fill, and very many keys find room in a fixed table.

use super::{Limiter, SETS, WAYS};
use hop3_core::policy::{PathPattern, Per, RateKey, RateLimit};

fn limiter(requests: u32, per: Per, burst: u32) -> Limiter {
    Limiter::new(&RateLimit { path: PathPattern::all(), by: RateKey::Ip, requests, per, burst })
}

#[test]
fn a_bucket_gives_its_burst_then_its_rate() {
    let limiter = limiter(60, Per::Minute, 3);
    let taken: Vec<_> = (0..4).map(|_| limiter.take_at(b"a", 1_000)).collect();
    assert_eq!(taken.iter().map(|s| s.is_over).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(taken.iter().map(|s| s.remaining).collect::<Vec<_>>(), [2, 1, 0, 0]);
    assert_eq!(taken[3].seconds, 1);
    assert!(!limiter.take_at(b"b", 1_000).is_over);
    assert!(limiter.take_at(b"a", 900_000).is_over);
    assert!(!limiter.take_at(b"a", 1_002_000).is_over);
    assert_eq!(limiter.take_at(b"a", 60_000_000).remaining, 2);
}

#[test]
fn many_keys_find_room_and_forget_only_the_fullest() {
    let limiter = limiter(1, Per::Day, 2);
    for key in 0..(SETS * WAYS * 4) as u64 {
        assert!(!limiter.take_at(&key.to_le_bytes(), 1_000 + key).is_over);
    }
}
