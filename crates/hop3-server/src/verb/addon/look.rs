// SPDX-License-Identifier: Apache-2.0
//! `addon list|info|kinds|logs|credentials|rename`.

use super::{all, destroy, driver, find};
use crate::server::{Server, internal};
use crate::store::Addon;
use hop3_core::api::{AddonApp, AddonCredentials, AddonInfo, AddonKinds, AddonSummary};
use hop3_core::backup::BackupOf;
use hop3_core::driver::LogLine;
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::tcp::Port;
use std::sync::Arc;

pub(crate) fn kinds(server: &Server) -> AddonKinds {
    (server.drivers.addons)().iter().map(|driver| driver.facts()).collect()
}

pub(crate) fn list(server: &Server) -> Result<Vec<AddonSummary>, Problem> {
    all(server)?.iter().map(|addon| summary(server, addon)).collect()
}

pub(crate) fn info(server: &Arc<Server>, name: &AddonName) -> Result<AddonInfo, Problem> {
    let addon = find(server, name)?;
    let home = &addon.wanted.server;
    let variables = addon.binding.iter().flat_map(|binding| binding.variables.keys().cloned());
    Ok(AddonInfo {
        addon: summary(server, &addon)?,
        status: driver(server, &home.kind)?.status(&addon.wanted)?,
        server: home.name.to_string(),
        shared: addon.is_shared,
        port: home.port,
        exposed: addon.exposed.map(Port::get),
        options: home.settings.clone().into_iter().chain(addon.wanted.settings.clone()).collect(),
        variables: variables.collect(),
    })
}

fn summary(server: &Server, addon: &Addon) -> Result<AddonSummary, Problem> {
    let apps = server.store.apps_of_addon(addon.id).map_err(internal)?;
    let apps = apps.into_iter().map(|(app, bound)| AddonApp {
        app: app.name,
        prefix: bound.prefix,
        primary: bound.is_primary,
    });
    Ok(AddonSummary {
        name: addon.wanted.name.clone(),
        kind: addon.wanted.server.kind.clone(),
        version: addon.wanted.server.version.clone(),
        apps: apps.collect(),
        protected: addon.is_protected,
        gone_ms: destroy::gone_ms(addon),
        created_ms: addon.created_ms,
    })
}

/// What apps are told, with its values.
pub(crate) fn credentials(server: &Server, name: &AddonName) -> Result<AddonCredentials, Problem> {
    let binding = find(server, name)?.binding;
    let variables = binding.into_iter().flat_map(|binding| binding.variables);
    Ok(AddonCredentials { variables: variables.map(|(key, value)| (key, value.expose().clone())).collect() })
}

/// The newest lines its server wrote.
pub(crate) fn logs(server: &Server, name: &AddonName, last: usize) -> Result<Vec<LogLine>, Problem> {
    server.drivers.daemons.logs(&find(server, name)?.wanted.server.name, last)
}

/// Another name; database, users and the variables of bound apps stay as they are.
pub(crate) fn rename(server: &Arc<Server>, from: &AddonName, to: &AddonName) -> Result<AddonInfo, Problem> {
    let addon = find(server, from)?;
    if !server.store.rename_addon(addon.id, to).map_err(internal)? {
        return Err(Problem::new(
            Kind::Conflict,
            "addon.exists",
            format!("there is an addon \"{to}\" already"),
        ));
    }
    let (was, is) = (BackupOf::Addon(from.clone()), BackupOf::Addon(to.clone()));
    server.store.rename_backup_schedule(&was, &is).map_err(internal)?;
    info(server, to)
}
