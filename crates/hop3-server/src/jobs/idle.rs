// SPDX-License-Identifier: Apache-2.0
//! Idle: puts apps to sleep that nobody has asked for long enough. The proxy counts requests; here is noted when the
//! count last moved, so that requests pay nothing for it. A request or an upgraded connection under way is activity, and
//! so is a new release.

use crate::server::Server;
use crate::sleep;
use crate::store::App;
use hop3_core::driver::Traffic;
use hop3_core::name::AppName;
use hop3_core::problem::Problem;
use hop3_core::release::ReleaseNumber;
use hop3_core::sleep::Sleep;
use std::collections::HashMap;
use std::sync::{Arc, TryLockError};
use std::time::{Duration, Instant};

/// Between two looks: half of the shortest time that an app asks for, within these.
const PAUSE: std::ops::RangeInclusive<Duration> = Duration::from_millis(250)..=Duration::from_secs(5);

/// What was seen of an app at the last look, and since when it is the same.
struct Sight {
    requests: u64,
    current: Option<ReleaseNumber>,
    asleep: Option<Sleep>,
    since: Instant,
}

impl Sight {
    fn new(app: &App, traffic: Traffic) -> Sight {
        Sight { requests: traffic.requests, current: app.current, asleep: app.asleep, since: Instant::now() }
    }

    /// A request came, a release was made, or somebody woke it.
    fn is_other_than(&self, now: &Sight) -> bool {
        self.requests != now.requests || self.current != now.current || self.asleep > now.asleep
    }
}

type Seen = HashMap<AppName, Sight>;

pub(super) fn run(server: &Arc<Server>) {
    let mut seen = Seen::new();
    loop {
        std::thread::sleep(look(server, &mut seen));
    }
}

/// Gives the time until the next look.
fn look(server: &Arc<Server>, seen: &mut Seen) -> Duration {
    // A proxy that is being started again gives no answer; the next look will.
    let Ok(status) = server.drivers.proxy.status() else { return *PAUSE.start() };
    seen.retain(|name, _| status.on_demand.contains_key(name.as_str()));
    let mut pause = *PAUSE.end();
    for (name, traffic) in status.on_demand {
        let Ok(name) = name.parse::<AppName>() else { continue };
        let considered = server.app(&name).and_then(|app| {
            let idle = idle(seen, &app, traffic);
            consider(server, &app, idle)
        });
        match considered {
            Ok(Considered { first, was_busy }) => {
                pause = pause.min(first.unwrap_or(pause) / 2);
                if was_busy {
                    seen.remove(&name);
                }
            }
            Err(problem) => tracing::warn!(app = %name, problem = problem.title, "not put to sleep"),
        }
    }
    pause.max(*PAUSE.start())
}

fn idle(seen: &mut Seen, app: &App, traffic: Traffic) -> Duration {
    let mut now = Sight::new(app, traffic);
    if let Some(before) =
        seen.get(&app.name).filter(|before| traffic.in_flight == 0 && !before.is_other_than(&now))
    {
        now.since = before.since;
    }
    let idle = now.since.elapsed();
    seen.insert(app.name.clone(), now);
    idle
}

#[derive(Default)]
struct Considered {
    /// The shortest time after which this app does anything.
    first: Option<Duration>,
    was_busy: bool,
}

fn consider(server: &Arc<Server>, app: &App, idle: Duration) -> Result<Considered, Problem> {
    let Some(number) = app.current.filter(|_| !app.stopped && app.asleep != Some(Sleep::Stopped)) else {
        return Ok(Considered::default());
    };
    let release = server.store.release(app, number).map_err(crate::server::internal)?;
    let files = release.and_then(|release| release.artifact.processes.sleep);
    let Some(times) = sleep::times(app, files) else { return Ok(Considered::default()) };
    let first = times.first();
    let Some(level) = times.due(idle).filter(|level| app.asleep < Some(*level)) else {
        return Ok(Considered { first, was_busy: false });
    };
    let lock = server.lock_of(app);
    let _held = match lock.try_lock() {
        Ok(held) => held,
        Err(TryLockError::Poisoned(held)) => held.into_inner(),
        // Somebody changes it: a deployment wants its instances awake.
        Err(TryLockError::WouldBlock) => return Ok(Considered { first, was_busy: true }),
    };
    let was_busy = !sleep::rest(server, app, level)?;
    Ok(Considered { first, was_busy })
}
