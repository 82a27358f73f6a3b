// SPDX-License-Identifier: Apache-2.0
//! When a process that nobody asks may rest, and how deeply.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Unless something else is asked for, what may sleep is stopped after so long.
pub const DEFAULT_STOP_AFTER: Duration = Duration::from_secs(10 * 60);

/// The least and the most instances of a process: `0..3`. With 0 as the least it may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub least: u32,
    pub most: u32,
}

impl Range {
    pub fn exactly(count: u32) -> Range {
        Range { least: count, most: count }
    }

    /// The count nearest to this one that lies within; at least one, since sleeping is no count.
    pub fn nearest(self, count: u32) -> u32 {
        count.clamp(self.least.max(1), self.most.max(1))
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.least == self.most {
            true => write!(f, "{}", self.least),
            false => write!(f, "{}..{}", self.least, self.most),
        }
    }
}

/// How long nobody must have asked. 0 means never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SleepTimes {
    /// Seconds until the processes are frozen: they keep their memory and take no CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_after_secs: Option<u32>,
    /// Seconds until the processes are stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after_secs: Option<u32>,
}

/// The two ways to sleep, the lighter first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sleep {
    /// In memory, without CPU.
    Frozen,
    /// Not there at all.
    Stopped,
}

impl SleepTimes {
    /// Says nothing at all.
    pub fn is_unsaid(&self) -> bool {
        *self == SleepTimes::default()
    }

    /// What is said here, and where nothing is said, there.
    pub fn or(self, other: SleepTimes) -> SleepTimes {
        SleepTimes {
            freeze_after_secs: self.freeze_after_secs.or(other.freeze_after_secs),
            stop_after_secs: self.stop_after_secs.or(other.stop_after_secs),
        }
    }

    /// How deeply to sleep after nobody has asked for so long.
    pub fn due(self, idle: Duration) -> Option<Sleep> {
        let is_over = |after: Option<Duration>| after.is_some_and(|after| idle >= after);
        match (is_over(self.stop_after()), is_over(self.freeze_after())) {
            (true, _) => Some(Sleep::Stopped),
            (false, true) => Some(Sleep::Frozen),
            (false, false) => None,
        }
    }

    /// The shortest time that means something.
    pub fn first(self) -> Option<Duration> {
        self.freeze_after().into_iter().chain(self.stop_after()).min()
    }

    fn freeze_after(self) -> Option<Duration> {
        limit(self.freeze_after_secs?)
    }

    fn stop_after(self) -> Option<Duration> {
        match (self.stop_after_secs, self.freeze_after_secs) {
            (Some(secs), _) => limit(secs),
            // Whoever asks for freezing alone wants it to last.
            (None, Some(1..)) => None,
            (None, _) => Some(DEFAULT_STOP_AFTER),
        }
    }
}

fn limit(secs: u32) -> Option<Duration> {
    (secs > 0).then(|| Duration::from_secs(secs.into()))
}

/// Reads `90`, `90s`, `10m`, `2h`, `1d` and `never` as seconds; 0 is never.
pub fn parse_time(text: &str) -> Option<u32> {
    if text == "never" {
        return Some(0);
    }
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests;
