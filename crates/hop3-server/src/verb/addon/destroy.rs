// SPDX-License-Identifier: Apache-2.0
//! `addon destroy|recover|protect`. Destroying takes two steps: what was destroyed is kept for days, in which it can be
//! brought back as it was.

use super::create::retire_unused;
use super::{all, driver, find, find_any};
use crate::server::{Server, internal};
use crate::store::{Addon, now_ms};
use hop3_core::api::{AddonInfo, DestroyAddonRequest};
use hop3_core::backup::BackupOf;
use hop3_core::event::Event;
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use std::sync::Arc;

/// How long what was destroyed can be brought back.
const GRACE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// When an addon that was destroyed is gone for good.
pub(super) fn gone_ms(addon: &Addon) -> Option<u64> {
    addon.destroyed_ms.map(|at| at + GRACE_MS)
}

pub(crate) fn destroy(
    server: &Arc<Server>,
    name: &AddonName,
    request: &DestroyAddonRequest,
) -> Result<(), Problem> {
    let addon = find_any(server, name)?;
    if request.confirm != name.as_str() {
        let title = format!("destroying \"{name}\" is not confirmed");
        return Err(Problem::new(Kind::User, "addon.not-confirmed", title)
            .hint(format!("hop3 addon destroy {name} --confirm {name}")));
    }
    check_unused(server, &addon)?;
    super::expose::close(server, &addon)?;
    // What was backed up stays; nothing more is.
    server.store.remove_backup_schedule(&BackupOf::Addon(name.clone())).map_err(internal)?;
    let now = now_ms();
    if addon.destroyed_ms.is_none() {
        server.store.set_destroyed(addon.id, Some(now)).map_err(internal)?;
        let gone_ms = if request.now { now } else { now + GRACE_MS };
        server.record(None, None, Event::AddonDestroyed { addon: name.clone(), gone_ms });
    }
    if request.now { forget(server, &addon) } else { Ok(()) }
}

fn check_unused(server: &Server, addon: &Addon) -> Result<(), Problem> {
    let name = &addon.wanted.name;
    if addon.is_protected {
        return Err(Problem::new(Kind::Conflict, "addon.protected", format!("{name} is protected"))
            .hint(format!("take that away first: hop3 addon protect {name} --off")));
    }
    let apps = server.store.apps_of_addon(addon.id).map_err(internal)?;
    let names: Vec<&str> = apps.iter().map(|(app, _)| app.name.as_str()).collect();
    match names.first() {
        None => Ok(()),
        Some(first) => Err(Problem::new(Kind::Conflict, "addon.bound", format!("{name} is bound to an app"))
            .detail(format!("bound to: {}", names.join(", ")))
            .hint(format!("unbind it first: hop3 addon unbind {name} -a {first}"))),
    }
}

/// Removes what an addon has.
fn forget(server: &Server, addon: &Addon) -> Result<(), Problem> {
    let home = &addon.wanted.server;
    let driver = driver(server, &home.kind)?;
    server.addon_turn(&home.name, || {
        if addon.is_shared {
            driver.destroy(&addon.wanted)?;
        }
        server.store.forget_addon(addon.id).map_err(internal)
    })?;
    retire_unused(server, home)
}

/// Removes those whose time is over.
pub(crate) fn forget_destroyed(server: &Server) -> Result<(), Problem> {
    let is_over = |addon: &Addon| gone_ms(addon).is_some_and(|gone| gone <= now_ms());
    for addon in all(server)?.into_iter().filter(is_over) {
        if let Err(problem) = forget(server, &addon) {
            tracing::warn!(addon = %addon.wanted.name, problem = problem.title, "not removed yet");
        }
    }
    Ok(())
}

/// Brings back what was destroyed.
pub(crate) fn recover(server: &Arc<Server>, name: &AddonName) -> Result<AddonInfo, Problem> {
    let addon = find_any(server, name)?;
    server.store.set_destroyed(addon.id, None).map_err(internal)?;
    super::info(server, name)
}

pub(crate) fn protect(server: &Arc<Server>, name: &AddonName, protected: bool) -> Result<AddonInfo, Problem> {
    let addon = find(server, name)?;
    server.store.set_protected(addon.id, protected).map_err(internal)?;
    super::info(server, name)
}
