// SPDX-License-Identifier: Apache-2.0
//! `addon create|scale`.

use super::{driver, find, password, pool, provision, told};
use crate::server::{Server, internal};
use crate::store::{self, NewServer};
use hop3_core::addon::{AddonServer, ELSEWHERE, KindFacts};
use hop3_core::api::{AddonInfo, CreateAddonRequest, ScaleAddonRequest};
use hop3_core::event::Event;
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, PoisonError};

/// Below those of instances.
const PORTS: std::ops::Range<u16> = 15_000..20_000;

pub(crate) fn create(server: &Arc<Server>, request: &CreateAddonRequest) -> Result<AddonInfo, Problem> {
    let driver = driver(server, &request.kind)?;
    let facts = driver.facts();
    check_options(&facts, &request.options)?;
    let version = chosen(&facts, request)?;
    let can = facts.can(&version);
    if request.secret.is_some() && !can.takes_secret {
        let title = format!("{} takes no secret: Hop3 makes its passwords", facts.title);
        return Err(Problem::new(Kind::User, "addon.no-secret", title));
    }
    if server.store.addon(&request.name).map_err(internal)?.is_some() {
        return Err(exists(&request.name));
    }
    let is_shared = can.shares && !request.dedicated;
    let (of_server, mut own) = split(&facts, &request.options);
    pool::tidy(&mut own);
    own.retain(|_, value| !value.is_empty());
    let home = server_for(server, &facts, &version, is_shared)?;
    let mut home = pool::make_room(server, &facts, home, &own)?;
    change(&mut home.settings, of_server);
    let made = server.addon_turn(&home.name, || {
        let secret = request.secret.clone().map_or_else(password, Ok)?;
        let addon = server.store.create_addon(&request.name, &home, &own, &secret);
        let addon = addon.map_err(internal)?.ok_or_else(|| exists(&request.name))?;
        let mut addon = super::owned(server, addon);
        addon.wanted.server.settings.clone_from(&home.settings);
        let made = driver.serve(&addon.wanted.server).and_then(|()| provision(server, &addon));
        if made.is_err() {
            // What was made of it on a server that answers goes too; the first problem is the one to tell.
            let _ = driver.destroy(&addon.wanted);
            server.store.forget_addon(addon.id).map_err(internal)?;
        }
        made?;
        server.store.set_server_settings(&home.name, &home.settings).map_err(internal)
    });
    if let Err(problem) = made {
        retire_unused(server, &home)?;
        return Err(problem);
    }
    server.record(
        None,
        None,
        Event::AddonCreated { addon: request.name.clone(), addon_kind: request.kind.clone() },
    );
    super::info(server, &request.name)
}

/// The version asked for. Where a kind both runs here and is known elsewhere, an address says which is meant.
fn chosen(facts: &KindFacts, request: &CreateAddonRequest) -> Result<String, Problem> {
    let has_both = !facts.install.is_empty() && facts.versions.iter().any(|version| version == ELSEWHERE);
    if !has_both || request.version.is_some() {
        return version(facts, request.version.as_deref());
    }
    if request.secret.is_some() {
        return Ok(ELSEWHERE.to_owned());
    }
    let mut here = facts.clone();
    here.versions.retain(|version| version != ELSEWHERE);
    version(&here, None).map_err(|problem| {
        let hint = format!("{}\nor give the address of one elsewhere with --secret", problem.hint);
        problem.hint(hint)
    })
}

fn exists(name: &AddonName) -> Problem {
    Problem::new(Kind::Conflict, "addon.exists", format!("there is an addon \"{name}\" already"))
        .hint("choose another name; see all with: hop3 addon list")
}

fn check_options(facts: &KindFacts, options: &BTreeMap<String, String>) -> Result<(), Problem> {
    let Some(unknown) = options.keys().find(|option| !facts.options.contains_key(*option)) else {
        return Ok(());
    };
    let known: Vec<String> = facts.options.iter().map(|(name, what)| format!("{name}: {what}")).collect();
    let title = format!("{} has no option \"{}\"", facts.title, unknown.escape_debug());
    Err(Problem::new(Kind::User, "addon.unknown-option", title).detail(known.join("\n")))
}

/// The version asked for, or the newest that is installed.
pub(super) fn version(facts: &KindFacts, wanted: Option<&str>) -> Result<String, Problem> {
    let found = match wanted {
        Some(wanted) => facts.versions.iter().find(|version| *version == wanted),
        None => facts.versions.first(),
    };
    found.cloned().ok_or_else(|| {
        let what = wanted.map(|version| format!(" {}", version.escape_debug())).unwrap_or_default();
        let title = format!("{}{what} is not installed on this machine", facts.title);
        let there = match facts.versions.is_empty() {
            true => "no version is there".to_owned(),
            false => format!("there is: {}", facts.versions.join(", ")),
        };
        Problem::new(Kind::Unavailable, "addon.not-installed", title).detail(there).hint(&facts.install)
    })
}

/// The server that such addons share, or a new one.
pub(super) fn server_for(
    server: &Server,
    facts: &KindFacts,
    version: &str,
    is_shared: bool,
) -> Result<AddonServer, Problem> {
    let _choosing = server.choosing_addon_server.lock().unwrap_or_else(PoisonError::into_inner);
    let shared = server.store.shared_server(&facts.kind, version).map_err(internal)?;
    if let Some(shared) = shared.filter(|_| is_shared) {
        return Ok(shared);
    }
    let new = NewServer {
        kind: facts.kind.clone(),
        version: version.to_owned(),
        is_shared,
        uid: server.store.next_uid().map_err(internal)?,
        port: if facts.can(version).serves { free_port(server)? } else { 0 },
        password: password()?,
        settings: BTreeMap::new(),
    };
    server.store.create_server(&new).map_err(internal)
}

/// A port that no server has and nobody listens on.
pub(super) fn free_port(server: &Server) -> Result<u16, Problem> {
    let taken = server.store.addon_ports().map_err(internal)?;
    let [high, low] = crate::random::bytes::<2>().map_err(internal)?;
    // Several installations on one machine must not choose the same ones.
    let start = u16::from_be_bytes([high, low]) % PORTS.len() as u16;
    let mut ports = PORTS.skip(start.into()).chain(PORTS.take(start.into()));
    let is_free =
        |port: &u16| !taken.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.find(is_free).ok_or_else(|| {
        Problem::new(Kind::Unavailable, "addon.no-port", "no port is free for another server")
            .detail(format!("looked at {} to {} on 127.0.0.1", PORTS.start, PORTS.end - 1))
    })
}

/// Stops and forgets a server on which no addon lives.
pub(super) fn retire_unused(server: &Server, home: &AddonServer) -> Result<(), Problem> {
    let _choosing = server.choosing_addon_server.lock().unwrap_or_else(PoisonError::into_inner);
    if server.store.has_addons(&home.name).map_err(internal)? {
        return Ok(());
    }
    driver(server, &home.kind)?.retire(home)?;
    server.store.forget_server(&home.name).map_err(internal).map(drop)
}

/// Other options for an addon that is there; those of its server are those of all who share it.
pub(crate) fn scale(
    server: &Arc<Server>,
    name: &AddonName,
    request: &ScaleAddonRequest,
) -> Result<AddonInfo, Problem> {
    let addon = find(server, name)?;
    let driver = driver(server, &addon.wanted.server.kind)?;
    let facts = driver.facts();
    check_options(&facts, &request.options)?;
    let (of_server, mut own) = split(&facts, &request.options);
    pool::tidy(&mut own);
    pool::make_room(server, &facts, addon.wanted.server.clone(), &own)?;
    let before = server.addon_turn(&addon.wanted.server.name, || {
        let before: store::Addon = find(server, name)?;
        let mut changed = before.clone();
        change(&mut changed.wanted.settings, own);
        pool::linger(&before.wanted.settings, &mut changed.wanted.settings);
        change(&mut changed.wanted.server.settings, of_server);
        let home = &changed.wanted.server;
        if home.settings != before.wanted.server.settings {
            driver.serve(home)?;
            server.store.set_server_settings(&home.name, &home.settings).map_err(internal)?;
        }
        provision(server, &changed)?;
        server.store.set_addon_settings(before.id, &changed.wanted.settings).map_err(internal)?;
        Ok(before)
    })?;
    tell(server, &before, &find(server, name)?)?;
    super::info(server, name)
}

/// Apps get a release when another place is told to them.
fn tell(server: &Arc<Server>, before: &store::Addon, after: &store::Addon) -> Result<(), Problem> {
    if pool::is_ending(after) {
        return pool::leave(server, after);
    }
    let variables = |addon: &store::Addon| addon.binding.clone().map(|binding| binding.variables);
    match variables(before) == variables(after) {
        true => Ok(()),
        false => told::tell_all(server, after, &format!("Scale {}", after.wanted.name)).map(drop),
    }
}

pub(super) type Options = BTreeMap<String, String>;

/// Those of the server, and the addon's own.
fn split(facts: &KindFacts, options: &Options) -> (Options, Options) {
    options.clone().into_iter().partition(|(option, _)| facts.server_options.contains(option))
}

fn change(settings: &mut Options, options: Options) {
    settings.extend(options);
    settings.retain(|_, value| !value.is_empty());
}
