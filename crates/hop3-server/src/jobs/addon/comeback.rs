// SPDX-License-Identifier: Apache-2.0
//! Servers that come back, and the apps that gave up meanwhile: many end when they cannot reach their database, and one
//! that replays a long log is away for longer than an app is tried. They are started again once it answers.

use crate::reconcile;
use crate::server::{Server, internal};
use crate::store::{Addon, App};
use crate::verb::addon as verb;
use hop3_core::name::ServerName;
use hop3_core::problem::Problem;
use hop3_core::workload::InstanceState;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An app may give up so long after its server answers: it was in the middle of a try.
const AFTERMATH: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Comebacks {
    /// The processes that each server was at the last look.
    seen: HashMap<ServerName, Vec<u32>>,
    /// Servers that are another process since, and when they answered.
    recent: HashMap<ServerName, Option<Instant>>,
}

impl Comebacks {
    pub(super) fn look(&mut self, server: &Arc<Server>) -> Result<(), Problem> {
        for home in server.store.addon_servers().map_err(internal)?.into_iter().filter(|home| home.port != 0)
        {
            // A supervisor that is being started again gives no answer; the next look will.
            let Ok(kept) = server.drivers.daemons.status(&home.name) else { continue };
            let is_way_in = |process: &str| matches!(process, "server" | "pooler");
            let ways = kept.iter().filter(|daemon| is_way_in(&daemon.process));
            let pids: Vec<u32> = ways.filter_map(|daemon| daemon.pid).collect();
            if self.seen.insert(home.name.clone(), pids.clone()) != Some(pids) {
                self.recent.insert(home.name, None);
            }
        }
        if self.recent.is_empty() {
            return Ok(());
        }
        let mut addons = verb::all(server)?;
        addons.retain(|addon| addon.destroyed_ms.is_none());
        self.recent.retain(|home, answered| {
            let lives_there: Vec<&Addon> =
                addons.iter().filter(|addon| addon.wanted.server.name == *home).collect();
            let Some(any) = lives_there.first() else { return false };
            if answered.is_none() && is_up(server, any) {
                *answered = Some(Instant::now());
            }
            let Some(since) = answered else { return true };
            lives_there.iter().for_each(|addon| super::tell(revive(server, addon)));
            since.elapsed() < AFTERMATH
        });
        Ok(())
    }
}

fn is_up(server: &Server, addon: &Addon) -> bool {
    let status =
        verb::driver(server, &addon.wanted.server.kind).and_then(|driver| driver.status(&addon.wanted));
    status.is_ok_and(|status| status.is_up)
}

/// Starts what was given up of the apps that know an addon, or never came up without it.
fn revive(server: &Arc<Server>, addon: &Addon) -> Result<(), Problem> {
    let apps = server.store.apps_of_addon(addon.id).map_err(internal)?;
    let runs = |(app, _): &(App, _)| !app.stopped && app.current.is_some();
    for (app, _) in apps.into_iter().filter(runs) {
        let instances = server.drivers.runtime.status(Some(&app.name))?;
        if app.asleep.is_none() && instances.iter().all(|instance| Some(instance.release) != app.current) {
            reconcile::repair_missing(server)?;
        }
        let is_given_up = |state, release| state == InstanceState::Crashed && Some(release) == app.current;
        for instance in instances.iter().filter(|i| is_given_up(i.state, i.release)) {
            server.drivers.runtime.restart(&app.name, &instance.id)?;
        }
    }
    Ok(())
}
