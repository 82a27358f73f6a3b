// SPDX-License-Identifier: Apache-2.0
//! Rate limits: a bucket of tokens for each key, kept as the one moment at which it will be full again (GCRA).
//!
//! Invariant: a limiter's memory is fixed. A key has its place among eight of its set; when all are taken, the one
//! whose bucket is fullest makes room. So under attack from very many addresses a bucket may be forgotten, and its
//! owner gets new tokens; nobody loses any.

use super::answer::Answer;
use super::live::Live;
use super::visit::Visit;
use crate::page;
use hop3_core::policy::{RateKey, RateLimit};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Buckets of one limit: `SETS × WAYS`, 16 bytes each.
const SETS: usize = 4096;
const WAYS: usize = 8;

pub(crate) struct Limiter {
    start: Instant,
    /// Keyed, so that nobody can choose addresses that share a set.
    hasher: RandomState,
    sets: Box<[Mutex<[Bucket; WAYS]>]>,
    /// Microseconds that one token takes, and that all of a burst take.
    token: u64,
    burst: u64,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    key: u64,
    /// Microseconds since `start`; in the past when full.
    full_at: u64,
}

/// How a bucket stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    is_over: bool,
    remaining: u64,
    /// Seconds until the next token when it is over, until full when not.
    seconds: u64,
}

impl Limiter {
    pub(super) fn new(limit: &RateLimit) -> Limiter {
        let token = (u64::from(limit.per.seconds()) * 1_000_000 / u64::from(limit.requests)).max(1);
        Limiter {
            start: Instant::now(),
            hasher: RandomState::new(),
            sets: (0..SETS).map(|_| Mutex::default()).collect(),
            token,
            burst: token * u64::from(limit.burst),
        }
    }

    fn take(&self, key: &[u8]) -> Standing {
        self.take_at(key, self.start.elapsed().as_micros() as u64)
    }

    fn take_at(&self, key: &[u8], now: u64) -> Standing {
        // 0 is an empty place.
        let key = self.hasher.hash_one(key).max(1);
        let mut set = self.sets[key as usize % SETS].lock().unwrap_or_else(PoisonError::into_inner);
        let place = match set.iter().position(|bucket| bucket.key == key) {
            Some(place) => place,
            None => {
                let fullest = (0..WAYS).min_by_key(|place| set[*place].full_at).unwrap_or(0);
                set[fullest] = Bucket { key, full_at: 0 };
                fullest
            }
        };
        let bucket = &mut set[place];
        let used = bucket.full_at.saturating_sub(now) + self.token;
        if used > self.burst {
            return Standing {
                is_over: true,
                remaining: 0,
                seconds: (used - self.burst).div_ceil(1_000_000),
            };
        }
        bucket.full_at = now + used;
        Standing {
            is_over: false,
            remaining: (self.burst - used) / self.token,
            seconds: used.div_ceil(1_000_000),
        }
    }
}

pub(super) fn check(live: &Live, visit: &mut Visit<'_>) -> Result<(), Answer> {
    let mut tightest: Option<(Standing, u32)> = None;
    for (limit, limiter) in live.source.rate_limits.iter().zip(live.limiters.iter()) {
        if !visit.means(&limit.path) {
            continue;
        }
        let standing = limiter.take(&key(&limit.by, visit));
        if standing.is_over {
            let answer = Answer::page(page::TOO_MANY).line("Retry-After", &standing.seconds.to_string());
            visit.lines += &lines(standing, limit.burst);
            return Err(answer);
        }
        if tightest.is_none_or(|(least, _)| standing.remaining < least.remaining) {
            tightest = Some((standing, limit.burst));
        }
    }
    if let Some((standing, burst)) = tightest {
        visit.lines += &lines(standing, burst);
    }
    Ok(())
}

fn lines(standing: Standing, burst: u32) -> String {
    let Standing { remaining, seconds, .. } = standing;
    format!("RateLimit-Limit: {burst}\r\nRateLimit-Remaining: {remaining}\r\nRateLimit-Reset: {seconds}\r\n")
}

fn key(by: &RateKey, visit: &Visit<'_>) -> Vec<u8> {
    let header = match by {
        RateKey::All => return Vec::new(),
        RateKey::Ip => None,
        RateKey::Header(name) => visit.header(name),
    };
    match (header, visit.address) {
        (Some(value), _) => [b"h", value.as_bytes()].concat(),
        (None, IpAddr::V4(v4)) => v4.octets().to_vec(),
        // One customer of a network provider has a /64.
        (None, IpAddr::V6(v6)) => v6.octets()[..8].to_vec(),
    }
}

#[cfg(test)]
mod tests;
