// SPDX-License-Identifier: Apache-2.0
//! Crowd: between the least and the most of a range, another web instance when the present ones have much to do, and one
//! less when they have little. The two bounds lie apart, so that the number does not swing.

use crate::server::Server;
use crate::store::App;
use crate::verb;
use hop3_core::name::ProcessName;
use hop3_core::sleep::Range;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// More requests under way than this for each instance, for so long: one more.
const GROW_ABOVE: u64 = 10;
const GROW_AFTER: Duration = Duration::from_secs(3);
/// As many or fewer for each of those that would be left, for so long: one less.
const SHRINK_AT: u64 = 5;
const SHRINK_AFTER: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_secs(1);
/// While no app has a range.
const LONG_PAUSE: Duration = Duration::from_secs(5);

pub(super) fn run(server: &Arc<Server>) {
    let mut trends = HashMap::new();
    loop {
        let apps = ranged(server);
        std::thread::sleep(if apps.is_empty() { LONG_PAUSE } else { PAUSE });
        trends.retain(|id, _| apps.iter().any(|(app, _)| app.id == *id));
        // A proxy that is being started again gives no answer; the next look will.
        let Ok(status) = server.drivers.proxy.status() else { continue };
        for (app, range) in apps {
            let Some(traffic) = status.on_demand.get(app.name.as_str()) else { continue };
            let trend: &mut Trend = trends.entry(app.id).or_default();
            let count = app.count(&ProcessName::web());
            if let Some(to) = trend.judge(traffic.in_flight, (count, range), Instant::now()) {
                resize(server, &app, to);
            }
        }
    }
}

/// Apps that are awake and may have another number of instances.
fn ranged(server: &Server) -> Vec<(App, Range)> {
    let apps = server.store.apps().unwrap_or_default().into_iter();
    let awake = apps.filter(|app| !app.stopped && app.current.is_some() && app.asleep.is_none());
    let range = |app: &App| app.sleep.ranges.get(&ProcessName::web()).copied();
    let ranged = awake.filter_map(|app| range(&app).map(|range| (app, range)));
    ranged.filter(|(_, range)| range.most > range.least.max(1)).collect()
}

fn resize(server: &Arc<Server>, app: &App, to: u32) {
    let lock = server.lock_of(app);
    let _held = match lock.try_lock() {
        Ok(held) => held,
        Err(TryLockError::Poisoned(held)) => PoisonError::into_inner(held),
        // Somebody changes it; the next look will find what became of it.
        Err(TryLockError::WouldBlock) => return,
    };
    if let Err(problem) = verb::change::resize(server, &app.name, to) {
        tracing::warn!(app = %app.name, problem = problem.title, "not scaled");
    }
}

/// Since when an app has had much, or little, to do.
#[derive(Default)]
struct Trend {
    crowded: Option<Instant>,
    quiet: Option<Instant>,
}

impl Trend {
    /// The number of instances to have instead of `count`.
    fn judge(&mut self, in_flight: u64, (count, range): (u32, Range), now: Instant) -> Option<u32> {
        let is_crowded = in_flight > GROW_ABOVE * u64::from(count) && count < range.most;
        let left = count.saturating_sub(1);
        let is_quiet = in_flight <= SHRINK_AT * u64::from(left) && left >= range.least.max(1);
        let lasts = |since: &mut Option<Instant>, is_so: bool, long: Duration| {
            *since = since.filter(|_| is_so).or(is_so.then_some(now));
            since.is_some_and(|since| now - since >= long)
        };
        let grows = lasts(&mut self.crowded, is_crowded, GROW_AFTER);
        let shrinks = lasts(&mut self.quiet, is_quiet, SHRINK_AFTER);
        let to = if grows {
            count + 1
        } else if shrinks {
            left
        } else {
            return None;
        };
        *self = Trend::default();
        Some(to)
    }
}

#[cfg(test)]
mod tests;
