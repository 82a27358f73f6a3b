// SPDX-License-Identifier: Apache-2.0
//! `addon credentials rotate|set`: a new password without a moment in which an app has none that is valid.
//!
//! Both are valid first; every bound app gets a release with the new one; the old one ends when no instance that was
//! started with it is left.

use super::{driver, find, password, provision, told};
use crate::server::{Server, internal};
use crate::store::Addon;
use hop3_core::api::{AddonInfo, RotateAddonRequest, SetCredentialsRequest};
use hop3_core::event::Event;
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::secret::Secret;
use std::sync::Arc;

pub(crate) fn rotate(
    server: &Arc<Server>,
    name: &AddonName,
    request: &RotateAddonRequest,
) -> Result<AddonInfo, Problem> {
    let addon = find(server, name)?;
    let facts = driver(server, &addon.wanted.server.kind)?.facts();
    let can = facts.can(&addon.wanted.server.version);
    if !can.rotates {
        let title = format!("{} has no password that Hop3 could change", facts.title);
        let problem = Problem::new(Kind::User, "addon.cannot-rotate", title);
        return Err(match can.takes_secret {
            true => problem.hint(format!("give it another: hop3 addon credentials set {name} --secret")),
            false => problem,
        });
    }
    replace(server, &addon, &password()?, request.now)
}

/// Another secret of the operator's in the place of the one that there is.
pub(crate) fn set(
    server: &Arc<Server>,
    name: &AddonName,
    request: &SetCredentialsRequest,
) -> Result<AddonInfo, Problem> {
    let addon = find(server, name)?;
    let facts = driver(server, &addon.wanted.server.kind)?.facts();
    if !facts.can(&addon.wanted.server.version).takes_secret {
        let title = format!("{} takes no secret: Hop3 makes its passwords", facts.title);
        return Err(Problem::new(Kind::User, "addon.no-secret", title)
            .hint(format!("let it make another: hop3 addon credentials rotate {name}")));
    }
    replace(server, &addon, &request.secret, request.now)
}

/// Adds a credential, tells every bound app, and ends the former ones once nobody uses them.
fn replace(
    server: &Arc<Server>,
    addon: &Addon,
    password: &Secret<String>,
    now: bool,
) -> Result<AddonInfo, Problem> {
    let name = &addon.wanted.name;
    let fresh = server.addon_turn(&addon.wanted.server.name, || add(server, name, password))?;
    hand_over(server, &fresh, now)?;
    super::info(server, name)
}

/// Goes on with what a server left in its middle: its apps may not have been told.
pub(crate) fn resume(server: &Arc<Server>, addon: &Addon) -> Result<(), Problem> {
    hand_over(server, addon, false)
}

fn hand_over(server: &Arc<Server>, addon: &Addon, now: bool) -> Result<(), Problem> {
    let name = &addon.wanted.name;
    let apps = told::tell_all(server, addon, &format!("Rotate {name}"))?;
    server.record(None, None, Event::AddonRotated { addon: name.clone() });
    if now { drop_former(server, name) } else { told::when_unused(server, addon, apps, drop_former) }
}

/// Adds a credential; the former ones stay valid.
fn add(server: &Server, name: &AddonName, password: &Secret<String>) -> Result<Addon, Problem> {
    let addon = find(server, name)?;
    let number = addon.wanted.credential().user.rsplit('_').next().and_then(|n| n.parse::<u32>().ok());
    let user = format!("{}_{}", addon.wanted.database, number.unwrap_or(0) + 1);
    server.store.add_credential(addon.id, &user, password).map_err(internal)?;
    let fresh = find(server, name)?;
    if let Err(problem) = provision(server, &fresh) {
        server.store.remove_credential(addon.id, &user).map_err(internal)?;
        return Err(problem);
    }
    Ok(fresh)
}

/// Leaves only the newest credential.
fn drop_former(server: &Server, name: &AddonName) -> Result<(), Problem> {
    let home = find(server, name)?.wanted.server.name;
    server.addon_turn(&home, || {
        let addon = find(server, name)?;
        let (newest, former) = match addon.wanted.credentials.split_last() {
            Some((newest, former)) if !former.is_empty() => (newest.clone(), former.to_vec()),
            _ => return Ok(()),
        };
        let mut alone = addon.clone();
        alone.wanted.credentials = vec![newest];
        provision(server, &alone)?;
        former.iter().try_for_each(|credential| {
            server.store.remove_credential(addon.id, &credential.user).map_err(internal)
        })
    })
}
