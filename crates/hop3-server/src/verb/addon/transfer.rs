// SPDX-License-Identifier: Apache-2.0
//! `addon export|import|clone|restore`: all that an addon holds, carried somewhere else.

use super::{driver, find};
use crate::server::{Server, internal};
use hop3_core::addon::{KindFacts, WantedAddon, WantedTable};
use hop3_core::api::{AddonInfo, CreateAddonRequest, DestroyAddonRequest, RestoreAddonRequest};
use hop3_core::driver::{Addon as Driver, Tables, holds_nothing};
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use std::io::{Read, Write};
use std::sync::Arc;

pub(crate) fn export(server: &Server, name: &AddonName, to: &mut dyn Write) -> Result<(), Problem> {
    let addon = find(server, name)?;
    let driver = driver(server, &addon.wanted.server.kind)?;
    check(&driver.facts(), &addon.wanted.server.version)?;
    driver.backup(&addon.wanted, None, to)
}

/// Reads back what was written, or one table of it.
pub(crate) fn import(
    server: &Server,
    name: &AddonName,
    table: Option<&WantedTable>,
    from: &mut dyn Read,
) -> Result<(), Problem> {
    let addon = find(server, name)?;
    let driver = driver(server, &addon.wanted.server.kind)?;
    check(&driver.facts(), &addon.wanted.server.version)?;
    server.addon_turn(&addon.wanted.server.name, || match table {
        Some(table) => tables(driver.as_ref())?.restore_table(&addon.wanted, table, from),
        None => driver.restore(&addon.wanted, from),
    })
}

/// What reads one table out of what such an addon wrote.
pub(crate) fn tables(driver: &dyn Driver) -> Result<&dyn Tables, Problem> {
    driver.tables().ok_or_else(|| {
        let title = format!("no table can be read out of a backup of {}", driver.facts().title);
        Problem::new(Kind::User, "addon.no-tables", title)
            .hint("bring the whole addon beside: hop3 backup restore BACKUP --addon NAME --as NEW")
    })
}

pub(crate) fn check(facts: &KindFacts, version: &str) -> Result<(), Problem> {
    if facts.can(version).backs_up { Ok(()) } else { Err(holds_nothing(facts)) }
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
    if !facts.can(&addon.wanted.server.version).remembers {
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
    check(&driver.facts(), &original.wanted.server.version)?;
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
pub(super) fn carry(
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
