// SPDX-License-Identifier: Apache-2.0
//! What a proof makes beside what the server has: scratch addons, and an app for a moment. Each name is written down
//! before there is anything of that name, so that the next server removes what the last one left half-way, and no
//! backup takes it for something of its own.

use super::service::Way;
use crate::server::{Server, internal};
use crate::store::now_ms;
use crate::verb;
use hop3_core::api::DestroyVolumeRequest;
use hop3_core::layout::Layout;
use hop3_core::name::{AddonName, AppName};
use hop3_core::problem::Problem;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Files of names begin so, among the places of what is brought.
const NAMES: &str = "scratch-names-";

pub(super) struct Scratch<'a> {
    server: &'a Arc<Server>,
    file: File,
    path: PathBuf,
    began_ms: u64,
    count: u32,
    /// Scratch addons by the names of those that they were restored from.
    addons: BTreeMap<AddonName, AddonName>,
}

impl Scratch<'_> {
    pub(super) fn new(server: &Arc<Server>) -> Result<Scratch<'_>, Problem> {
        let began_ms = now_ms();
        let path = server.layout.backup_staging(&format!("{NAMES}{began_ms}"));
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(internal)?;
        let file = File::options().create_new(true).append(true).open(&path).map_err(internal)?;
        Ok(Scratch { server, file, path, began_ms, count: 0, addons: BTreeMap::new() })
    }

    /// A name that nothing has, written down.
    fn name(&mut self) -> Result<String, Problem> {
        self.count += 1;
        let name = format!("scratch-{}-{}", self.began_ms, self.count);
        writeln!(self.file, "{name}").and_then(|()| self.file.sync_data()).map_err(internal)?;
        Ok(name)
    }

    pub(super) fn app(&mut self) -> Result<AppName, Problem> {
        self.name()?.parse()
    }

    /// The name of what an addon is restored into.
    pub(super) fn addon(&mut self, of: &AddonName) -> Result<AddonName, Problem> {
        let name: AddonName = self.name()?.parse()?;
        self.addons.insert(of.clone(), name.clone());
        Ok(name)
    }

    pub(super) fn addon_of(&self, of: &AddonName) -> Option<&AddonName> {
        self.addons.get(of)
    }

    pub(super) fn forget_addon(&mut self, way: &Way<'_>, of: &AddonName) -> Result<(), Problem> {
        let Some(name) = self.addons.remove(of) else { return Ok(()) };
        // It may have failed before there was one.
        match self.server.store.addon(&name).map_err(internal)? {
            Some(_) => way.destroy(&name),
            None => Ok(()),
        }
    }

    /// Removes all that is left. What cannot be removed stays written down.
    pub(super) fn clear(mut self, way: &Way<'_>) -> Result<(), Problem> {
        let left: Vec<AddonName> = self.addons.keys().cloned().collect();
        left.iter().try_for_each(|of| self.forget_addon(way, of))?;
        fs::remove_file(&self.path).map_err(internal)
    }
}

/// Names of everything that proofs have made and not removed yet.
pub(super) fn names(layout: &Layout) -> Vec<String> {
    let entries = fs::read_dir(layout.backup_stagings()).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(NAMES));
    let texts = files.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Tells whether something has a scratch name, or one that begins with it, as volumes of an app have.
pub(super) fn is_of(name: &str, scratch: &str) -> bool {
    name.strip_prefix(scratch).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Removes what the last server's proofs have left. Addons go with those whose time is over, since their servers may not
/// run yet.
pub(super) fn interrupted(server: &Arc<Server>) -> Result<(), Problem> {
    for name in names(&server.layout) {
        if let Ok(app) = name.parse::<AppName>()
            && server.store.app(&app).map_err(internal)?.is_some()
        {
            verb::app::destroy(server, &app, app.as_str())?;
        }
        for volume in server.store.volumes().map_err(internal)? {
            if is_of(volume.name.as_str(), &name) {
                let request = DestroyVolumeRequest { confirm: volume.name.to_string(), now: true };
                verb::storage::destroy(server, &volume.name, &request)?;
            }
        }
        if let Ok(addon) = name.parse::<AddonName>()
            && let Some(addon) = server.store.addon(&addon).map_err(internal)?
        {
            server.store.set_destroyed(addon.id, Some(0)).map_err(internal)?;
        }
    }
    Ok(())
}
