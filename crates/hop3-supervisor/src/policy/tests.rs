// SPDX-License-Identifier: Apache-2.0
//! The waits and the verdict, as numbers.

use super::*;

fn waits(ends: &[(u64, u64)]) -> Vec<Option<u64>> {
    let policy = RestartPolicy::default();
    let mut early = Vec::new();
    ends.iter()
        .map(|&(now, lived)| match judge(&policy, &mut early, now, lived) {
            Verdict::StartAfter(wait) => Some(wait.as_millis() as u64),
            Verdict::Crashed => None,
        })
        .collect()
}

#[test]
fn early_ends_double_the_wait_until_the_verdict() {
    let ends = [(0, 10), (1_000, 10), (2_500, 10), (5_000, 10), (9_500, 10)];
    assert_eq!(waits(&ends), [Some(500), Some(1_000), Some(2_000), Some(4_000), None]);
}

#[test]
fn a_long_run_forgives_the_early_ends_before_it() {
    let ends = [(0, 10), (1_000, 10), (20_000, 15_000), (21_000, 10)];
    assert_eq!(waits(&ends), [Some(500), Some(1_000), Some(500), Some(500)]);
}

#[test]
fn early_ends_far_apart_are_no_crash_loop() {
    let ends: Vec<(u64, u64)> = (0..10).map(|n| (n * 40_000, 10)).collect();
    assert!(waits(&ends).iter().all(Option::is_some));
}
