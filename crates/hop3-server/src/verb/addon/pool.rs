// SPDX-License-Identifier: Apache-2.0
//! The option `pool`: a server gets what its pooler needs when the first addon asks for one. One that is taken back
//! ends when no app is led to it any more.

use super::create::{Options, free_port};
use super::{find, provision, told, with_users};
use crate::server::{Server, internal};
use crate::store::Addon;
use hop3_core::addon::{AddonServer, KindFacts, POOL_ENDING, POOL_OPTION, Pooler};
use hop3_core::name::AddonName;
use hop3_core::problem::Problem;
use std::sync::{Arc, PoisonError};

/// Gives a server a user and a port for a pooler, where an addon with these options needs one.
pub(super) fn make_room(
    server: &Server,
    facts: &KindFacts,
    home: AddonServer,
    options: &Options,
) -> Result<AddonServer, Problem> {
    if home.pooler.is_some() || !facts.capabilities.pools || !is_wanted(options) {
        return Ok(home);
    }
    let _choosing = server.choosing_addon_server.lock().unwrap_or_else(PoisonError::into_inner);
    let pooler = Pooler { user: Some(server.store.next_uid().map_err(internal)?), port: free_port(server)? };
    let pooler = server.store.give_pooler(&home.name, &pooler).map_err(internal)?;
    Ok(with_users(server, AddonServer { pooler: Some(pooler), ..home }))
}

fn is_wanted(options: &Options) -> bool {
    options.get(POOL_OPTION).is_some_and(|value| !value.is_empty() && value != POOL_ENDING)
}

pub(crate) fn is_ending(addon: &Addon) -> bool {
    addon.wanted.settings.get(POOL_OPTION).is_some_and(|value| value == POOL_ENDING)
}

/// What nobody may ask for is as nothing.
pub(super) fn tidy(options: &mut Options) {
    if let Some(value) = options.get_mut(POOL_OPTION).filter(|value| *value == POOL_ENDING) {
        value.clear();
    }
}

/// A pooler that is taken back stays until apps know the server.
pub(super) fn linger(before: &Options, after: &mut Options) {
    if before.contains_key(POOL_OPTION) && !after.contains_key(POOL_OPTION) {
        after.insert(POOL_OPTION.to_owned(), POOL_ENDING.to_owned());
    }
}

/// Leads the apps of an addon to its server itself, and then ends its pooler.
pub(crate) fn leave(server: &Arc<Server>, addon: &Addon) -> Result<(), Problem> {
    let apps = told::tell_all(server, addon, &format!("No pooler for {}", addon.wanted.name))?;
    told::when_unused(server, addon, apps, end)
}

fn end(server: &Server, name: &AddonName) -> Result<(), Problem> {
    let home = find(server, name)?.wanted.server.name;
    server.addon_turn(&home, || {
        let mut addon = find(server, name)?;
        if !is_ending(&addon) {
            return Ok(());
        }
        addon.wanted.settings.remove(POOL_OPTION);
        provision(server, &addon)?;
        server.store.set_addon_settings(addon.id, &addon.wanted.settings).map_err(internal)
    })
}
