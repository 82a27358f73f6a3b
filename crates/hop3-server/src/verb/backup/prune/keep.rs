// SPDX-License-Identifier: Apache-2.0
//! Which of a row of backups are kept: data in, data out.

use hop3_core::backup::Keep;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::collections::BTreeSet;

/// The positions of those that are kept, of times that are sorted with the newest first.
pub(super) fn kept(times: &[u64], keep: Keep, zone: &TimeZone) -> BTreeSet<usize> {
    let mut kept: BTreeSet<usize> = (0..times.len().min(keep.last as usize)).collect();
    let at = |ms: u64| {
        Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(i64::MAX))
            .unwrap_or_default()
            .to_zoned(zone.clone())
    };
    let times: Vec<Zoned> = times.iter().map(|ms| at(*ms)).collect();
    kept.extend(newest_of_each(&times, keep.daily, |time| time.strftime("%Y-%m-%d").to_string()));
    // The week of ISO 8601, which may belong to another year than its days.
    kept.extend(newest_of_each(&times, keep.weekly, |time| time.strftime("%G-%V").to_string()));
    kept.extend(newest_of_each(&times, keep.monthly, |time| time.strftime("%Y-%m").to_string()));
    kept
}

/// The newest of each span, for the newest `count` spans that have one.
fn newest_of_each(times: &[Zoned], count: u32, span: impl Fn(&Zoned) -> String) -> Vec<usize> {
    let mut seen: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for (at, time) in times.iter().enumerate() {
        let span = span(time);
        if seen.len() < count as usize && !seen.contains(&span) {
            seen.push(span);
            found.push(at);
        }
    }
    found
}

#[cfg(test)]
mod tests;
