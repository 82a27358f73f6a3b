// SPDX-License-Identifier: Apache-2.0
//! One line of the merged log: when, who, what.

use super::style::{Style, Tone, clean};
use super::time::clock;
use hop3_core::api::{LogEntry, LogOrigin};
use jiff::tz::TimeZone;

pub(crate) fn log_line(entry: &LogEntry, zone: &TimeZone, style: Style) -> String {
    let source = clean(&entry.source);
    let tone = match entry.origin {
        LogOrigin::App => {
            Tone::Source(source.bytes().fold(0, |sum: u8, b| sum.wrapping_mul(31).wrapping_add(b)))
        }
        LogOrigin::Build => Tone::Faint,
        LogOrigin::Platform => Tone::Strong,
    };
    let time = style.paint(Tone::Faint, &clock(entry.time_ms, zone));
    let source = style.paint(tone, &format!("{source:<9}"));
    format!("{time} {source} | {}\n", clean(&entry.text))
}
