// SPDX-License-Identifier: Apache-2.0
//! `addon export|import|clone|restore|upgrade`: all that an addon holds, carried somewhere else.

use super::create::{retire_unused, server_for, version};
use super::{bind, driver, find, owned, password, provision};
use crate::server::{Server, internal};
use crate::store::Addon;
use crate::verb::change::with_lock;
use hop3_core::addon::{AddonServer, Credential, KindFacts, WantedAddon};
use hop3_core::api::{
    AddonInfo, CreateAddonRequest, DestroyAddonRequest, RestoreAddonRequest, UpgradeAddonRequest,
};
use hop3_core::driver::Addon as Driver;
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use std::io::{Read, Write};
use std::sync::Arc;

pub(crate) fn export(server: &Server, name: &AddonName, to: &mut dyn Write) -> Result<(), Problem> {
    let addon = find(server, name)?;
    let driver = driver(server, &addon.wanted.server.kind)?;
    check(&driver.facts())?;
    driver.backup(&addon.wanted, None, to)
}

pub(crate) fn import(server: &Server, name: &AddonName, from: &mut dyn Read) -> Result<(), Problem> {
    let addon = find(server, name)?;
    let driver = driver(server, &addon.wanted.server.kind)?;
    check(&driver.facts())?;
    server.addon_turn(&addon.wanted.server.name, || driver.restore(&addon.wanted, from))
}

pub(crate) fn check(facts: &KindFacts) -> Result<(), Problem> {
    if facts.capabilities.backs_up {
        return Ok(());
    }
    let title = format!("{} keeps nothing that could be carried away", facts.title);
    Err(Problem::new(Kind::User, "addon.holds-nothing", title))
}

/// A second addon with the same contents, as of one moment.
pub(crate) fn clone(server: &Arc<Server>, from: &AddonName, to: &AddonName) -> Result<AddonInfo, Problem> {
    copy(server, from, None, to)
}

/// Brings an addon, or a new one, to what the addon held at a past moment.
pub(crate) fn restore(
    server: &Arc<Server>,
    name: &AddonName,
    request: &RestoreAddonRequest,
) -> Result<AddonInfo, Problem> {
    let addon = find(server, name)?;
    let driver = driver(server, &addon.wanted.server.kind)?;
    let facts = driver.facts();
    if !facts.capabilities.remembers {
        let title = format!("{} does not remember what it held", facts.title);
        return Err(Problem::new(Kind::NotFound, "addon.no-history", title)
            .hint("restore a backup: hop3 backup list"));
    }
    let moment = Some(request.as_of_ms);
    if let Some(to) = &request.name {
        return copy(server, name, moment, to);
    }
    server.addon_turn(&addon.wanted.server.name, || {
        carry(driver.as_ref(), (&addon.wanted, moment), &addon.wanted)
    })?;
    super::info(server, name)
}

fn copy(
    server: &Arc<Server>,
    from: &AddonName,
    as_of_ms: Option<u64>,
    to: &AddonName,
) -> Result<AddonInfo, Problem> {
    let original = find(server, from)?;
    let driver = driver(server, &original.wanted.server.kind)?;
    check(&driver.facts())?;
    let request = CreateAddonRequest {
        name: to.clone(),
        kind: original.wanted.server.kind.clone(),
        version: Some(original.wanted.server.version.clone()),
        dedicated: !original.is_shared,
        options: original.wanted.settings.clone(),
        secret: None,
    };
    super::create(server, &request)?;
    let copy = find(server, to)?;
    let carried = server.addon_turn(&copy.wanted.server.name, || {
        carry(driver.as_ref(), (&original.wanted, as_of_ms), &copy.wanted)
    });
    if let Err(problem) = carried {
        let confirm = to.to_string();
        super::destroy(server, to, &DestroyAddonRequest { confirm, now: true })?;
        return Err(problem);
    }
    super::info(server, to)
}

/// Backs one up into the other, without a copy on disk between them.
fn carry(
    driver: &dyn Driver,
    (from, as_of_ms): (&WantedAddon, Option<u64>),
    to: &WantedAddon,
) -> Result<(), Problem> {
    let (mut reader, mut writer) = std::io::pipe().map_err(internal)?;
    std::thread::scope(|scope| {
        let read = scope.spawn(move || driver.backup(from, as_of_ms, &mut writer));
        let written = driver.restore(to, &mut reader);
        drop(reader);
        let read = read.join().unwrap_or_else(|_| Err(internal(anyhow::anyhow!("a backup panicked"))));
        // When both failed, the one that read tells why the other had nothing.
        read.and(written)
    })
}

/// Moves an addon to a server of another version. Nobody comes in while it is carried, so that nothing is written that
/// would stay behind; bound apps are told where it is when it is whole.
pub(crate) fn upgrade(
    server: &Arc<Server>,
    name: &AddonName,
    request: &UpgradeAddonRequest,
) -> Result<AddonInfo, Problem> {
    let addon = find(server, name)?;
    let driver = driver(server, &addon.wanted.server.kind)?;
    let facts = driver.facts();
    check(&facts)?;
    let version = version(&facts, Some(&request.version))?;
    if version == addon.wanted.server.version {
        return super::info(server, name);
    }
    let home = server_for(server, &facts, &version, addon.is_shared)?;
    let moved = server.addon_turn(&home.name, || move_to(server, driver.as_ref(), &addon, &home));
    if let Err(problem) = moved {
        retire_unused(server, &home)?;
        return Err(problem);
    }
    for (app, _) in server.store.apps_of_addon(addon.id).map_err(internal)? {
        with_lock(server, &app.name, |app| {
            bind::tell(server, &app, &format!("Upgrade {name} to {version}"))
        })?;
    }
    if addon.is_shared {
        server.addon_turn(&addon.wanted.server.name, || driver.destroy(&addon.wanted))?;
    }
    retire_unused(server, &addon.wanted.server)?;
    super::info(server, name)
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
