// SPDX-License-Identifier: Apache-2.0
//! `Sets`: which rules a thread keeps. A set is read when it is first asked for; few are kept, the longest unused goes.
//!
//! Invariant: what cannot be read costs a try now and then, and is good again as soon as it can.

use hop3_core::waf::Ask;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Each takes megabytes.
pub(crate) const MAX_SETS: usize = 4;
/// What could not be read is tried again after this: whoever wrote the mistake may have mended it.
const RETRY: Duration = Duration::from_secs(10);

/// What makes two questions ask for the same rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub(crate) paranoia: u8,
    pub(crate) without: Vec<u32>,
}

impl Choice {
    pub(crate) fn of(ask: &Ask) -> Choice {
        Choice { paranoia: ask.paranoia, without: ask.without.clone() }
    }

    /// That of an app which sets nothing.
    pub(crate) fn usual() -> Choice {
        Choice { paranoia: 1, without: Vec::new() }
    }
}

/// The one used last comes last.
pub(crate) struct Sets<T>(Vec<Set<T>>);

struct Set<T> {
    choice: Choice,
    rules: Result<T, String>,
    read: Instant,
}

impl<T> Sets<T> {
    pub(crate) fn new() -> Sets<T> {
        Sets(Vec::new())
    }

    /// The rules of that choice, read when they are not there.
    pub(crate) fn get(
        &mut self,
        choice: Choice,
        now: Instant,
        read: impl FnOnce(&Choice) -> Result<T, String>,
    ) -> Result<&T, &str> {
        let known = self.0.iter().position(|set| set.choice == choice).map(|place| self.0.remove(place));
        let is_good = |set: &Set<T>| set.rules.is_ok() || now.duration_since(set.read) < RETRY;
        let set = known.filter(is_good).unwrap_or_else(|| {
            if self.0.len() >= MAX_SETS {
                self.0.remove(0);
            }
            Set { rules: read(&choice), choice, read: now }
        });
        self.0.push(set);
        match self.0.last().map(|set| &set.rules) {
            Some(Ok(rules)) => Ok(rules),
            Some(Err(why)) => Err(why),
            None => Err("no rules are kept"),
        }
    }
}

#[cfg(test)]
mod tests;
