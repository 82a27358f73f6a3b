// SPDX-License-Identifier: Apache-2.0
//! Bound apps and what they were told: all of them get a release that knows an addon as it is now, and what only the
//! former instances know ends when none of them is left.

use super::bind;
use crate::server::{Server, internal};
use crate::store::{Addon, App, now_ms};
use crate::verb::change::with_lock;
use hop3_core::name::AddonName;
use hop3_core::problem::Problem;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks for instances that know something old.
const PAUSE: Duration = Duration::from_secs(1);

/// An instance that will not end must not keep it for ever.
const PATIENCE_MS: u64 = 10 * 60 * 1000;

/// Gives every bound app a release; gives those apps.
pub(super) fn tell_all(server: &Arc<Server>, addon: &Addon, reason: &str) -> Result<Vec<App>, Problem> {
    let apps = server.store.apps_of_addon(addon.id).map_err(internal)?;
    for (app, _) in &apps {
        with_lock(server, &app.name, |app| bind::tell(server, &app, reason)).map_err(|problem| {
            let title =
                format!("{} did not take what is new of {}: {}", app.name, addon.wanted.name, problem.title);
            Problem { title, ..problem }.hint("what it knew is valid too; mend the app and do it again")
        })?;
    }
    Ok(apps.into_iter().map(|(app, _)| app).collect())
}

/// Does something once no instance is left that was started before the apps' newest releases.
pub(super) fn when_unused(
    server: &Arc<Server>,
    addon: &Addon,
    apps: Vec<App>,
    then: fn(&Server, &AddonName) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if apps.is_empty() {
        return then(server, &addon.wanted.name);
    }
    let (server, id) = (Arc::clone(server), addon.id);
    let wait = move || {
        await_unused(&server, &apps);
        // It may have another name by now.
        let found = server.store.addon_of(id).ok().flatten();
        if let Some(addon) = found
            && let Err(problem) = then(&server, &addon.wanted.name)
        {
            tracing::warn!(addon = %addon.wanted.name, problem = problem.title, "what is old of it is still valid");
        }
    };
    std::thread::Builder::new().name("unused".into()).spawn(wait).map(drop).map_err(internal)
}

fn await_unused(server: &Server, apps: &[App]) {
    let since = now_ms();
    let is_old = |app: &App| {
        let instances = server.drivers.runtime.status(Some(&app.name)).unwrap_or_default();
        let current = server.app(&app.name).ok().and_then(|app| app.current);
        instances.iter().any(|instance| Some(instance.release) != current)
    };
    while now_ms().saturating_sub(since) < PATIENCE_MS && apps.iter().any(is_old) {
        std::thread::sleep(PAUSE);
    }
}
