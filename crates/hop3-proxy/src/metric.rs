// SPDX-License-Identifier: Apache-2.0
//! The figures of one route, in a fixed amount of memory: counters, and a histogram of durations.
//!
//! The histogram is log-linear: four steps to each doubling, so that a quantile is right to a fifth at any scale.

use hop3_core::observe::RouteFigures;
use std::array;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Up to 2^27 microseconds, two minutes; what takes longer falls into the last step.
const DOUBLINGS: usize = 26;
const STEPS: usize = 4;
const BUCKETS: usize = DOUBLINGS * STEPS;

#[derive(Default)]
pub(crate) struct Metrics {
    begun: AtomicU64,
    /// By first digit of the status; 0 is a request that ended without one.
    ended: [AtomicU64; 6],
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    total_us: AtomicU64,
    /// Made by the first request, so that a route nobody asks for costs little.
    histogram: OnceLock<Box<[AtomicU64; BUCKETS]>>,
}

/// One request, ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) took: Duration,
}

impl Metrics {
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self, sample: &Sample) {
        let class = usize::from(sample.status / 100);
        self.bytes_in.fetch_add(sample.bytes_in, Relaxed);
        self.bytes_out.fetch_add(sample.bytes_out, Relaxed);
        // An upgraded connection lasts as long as people like; that is no latency.
        if sample.status != 101 {
            let took_us = sample.took.as_micros() as u64;
            self.total_us.fetch_add(took_us, Relaxed);
            let histogram = self.histogram.get_or_init(|| Box::new(array::from_fn(|_| AtomicU64::new(0))));
            histogram[bucket(took_us)].fetch_add(1, Relaxed);
        }
        self.ended[if class < 6 { class } else { 0 }].fetch_add(1, Relaxed);
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    pub(crate) fn in_flight(&self) -> u64 {
        let ended: u64 = self.ended.iter().map(|count| count.load(Relaxed)).sum();
        self.begun().saturating_sub(ended)
    }

    pub(crate) fn figures(&self, service: &str, prefix: &str) -> RouteFigures {
        let latency = self.histogram.get().into_iter().flat_map(|histogram| histogram.iter().enumerate());
        let latency = latency.map(|(place, count)| (upper_us(place), count.load(Relaxed)));
        RouteFigures {
            service: service.to_owned(),
            prefix: prefix.to_owned(),
            in_flight: self.in_flight(),
            requests: self.begun(),
            statuses: array::from_fn(|class| self.ended[class].load(Relaxed)),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            total_us: self.total_us.load(Relaxed),
            latency: latency.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// Below four each microsecond has its own; from there on the highest bit and the two after it decide.
fn bucket(us: u64) -> usize {
    if us < STEPS as u64 {
        return us as usize;
    }
    let high = 63 - us.leading_zeros() as usize;
    let step = (us >> (high - 2)) as usize & (STEPS - 1);
    ((high - 1) * STEPS + step).min(BUCKETS - 1)
}

/// The first microsecond that no longer falls into this bucket.
fn upper_us(place: usize) -> u64 {
    if place < STEPS {
        return place as u64 + 1;
    }
    ((STEPS + place % STEPS + 1) as u64) << (place / STEPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_below_its_step_and_not_below_the_one_before() {
        for us in (0..5_000).chain([65_535, 65_536, 1_000_000, 59_999_999, 100_000_000]) {
            let place = bucket(us);
            assert!(us < upper_us(place), "{us}");
            assert!(place == 0 || us >= upper_us(place - 1), "{us}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
