// SPDX-License-Identifier: Apache-2.0
//! `addon credentials rotate|set`: a new password without a moment in which an app has none that is valid.
//!
//! Both are valid first; every bound app gets a release with the new one; the old one ends when no instance that was
//! started with it is left.

use super::{bind, driver, find, password, provision};
use crate::server::{Server, internal};
use crate::store::{Addon, App, now_ms};
use crate::verb::change::with_lock;
use hop3_core::api::{AddonInfo, RotateAddonRequest, SetCredentialsRequest};
use hop3_core::event::Event;
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::secret::Secret;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks for instances that know an old password.
const PAUSE: Duration = Duration::from_secs(1);

/// An instance that will not end must not keep an old password valid.
const PATIENCE_MS: u64 = 10 * 60 * 1000;

pub(crate) fn rotate(
    server: &Arc<Server>,
    name: &AddonName,
    request: &RotateAddonRequest,
) -> Result<AddonInfo, Problem> {
    let addon = find(server, name)?;
    let facts = driver(server, &addon.wanted.server.kind)?.facts();
    if !facts.capabilities.rotates {
        let title = format!("{} has no password that Hop3 could change", facts.title);
        let problem = Problem::new(Kind::User, "addon.cannot-rotate", title);
        return Err(match facts.capabilities.takes_secret {
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
    if !facts.capabilities.takes_secret {
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
    let apps = server.store.apps_of_addon(addon.id).map_err(internal)?;
    for (app, _) in &apps {
        let told = with_lock(server, &app.name, |app| bind::tell(server, &app, &format!("Rotate {name}")));
        if let Err(problem) = told {
            let title = format!("{} did not take the new password: {}", app.name, problem.title);
            return Err(
                Problem { title, ..problem }.hint("both passwords are valid; mend the app and do it again")
            );
        }
    }
    server.record(None, None, Event::AddonRotated { addon: name.clone() });
    let since = now_ms();
    if now || apps.is_empty() {
        drop_former(server, name)?;
    } else {
        let (server, addon) = (Arc::clone(server), fresh);
        let wait = move || drop_when_unused(&server, &addon, &apps, since);
        std::thread::Builder::new().name("rotate".into()).spawn(wait).map_err(internal)?;
    }
    super::info(server, name)
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
pub(crate) fn drop_former(server: &Server, name: &AddonName) -> Result<(), Problem> {
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

fn drop_when_unused(server: &Server, addon: &Addon, apps: &[(App, crate::store::Bound)], since: u64) {
    let is_old = |(app, _): &(App, _)| {
        let instances = server.drivers.runtime.status(Some(&app.name)).unwrap_or_default();
        let current = server.app(&app.name).ok().and_then(|app| app.current);
        instances.iter().any(|instance| Some(instance.release) != current)
    };
    while now_ms().saturating_sub(since) < PATIENCE_MS && apps.iter().any(is_old) {
        std::thread::sleep(PAUSE);
    }
    // It may have another name by now.
    let found = server.store.addon_of(addon.id).ok().flatten();
    if let Some(addon) = found
        && let Err(problem) = drop_former(server, &addon.wanted.name)
    {
        tracing::warn!(addon = %addon.wanted.name, problem = problem.title, "old password still valid");
    }
}
