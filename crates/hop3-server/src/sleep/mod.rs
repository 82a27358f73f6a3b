// SPDX-License-Identifier: Apache-2.0
//! Scale to zero: the web process of an app that nobody asks is frozen or stopped, and the next request brings it back.
//!
//! ```text
//!             nobody asks (jobs/idle)                        a request (listen) or a person
//! awake ──▶ out of the table ──▶ nothing on it? ──▶ frozen or stopped ──▶ up, healthy, in the table ──▶ awake
//!                 │ requests are held from here on    │ no: back
//! ```
//! Invariants: who changes where an app's requests go holds its turn (`Server::turn_of`); what sleeps is not in the
//! table. The store says first that an app sleeps and last that it is awake, so a server that died in between believes
//! too often that an app sleeps, which a request repairs, and never that a frozen one answers.

mod listen;
mod rest;
mod wake;

pub(crate) use listen::listen;
pub(crate) use rest::rest;
pub(crate) use wake::wake;

use crate::store::App;
use hop3_core::name::ProcessName;
use hop3_core::sleep::{Sleep, SleepTimes};
use hop3_core::workload::{Instance, InstanceState};

/// When the web process may sleep, if ever. What people asked for wins over what the release's files say.
pub(crate) fn times(app: &App, files: Option<SleepTimes>) -> Option<SleepTimes> {
    match app.sleep.ranges.get(&ProcessName::web()) {
        Some(range) if range.least > 0 || range.most == 0 => None,
        None if files.is_none() => None,
        _ => Some(app.sleep.times.or(files.unwrap_or_default())),
    }
}

/// Tells whether a server that starts may go on believing that the app sleeps. One that is stopped and has an instance
/// was being woken, or put to sleep: it is not in the table until it was seen healthy.
pub(crate) fn is_so(level: Sleep, app: &App, instances: &[Instance]) -> bool {
    let mut web = of_web(app, instances).peekable();
    match level {
        Sleep::Stopped => true,
        Sleep::Frozen => web.peek().is_some() && web.all(|i| i.state == InstanceState::Frozen),
    }
}

/// The web instances of the current release.
fn of_web<'i>(app: &App, instances: &'i [Instance]) -> impl Iterator<Item = &'i Instance> {
    let current = app.current;
    instances.iter().filter(move |i| Some(i.release) == current && i.process == ProcessName::web())
}
