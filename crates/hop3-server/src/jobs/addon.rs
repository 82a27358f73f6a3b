// SPDX-License-Identifier: Apache-2.0
//! Addons: their servers run, from the start of this server on and whatever happens to them; what was destroyed goes
//! when its time is over; a password that was replaced ends even if the server ended in the middle of it; apps that
//! gave up while their server was away are started again.

mod comeback;

use crate::server::{Server, internal};
use crate::verb::addon as verb;
use comeback::Comebacks;
use hop3_core::Problem;
use hop3_core::addon::AddonServer;
use hop3_core::workload::InstanceState;
use std::sync::Arc;
use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(5);

/// Servers that keep a history do what it needs so often, in rounds.
const UPKEEP_ROUNDS: u64 = 720;

pub(super) fn run(server: &Arc<Server>) {
    tell(keep_all(server, true));
    tell(finish(server));
    let mut comebacks = Comebacks::default();
    for round in 1_u64.. {
        tell(comebacks.look(server));
        tell(verb::forget_destroyed(server));
        std::thread::sleep(PAUSE);
        tell(keep_all(server, round % UPKEEP_ROUNDS == 0));
    }
}

fn tell(outcome: Result<(), Problem>) {
    if let Err(problem) = outcome {
        tracing::warn!(problem = problem.title, detail = problem.detail, "addons");
    }
}

/// Starts every server that is not kept; those that keep a history or have a pooler are also looked after now and then.
/// Each on its own: one that replays a long log keeps no other waiting.
fn keep_all(server: &Arc<Server>, upkeep: bool) -> Result<(), Problem> {
    let servers = server.store.addon_servers().map_err(internal)?;
    std::thread::scope(|scope| {
        for home in servers.iter().filter(|home| home.port != 0) {
            // A supervisor that is being started again gives no answer; the next look will.
            let needs_us = server.drivers.daemons.status(&home.name).is_ok_and(|kept| {
                // One that stands still waits for somebody who is gone, or is let go by him.
                kept.is_empty() || kept.iter().any(|daemon| daemon.state == InstanceState::Frozen)
            });
            let has_more = home.settings.contains_key("history") || home.pooler.is_some();
            if needs_us || (upkeep && has_more) {
                scope.spawn(|| tell(keep(server, home)));
            }
        }
    });
    Ok(())
}

fn keep(server: &Server, home: &AddonServer) -> Result<(), Problem> {
    let home = verb::with_users(server, home.clone());
    // One that is just being made, or given up, has no addon yet, or none any more.
    server.addon_turn(&home.name, || match server.store.has_addons(&home.name).map_err(internal)? {
        true => verb::driver(server, &home.kind)?.serve(&home),
        false => Ok(()),
    })
}

/// Ends what the last server left in its middle, where apps may know what is no more, or nobody may come in. What takes
/// long is a release of each app.
fn finish(server: &Arc<Server>) -> Result<(), Problem> {
    for addon in verb::all(server)?.into_iter().filter(|addon| addon.destroyed_ms.is_none()) {
        let (server, is_rotating) = (Arc::clone(server), addon.wanted.credentials.len() > 1);
        let is_leaving = verb::is_ending(&addon);
        if addon.other_home.is_none() && !is_rotating && !is_leaving {
            continue;
        }
        let end = move || {
            tell(verb::settle(&server, &addon.wanted.name));
            if is_rotating {
                tell(verb::resume(&server, &addon));
            }
            if is_leaving {
                tell(verb::leave(&server, &addon));
            }
        };
        std::thread::Builder::new().name("finish".into()).spawn(end).map_err(internal)?;
    }
    Ok(())
}
