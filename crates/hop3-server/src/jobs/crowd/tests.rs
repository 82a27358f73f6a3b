// SPDX-License-Identifier: Apache-2.0
//! When the number of instances changes.

use super::*;

const RANGE: Range = Range { least: 0, most: 3 };

/// Judges every second; gives each change with the second it came.
fn changes(in_flight: impl Fn(u64) -> u64, mut count: u32, secs: u64) -> Vec<(u64, u32)> {
    let (mut trend, begin) = (Trend::default(), Instant::now());
    let mut changes = Vec::new();
    for second in 0..secs {
        let now = begin + Duration::from_secs(second);
        if let Some(to) = trend.judge(in_flight(second), (count, RANGE), now) {
            changes.push((second, to));
            count = to;
        }
    }
    changes
}

#[test]
fn a_crowd_that_stays_gets_one_more_at_a_time_up_to_the_most() {
    assert_eq!(changes(|_| 100, 1, 60), [(3, 2), (7, 3)]);
}

#[test]
fn a_crowd_that_comes_and_goes_changes_nothing() {
    assert_eq!(changes(|second| if second % 3 == 2 { 0 } else { 100 }, 1, 60), []);
}

#[test]
fn quiet_takes_one_away_at_a_time_and_leaves_one() {
    assert_eq!(changes(|_| 0, 3, 300), [(60, 2), (121, 1)]);
}

#[test]
fn between_the_bounds_the_number_stays() {
    for in_flight in 6..=20 {
        assert_eq!(changes(|_| in_flight, 2, 300), [], "{in_flight}");
    }
}
