// SPDX-License-Identifier: Apache-2.0
//! Times and durations as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `2026-03-01 14:05:09` in the reader's time zone.
pub(crate) fn clock(time_ms: u64, zone: &TimeZone) -> String {
    let millis = i64::try_from(time_ms).unwrap_or(i64::MAX);
    match Timestamp::from_millisecond(millis) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "-".to_owned(),
    }
}

/// `12 ms`, `1.9 s`, `2 min 03 s`, `1 h 05 min`
pub(crate) fn duration(millis: u64) -> String {
    let secs = millis / 1000;
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{:.1} s", millis as f64 / 1000.0),
        _ if secs < 3600 => format!("{} min {:02} s", secs / 60, secs % 60),
        _ => format!("{} h {:02} min", secs / 3600, secs % 3600 / 60),
    }
}
