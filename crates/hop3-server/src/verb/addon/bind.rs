// SPDX-License-Identifier: Apache-2.0
//! `addon bind|unbind|promote`, and what an app is told of its addons.
//!
//! Variables are not copied into releases: they are looked up whenever a process is about to be started. A password
//! that was changed reaches the app with its next release, and a rollback never brings an old one back.

use super::{driver, find};
use crate::deploy::{self, Change, Context};
use crate::server::{Server, internal};
use crate::store::{Addon, App, Bound};
use crate::verb::change::{changing, with_lock};
use hop3_core::addon::Binding;
use hop3_core::api::{BindRequest, ReleaseMade};
use hop3_core::event::Event;
use hop3_core::name::{AddonName, EnvKey};
use hop3_core::problem::{Kind, Problem};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything an app's processes are told of its addons: each under its prefix, the primary of each slot also under
/// the plain names.
pub(crate) fn environment(server: &Server, app: &App) -> Result<BTreeMap<EnvKey, String>, Problem> {
    let mut environment = BTreeMap::new();
    for bound in server.store.bindings(app).map_err(internal)? {
        let addon = server.store.addon_of(bound.addon).map_err(internal)?;
        let Some(binding) = addon.and_then(|addon| addon.binding) else { continue };
        environment.extend(variables(&bound, &binding));
    }
    Ok(environment)
}

/// What one bound addon says.
pub(crate) fn variable(
    server: &Server,
    app: &App,
    name: &AddonName,
    key: &EnvKey,
) -> Result<String, Problem> {
    let Some(addon) = known_as(server, app, name)? else {
        return Err(not_bound(app, &find(server, name)?.wanted.name));
    };
    let variables = addon.binding.map(|binding| binding.variables).unwrap_or_default();
    variables.get(key).map(|value| value.expose().clone()).ok_or_else(|| {
        let names: Vec<&str> = variables.keys().map(EnvKey::as_str).collect();
        Problem::new(Kind::Config, "addon.no-variable", format!("the addon {name} has no variable {key}"))
            .detail(format!("it has: {}", names.join(", ")))
    })
}

/// The bound addon that an app's files call so: by its name, or, in a copy of the app and after a renaming, by the names
/// of its variables, which stay.
pub(super) fn known_as(server: &Server, app: &App, name: &AddonName) -> Result<Option<Addon>, Problem> {
    let mut called_so = None;
    for bound in server.store.bindings(app).map_err(internal)? {
        let Some(addon) = server.store.addon_of(bound.addon).map_err(internal)? else { continue };
        if addon.wanted.name == *name {
            return Ok(Some(addon));
        }
        if bound.prefix == usual_prefix(name) {
            called_so = Some(addon);
        }
    }
    Ok(called_so)
}

/// `SHOP_DB` of `shop-db`.
fn usual_prefix(name: &AddonName) -> String {
    name.as_str().to_uppercase().replace('-', "_")
}

fn variables(bound: &Bound, binding: &Binding) -> Vec<(EnvKey, String)> {
    let plain = binding.variables.iter().filter(|_| bound.is_primary);
    let plain = plain.map(|(key, value)| (key.clone(), value.expose().clone()));
    let prefixed = binding.variables.iter().filter_map(|(key, value)| {
        let key = format!("{}_{}", bound.prefix, short(key.as_str()));
        // Too long a name is left out rather than cut: a cut one could be another's.
        Some((key.parse().ok()?, value.expose().clone()))
    });
    plain.chain(prefixed).collect()
}

/// `SHOP_DB_URL`, not `SHOP_DB_DATABASE_URL`.
fn short(key: &str) -> &str {
    match key {
        key if key.ends_with("_DIRECT_URL") => "DIRECT_URL",
        key if key.ends_with("_URL") => "URL",
        key => key,
    }
}

pub(crate) fn bind(
    server: &Arc<Server>,
    name: &AddonName,
    request: &BindRequest,
) -> Result<ReleaseMade, Problem> {
    with_lock(server, &request.app, |app| {
        let before = server.store.bindings(&app).map_err(internal)?;
        let addon = bind_in_turn(server, &app, name, request.prefix.as_ref())?;
        if before.iter().any(|bound| bound.addon == addon.id) {
            return Ok(ReleaseMade { release: None });
        }
        let made = tell(server, &app, &format!("Bind {name}"));
        if made.is_err() {
            server.store.unbind(&app, addon.id).map_err(internal)?;
        }
        made
    })
}

/// Binds without a release. The caller holds the app's lock.
pub(super) fn bind_in_turn(
    server: &Server,
    app: &App,
    name: &AddonName,
    prefix: Option<&EnvKey>,
) -> Result<Addon, Problem> {
    let addon = find(server, name)?;
    let own_slot = addon.binding.as_ref().and_then(|binding| binding.slot.clone());
    let slot = match own_slot {
        Some(slot) => slot,
        None => driver(server, &addon.wanted.server.kind)?.facts().slot,
    };
    let prefix = prefix.map_or_else(|| usual_prefix(name), ToString::to_string);
    if !server.store.bind(app, addon.id, &prefix, &slot).map_err(internal)? {
        let title = format!("another addon of {} has the prefix {prefix} already", app.name);
        return Err(Problem::new(Kind::Conflict, "addon.prefix-taken", title)
            .hint(format!("hop3 addon bind {name} -a {} --as OTHER", app.name)));
    }
    server.record(Some(app), None, Event::AddonBound { addon: name.clone() });
    Ok(addon)
}

pub(crate) fn unbind(
    server: &Arc<Server>,
    name: &AddonName,
    request: &BindRequest,
) -> Result<ReleaseMade, Problem> {
    with_lock(server, &request.app, |app| {
        let addon = find(server, name)?;
        let before = bound(server, &app, &addon)?;
        server.store.unbind(&app, addon.id).map_err(internal)?;
        let made = tell(server, &app, &format!("Unbind {name}"));
        match &made {
            Ok(_) => server.record(Some(&app), None, Event::AddonUnbound { addon: name.clone() }),
            Err(_) => server.store.rebind(&app, &before).map_err(internal)?,
        }
        made
    })
}

pub(crate) fn promote(
    server: &Arc<Server>,
    name: &AddonName,
    request: &BindRequest,
) -> Result<ReleaseMade, Problem> {
    with_lock(server, &request.app, |app| {
        let addon = find(server, name)?;
        let chosen = bound(server, &app, &addon)?;
        let all = server.store.bindings(&app).map_err(internal)?;
        let before = all.into_iter().find(|other| other.slot == chosen.slot && other.is_primary);
        server.store.promote(&app, addon.id).map_err(internal)?;
        let made = tell(server, &app, &format!("Promote {name}"));
        if let (Err(_), Some(before)) = (&made, before) {
            server.store.promote(&app, before.addon).map_err(internal)?;
        }
        made
    })
}

fn bound(server: &Server, app: &App, addon: &Addon) -> Result<Bound, Problem> {
    let all = server.store.bindings(app).map_err(internal)?;
    let found = all.into_iter().find(|bound| bound.addon == addon.id);
    found.ok_or_else(|| not_bound(app, &addon.wanted.name))
}

fn not_bound(app: &App, name: &AddonName) -> Problem {
    let title = format!("{name} is not bound to {}", app.name);
    Problem::new(Kind::Conflict, "addon.not-bound", title)
        .hint(format!("bind it with: hop3 addon bind {name} -a {}", app.name))
}

/// A release of the app that knows its addons as they are now; none when it does not run. The caller holds its lock.
pub(super) fn tell(server: &Arc<Server>, app: &App, reason: &str) -> Result<ReleaseMade, Problem> {
    if app.current.is_none() || app.stopped {
        return Ok(ReleaseMade { release: None });
    }
    let change = Change::Addons { reason: reason.to_owned() };
    let release = changing(Context::new(server, app.clone(), None), |cx| deploy::redeploy(cx, change))?;
    Ok(ReleaseMade { release: Some(release) })
}
