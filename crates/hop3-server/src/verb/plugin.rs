// SPDX-License-Identifier: Apache-2.0
//! `plugin install|list|info|enable|disable|check|logs|remove|run|panel`.
//!
//! What is installed does nothing until it is enabled, by somebody who was shown what it wants to be allowed.

mod bundle;

pub(crate) use bundle::{distrust, keys, trust};

use crate::checkout::{Limits, unpack};
use crate::server::{Server, internal};
use crate::store::{Addon, Plugin};
use hop3_core::driver::LogLine;
use hop3_core::name::PluginName;
use hop3_core::plugin::{
    CommandAnswer, CommandCall, EnablePluginRequest, InstallQuery, PROGRAM_PREFIX, Panel, PanelCall,
    PluginInfo, PluginReport,
};
use hop3_core::problem::{Kind, Problem};
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A plugin is a program with its libraries, not a data set.
const LIMITS: Limits = Limits { bytes: 256 << 20, entries: 20_000 };

/// So many servers of addons are made at most to judge one plugin, each a user of its own.
const CHECK_SERVERS: u32 = 32;

/// One change of what is installed, or trial of it, at a time.
static CHANGES: Mutex<()> = Mutex::new(());

/// At start: those that are enabled are asked from now on.
pub(crate) fn enable_all(server: &Server) {
    match server.store.plugins() {
        Ok(plugins) => {
            for plugin in plugins.iter().filter(|plugin| plugin.info.enabled) {
                server.drivers.plugins.accept(plugin.name(), Some(plugin.accepted()));
            }
        }
        Err(error) => tracing::error!(error = format!("{error:#}"), "plugins cannot be read"),
    }
}

pub(crate) fn list(server: &Server) -> Result<Vec<PluginInfo>, Problem> {
    Ok(server.store.plugins().map_err(internal)?.into_iter().map(|plugin| plugin.info).collect())
}

pub(crate) fn info(server: &Server, name: &PluginName) -> Result<PluginInfo, Problem> {
    find(server, name).map(|plugin| plugin.info)
}

fn find(server: &Server, name: &PluginName) -> Result<Plugin, Problem> {
    server.store.plugin(name).map_err(internal)?.ok_or_else(|| {
        Problem::new(Kind::NotFound, "plugin.unknown", format!("there is no plugin \"{name}\""))
            .hint("see all with: hop3 plugin list")
    })
}

/// Unpacks a plugin, asks who it is, and keeps it, not enabled. A newer version of one that is enabled goes on so when
/// it does not ask for more.
pub(crate) fn install(server: &Arc<Server>, tar: File, query: &InstallQuery) -> Result<PluginInfo, Problem> {
    let _alone = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    unpacked(server, tar, |incoming, name| keep(server, incoming, name, query))
}

/// Does something with a plugin that came in; of what is still where it was unpacked, nothing is left.
fn unpacked<T>(
    server: &Server,
    tar: File,
    work: impl FnOnce(&Path, &PluginName) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let incoming = server.layout.plugin_incoming();
    server.drivers.runner.remove(&incoming)?;
    std::fs::create_dir_all(&incoming).map_err(internal)?;
    let done = unpack(tar, &incoming, &LIMITS)
        .and_then(|_| name_of(&incoming))
        .and_then(|name| work(&incoming, &name));
    server.drivers.runner.remove(&incoming)?;
    done
}

/// The program's name says the plugin's.
fn name_of(folder: &Path) -> Result<PluginName, Problem> {
    let entries = std::fs::read_dir(folder).map_err(internal)?;
    let names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix(PROGRAM_PREFIX).map(str::to_owned))
        .collect();
    match names.as_slice() {
        [name] => name.parse(),
        [] => Err(Problem::new(Kind::User, "plugin.no-program", "there is no plugin in this folder")
            .hint(format!("a plugin is a folder with a program {PROGRAM_PREFIX}NAME at its top"))),
        _ => Err(Problem::new(
            Kind::User,
            "plugin.many-programs",
            "there is more than one plugin in this folder",
        )
        .detail(names.join(", "))
        .hint("each plugin has a folder of its own")),
    }
}

/// Puts what was unpacked in the place of what was installed, once it has said who it is.
fn keep(
    server: &Arc<Server>,
    incoming: &Path,
    name: &PluginName,
    query: &InstallQuery,
) -> Result<PluginInfo, Problem> {
    let signed_by = match bundle::signer(server, incoming, name)? {
        None if !query.unsigned => return Err(unsigned(name)),
        signer => signer,
    };
    let before = server.store.plugin(name).map_err(internal)?;
    let user = match &before {
        Some(before) => before.user,
        None => server.store.next_uid().map_err(internal)?,
    };
    let introduced = server.drivers.plugins.introduce(name, user, incoming);
    if introduced.is_err() && before.is_none() {
        server.drivers.runner.remove(&server.layout.plugin(name))?;
    }
    let introduction = introduced?;
    let goes_on = before.is_some_and(|before| {
        before.info.enabled && introduction.permissions.are_within(&before.info.introduction.permissions)
    });
    server.drivers.plugins.accept(name, None);
    let files = server.layout.plugin_files(name);
    server.drivers.runner.remove(&files)?;
    std::fs::rename(incoming, &files).map_err(internal)?;
    let info = PluginInfo { introduction, enabled: goes_on, signed_by, installed_ms: 0, last_event: 0 };
    server.store.put_plugin(&Plugin { info, user }).map_err(internal)?;
    let plugin = find(server, name)?;
    if goes_on {
        server.drivers.plugins.accept(name, Some(plugin.accepted()));
    }
    tracing::info!(plugin = %name, version = plugin.info.introduction.version, "plugin installed");
    Ok(plugin.info)
}

fn unsigned(name: &PluginName) -> Problem {
    Problem::new(Kind::Denied, "plugin.unsigned", format!("nobody has signed the plugin \"{name}\""))
        .hint("when you know where it comes from, say so: hop3 plugin install PATH --unsigned")
}

/// Has it asked from now on. Whoever enables it says again what it is allowed.
pub(crate) fn enable(
    server: &Server,
    name: &PluginName,
    request: &EnablePluginRequest,
) -> Result<PluginInfo, Problem> {
    let _alone = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    let plugin = find(server, name)?;
    if request.permissions != plugin.info.introduction.permissions {
        return Err(Problem::new(
            Kind::Conflict,
            "plugin.asks-for-other",
            "the plugin asks for other permissions than these",
        )
        .detail(plugin.info.introduction.permissions.told().join("\n"))
        .hint(format!("look again: hop3 plugin info {name}")));
    }
    server.store.set_plugin_enabled(name, true).map_err(internal)?;
    server.drivers.plugins.accept(name, Some(plugin.accepted()));
    info(server, name)
}

pub(crate) fn disable(server: &Server, name: &PluginName) -> Result<PluginInfo, Problem> {
    let _alone = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    find(server, name)?;
    server.store.set_plugin_enabled(name, false).map_err(internal)?;
    server.drivers.plugins.accept(name, None);
    info(server, name)
}

/// Removes the program and what it kept; not while there is an addon of a kind that it brought.
pub(crate) fn remove(server: &Server, name: &PluginName) -> Result<(), Problem> {
    let _alone = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    let plugin = find(server, name)?;
    let addons = server.store.addons().map_err(internal)?;
    let is_of_it = |addon: &&Addon| {
        plugin.info.introduction.provides.addons.iter().any(|facts| facts.kind == addon.wanted.server.kind)
    };
    let used: Vec<String> =
        addons.iter().filter(is_of_it).map(|addon| addon.wanted.name.to_string()).collect();
    if !used.is_empty() {
        let title = format!("there are addons of the plugin \"{name}\"");
        return Err(Problem::new(Kind::Conflict, "plugin.in-use", title)
            .detail(used.join(", "))
            .hint("destroy them first: hop3 addon destroy NAME --now"));
    }
    server.drivers.plugins.accept(name, None);
    server.store.remove_plugin(name).map_err(internal)?;
    server.drivers.runner.remove(&server.layout.plugin_log(name))?;
    server.drivers.runner.remove(&server.layout.plugin(name))
}

/// Judges an installed plugin.
pub(crate) fn check(server: &Server, name: &PluginName) -> Result<PluginReport, Problem> {
    let _alone = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    let plugin = find(server, name)?;
    let servers = server.store.next_uids(CHECK_SERVERS).map_err(internal)?;
    server.drivers.plugins.check(name, plugin.user, &server.layout.plugin_files(name), servers)
}

/// Judges a plugin that is not installed, and leaves nothing of it.
pub(crate) fn check_folder(server: &Server, tar: File) -> Result<PluginReport, Problem> {
    let _alone = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    unpacked(server, tar, |incoming, name| {
        let installed = server.store.plugin(name).map_err(internal)?;
        let user = match &installed {
            Some(plugin) => plugin.user,
            None => server.store.next_uid().map_err(internal)?,
        };
        let servers = server.store.next_uids(CHECK_SERVERS).map_err(internal)?;
        let report = server.drivers.plugins.check(name, user, incoming, servers);
        if installed.is_none() {
            server.drivers.runner.remove(&server.layout.plugin(name))?;
        }
        report
    })
}

pub(crate) fn logs(server: &Server, name: &PluginName, last: usize) -> Result<Vec<LogLine>, Problem> {
    find(server, name)?;
    server.drivers.plugins.logs(name, last)
}

/// A command that the plugin brought.
pub(crate) fn run(server: &Server, name: &PluginName, call: &CommandCall) -> Result<CommandAnswer, Problem> {
    let plugin = find(server, name)?;
    let offers = &plugin.info.introduction.provides.commands;
    if !offers.iter().any(|offer| offer.name == call.command) {
        let have: Vec<String> =
            offers.iter().map(|offer| format!("{}: {}", offer.name, offer.about)).collect();
        let title = format!("the plugin \"{name}\" has no command \"{}\"", call.command);
        return Err(Problem::new(Kind::NotFound, "plugin.no-command", title).detail(have.join("\n")));
    }
    server.drivers.plugins.command(name, call)
}

/// What one of its panels shows.
pub(crate) fn panel(server: &Server, name: &PluginName, call: &PanelCall) -> Result<Panel, Problem> {
    let plugin = find(server, name)?;
    let offers = &plugin.info.introduction.provides.panels;
    if !offers.iter().any(|offer| offer.name == call.panel) {
        let have: Vec<String> =
            offers.iter().map(|offer| format!("{}: {}", offer.name, offer.title)).collect();
        let title = format!("the plugin \"{name}\" has no panel \"{}\"", call.panel);
        return Err(Problem::new(Kind::NotFound, "plugin.no-panel", title).detail(have.join("\n")));
    }
    server.drivers.plugins.panel(name, call)
}
