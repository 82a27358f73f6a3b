// SPDX-License-Identifier: Apache-2.0
//! `addon upgrade`: an addon moves to a server of another version. Nobody comes in while it is carried, so that nothing
//! is written that would stay behind; bound apps are told where it is when it is whole.
//!
//! The store knows where the other copy lies from before it is made until after it is gone. What a server left in its
//! middle is settled by the next one: the addon is open where the store says that it is, its apps are told, the other
//! copy goes.

use super::create::{server_for, version};
use super::transfer::{carry, check};
use super::{driver, find, owned, password, pool, provision, told, with_users};
use crate::server::{Server, internal};
use crate::store::Addon;
use hop3_core::addon::{AddonServer, Credential, WantedAddon};
use hop3_core::api::{AddonInfo, UpgradeAddonRequest};
use hop3_core::driver::Addon as Driver;
use hop3_core::name::AddonName;
use hop3_core::problem::Problem;
use std::sync::{Arc, PoisonError};

pub(crate) fn upgrade(
    server: &Arc<Server>,
    name: &AddonName,
    request: &UpgradeAddonRequest,
) -> Result<AddonInfo, Problem> {
    // What one of them leaves is what another one settles: one at a time.
    let _moving = server.moving_addon.lock().unwrap_or_else(PoisonError::into_inner);
    settle_in_turn(server, name)?;
    let addon = find(server, name)?;
    let driver = driver(server, &addon.wanted.server.kind)?;
    let facts = driver.facts();
    check(&facts, &addon.wanted.server.version)?;
    let version = version(&facts, Some(&request.version))?;
    check(&facts, &version)?;
    if version == addon.wanted.server.version {
        return super::info(server, name);
    }
    let home = server_for(server, &facts, &version, addon.is_shared)?;
    let home = pool::make_room(server, &facts, home, &addon.wanted.settings)?;
    server.store.begin_move(addon.id, &home.name).map_err(internal)?;
    let moved = server.addon_turn(&home.name, || move_to(server, driver.as_ref(), &addon, &home));
    if let Err(problem) = moved {
        leave(server, &addon, &home)?;
        return Err(problem);
    }
    settle_in_turn(server, name)?;
    super::info(server, name)
}

/// Ends what an upgrade has begun, wherever it was left.
pub(crate) fn settle(server: &Arc<Server>, name: &AddonName) -> Result<(), Problem> {
    let _moving = server.moving_addon.lock().unwrap_or_else(PoisonError::into_inner);
    settle_in_turn(server, name)
}

fn settle_in_turn(server: &Arc<Server>, name: &AddonName) -> Result<(), Problem> {
    let addon = find(server, name)?;
    let Some(other) = addon.other_home.clone() else { return Ok(()) };
    let home = &addon.wanted.server;
    // Exactly those may come in that the store says may: an upgrade let nobody in.
    server.addon_turn(&home.name, || {
        driver(server, &home.kind)?.serve(home)?;
        provision(server, &find(server, name)?)
    })?;
    told::tell_all(server, &find(server, name)?, &format!("Upgrade {name} to {}", home.version))?;
    match server.store.server_named(&other).map_err(internal)? {
        Some(other) => leave(server, &addon, &with_users(server, other)),
        None => Ok(()),
    }
}

/// Removes the copy that lies there, with the server when nobody lives on it.
fn leave(server: &Server, addon: &Addon, other: &AddonServer) -> Result<(), Problem> {
    let _choosing = server.choosing_addon_server.lock().unwrap_or_else(PoisonError::into_inner);
    let driver = driver(server, &other.kind)?;
    server.addon_turn(&other.name, || match server.store.has_addons(&other.name).map_err(internal)? {
        true => driver.destroy(&WantedAddon { server: other.clone(), ..addon.wanted.clone() }),
        false => driver.retire(other),
    })?;
    server.store.end_move(addon.id, &other.name).map_err(internal)
}

fn move_to(server: &Server, driver: &dyn Driver, addon: &Addon, home: &AddonServer) -> Result<(), Problem> {
    let mut moved = addon.clone();
    moved.wanted.server = home.clone();
    let moved = owned(server, moved);
    driver.serve(&moved.wanted.server)?;
    driver.provision(&moved.wanted)?;
    if let Err(problem) =
        closed(driver, &addon.wanted, || carry(driver, (&addon.wanted, None), &moved.wanted))
    {
        let _ = driver.destroy(&moved.wanted);
        return Err(problem);
    }
    server.store.move_addon(addon.id, &home.name).map_err(internal)?;
    provision(server, &moved)
}

/// Does something while nobody can come in; opens again when it fails.
fn closed(
    driver: &dyn Driver,
    addon: &WantedAddon,
    body: impl FnOnce() -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut closed = addon.clone();
    closed.credentials =
        vec![Credential { user: format!("{}_moving", addon.database), password: password()? }];
    driver.provision(&closed)?;
    body().inspect_err(|_| {
        // The first problem is the one to tell.
        let _ = driver.provision(addon);
    })
}
