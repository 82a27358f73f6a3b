// SPDX-License-Identifier: Apache-2.0
//! `addon …`: managed backing services. One file for what belongs together; what all of them need is here.

mod bind;
mod create;
mod destroy;
mod expose;
mod look;
mod pool;
mod provide;
mod rotate;
mod shell;
mod told;
mod transfer;
mod upgrade;

pub(crate) use bind::{bind, environment, promote, unbind, variable};
pub(crate) use create::{create, scale};
pub(crate) use destroy::{destroy, forget_destroyed, protect, recover};
pub(crate) use expose::{expose, services, unexpose};
pub(crate) use look::{credentials, info, kinds, list, logs, rename};
pub(crate) use pool::{is_ending, leave};
pub(crate) use provide::provide;
pub(crate) use rotate::{resume, rotate, set};
pub(crate) use shell::shell;
pub(crate) use transfer::{check as check_holds, clone, export, import, restore, tables};
pub(crate) use upgrade::{settle, upgrade};

use crate::server::{Server, internal};
use crate::store;
use hop3_core::addon::{AddonServer, Pooler, usual_kind};
use hop3_core::driver;
use hop3_core::name::{AddonKind, AddonName};
use hop3_core::problem::{Kind, Problem};
use hop3_core::secret::Secret;
use std::sync::Arc;

/// The driver of a kind.
pub(crate) fn driver(server: &Server, kind: &AddonKind) -> Result<Arc<dyn driver::Addon>, Problem> {
    let usual = usual_kind(kind);
    let drivers = (server.drivers.addons)();
    let found = drivers.iter().find(|driver| driver.facts().kind == usual);
    found.cloned().ok_or_else(|| {
        let names: Vec<String> = drivers.iter().map(|d| d.facts().kind.to_string()).collect();
        Problem::new(Kind::NotFound, "addon.unknown-kind", format!("there is no kind of addon \"{kind}\""))
            .detail(format!("there are: {}", names.join(", ")))
            .hint("see them with: hop3 addon kinds")
    })
}

/// An addon that was not destroyed.
pub(crate) fn find(server: &Server, name: &AddonName) -> Result<store::Addon, Problem> {
    let addon = find_any(server, name)?;
    match addon.destroyed_ms {
        None => Ok(addon),
        Some(_) => {
            let title = format!("the addon \"{name}\" was destroyed");
            Err(Problem::new(Kind::NotFound, "addon.destroyed", title)
                .hint(format!("bring it back with: hop3 addon recover {name}")))
        }
    }
}

/// An addon, whether destroyed or not.
fn find_any(server: &Server, name: &AddonName) -> Result<store::Addon, Problem> {
    let found = server.store.addon(name).map_err(internal)?;
    found.map(|addon| owned(server, addon)).ok_or_else(|| {
        Problem::new(Kind::NotFound, "addon.unknown", format!("there is no addon \"{name}\""))
            .hint(format!("make it with: hop3 addon create KIND {name}\nsee all with: hop3 addon list"))
    })
}

/// Every addon, those that were destroyed too.
pub(crate) fn all(server: &Server) -> Result<Vec<store::Addon>, Problem> {
    let addons = server.store.addons().map_err(internal)?;
    Ok(addons.into_iter().map(|addon| owned(server, addon)).collect())
}

/// Where the supervisor cannot give users, there are none.
fn owned(server: &Server, mut addon: store::Addon) -> store::Addon {
    addon.wanted.server = with_users(server, addon.wanted.server);
    addon
}

/// A server as its driver is told of it.
pub(crate) fn with_users(server: &Server, mut home: AddonServer) -> AddonServer {
    if !server.drivers.runner.is_privileged() {
        home.user = None;
        home.pooler = home.pooler.map(|pooler| Pooler { user: None, ..pooler });
    }
    home
}

/// Makes an addon what the store says it should be, and keeps what apps are told. The caller holds its server's lock.
fn provision(server: &Server, addon: &store::Addon) -> Result<(), Problem> {
    let binding = driver(server, &addon.wanted.server.kind)?.provision(&addon.wanted)?;
    server.store.set_binding(addon.id, &binding).map_err(internal)
}

/// A password: 190 bits of letters and digits, which no client's rules for addresses change.
fn password() -> Result<Secret<String>, Problem> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::new();
    while text.len() < 32 {
        let bytes = crate::random::bytes::<64>().map_err(internal)?;
        // Bytes above the last whole multiple would favour the alphabet's start.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        text.extend(fair.take(32 - text.len()).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    Ok(Secret::new(text))
}
