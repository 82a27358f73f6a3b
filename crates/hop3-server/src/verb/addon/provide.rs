// SPDX-License-Identifier: Apache-2.0
//! `[[addons]]` of an app's files: what is missing is made and bound; what is there must be the app's already, since
//! whoever may push an app must not get at another's data by naming it.

use super::bind::{bind_in_turn, known_as};
use super::{create, driver};
use crate::server::{Server, internal};
use crate::store::{Addon, App};
use hop3_core::api::CreateAddonRequest;
use hop3_core::name::{AddonKind, AddonName};
use hop3_core::problem::{Kind, Problem};
use hop3_core::settings::AddonSettings;
use std::sync::Arc;

/// Makes and binds an addon unless the app has it; gives the name of one that was made. The caller holds the app's lock.
pub(crate) fn provide(
    server: &Arc<Server>,
    app: &App,
    wanted: &AddonSettings,
) -> Result<Option<AddonName>, Problem> {
    let kind = driver(server, &wanted.kind)?.facts().kind;
    let name = match &wanted.name {
        Some(name) => name.clone(),
        None => usual_name(app, &kind)?,
    };
    if let Some(addon) = known_as(server, app, &name)? {
        return check_kind(&addon, &kind).map(|()| None);
    }
    match server.store.addon(&name).map_err(internal)? {
        Some(_) => Err(not_bound(app, &name)),
        None => {
            create(server, &request(name.clone(), wanted))?;
            bind_in_turn(server, app, &name, wanted.prefix.as_ref())?;
            Ok(Some(name))
        }
    }
}

/// `shop-postgres`, as far as it fits.
fn usual_name(app: &App, kind: &AddonKind) -> Result<AddonName, Problem> {
    let room = 38 - kind.as_str().len();
    let front: String = app.name.as_str().chars().take(room).collect();
    format!("{}-{kind}", front.trim_end_matches('-')).parse()
}

fn request(name: AddonName, wanted: &AddonSettings) -> CreateAddonRequest {
    CreateAddonRequest {
        name,
        kind: wanted.kind.clone(),
        version: wanted.version.clone(),
        dedicated: wanted.dedicated,
        options: wanted.options.clone(),
        secret: None,
    }
}

fn check_kind(addon: &Addon, kind: &AddonKind) -> Result<(), Problem> {
    let (name, has) = (&addon.wanted.name, &addon.wanted.server.kind);
    if has == kind {
        return Ok(());
    }
    let title = format!("the addon {name} is a {has}, and hop3.toml wants a {kind}");
    Err(Problem::new(Kind::Config, "addon.other-kind", title).hint("give the new one another name"))
}

fn not_bound(app: &App, name: &AddonName) -> Problem {
    let title = format!("there is an addon {name}, but it is not bound to {}", app.name);
    Problem::new(Kind::Denied, "addon.not-yours", title)
        .hint(format!("bind it, if the app may have its data: hop3 addon bind {name} -a {}", app.name))
}
