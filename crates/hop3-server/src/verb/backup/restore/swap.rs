// SPDX-License-Identifier: Apache-2.0
//! Directories change places: what was brought beside comes in, what was there is kept until the app is up.
//!
//! Each is renamed while it is the server's own, and given to whom it belongs at its place.

use super::super::manifest::{SavedApp, SavedVolume};
use super::super::scratch;
use super::Work;
use crate::server::{Server, internal};
use crate::store::App;
use crate::verb;
use hop3_core::api::{CreateVolumeRequest, DestroyVolumeRequest};
use hop3_core::layout::Layout;
use hop3_core::name::VolumeName;
use hop3_core::problem::Problem;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One directory that is replaced.
pub(super) struct Swap {
    staged: PathBuf,
    place: PathBuf,
    /// Whose it is; the server's own otherwise.
    user: Option<u32>,
}

/// What of an app is replaced, and which volumes had to be made for it.
#[derive(Default)]
pub(in super::super) struct Swaps {
    all: Vec<Swap>,
    new_volumes: Vec<VolumeName>,
}

impl Work<'_> {
    /// Finds the places; a volume that is not there is made and attached.
    pub(in super::super) fn swaps(&self, saved: &SavedApp, app: &App) -> Result<Swaps, Problem> {
        let layout = &self.server.layout;
        let staged = Layout::new(&self.staging);
        let mut swaps = Swaps {
            all: vec![
                Swap {
                    staged: staged.data(&saved.name),
                    place: layout.data(&app.name),
                    user: Some(app.uid()),
                },
                Swap {
                    staged: staged.repository(&saved.name),
                    place: layout.repository(&app.name),
                    user: None,
                },
            ],
            new_volumes: Vec::new(),
        };
        for volume in &saved.volumes {
            let name = volume_name(saved, app, &volume.name)?;
            let made = self.attach(app, volume, &name, &mut swaps);
            if let Err(problem) = made {
                self.take_back(app, &swaps)?;
                return Err(problem);
            }
            swaps.all.push(Swap {
                staged: staged.volume(&volume.name),
                place: layout.volume(&name),
                user: Some(app.uid()),
            });
        }
        swaps.all.retain(|swap| swap.staged.exists());
        Ok(swaps)
    }

    fn attach(
        &self,
        app: &App,
        saved: &SavedVolume,
        name: &VolumeName,
        swaps: &mut Swaps,
    ) -> Result<(), Problem> {
        let store = &self.server.store;
        if store.volume(name).map_err(internal)?.is_none() {
            let request = CreateVolumeRequest { name: name.clone(), size_bytes: saved.size_bytes };
            verb::storage::create(self.server, &request)?;
            swaps.new_volumes.push(name.clone());
        }
        let volume = verb::storage::find(self.server, name)?;
        store.attach(app, &volume, &saved.path).map_err(internal)?;
        store.set_volume_owner(&volume, app.uid()).map_err(internal)
    }

    pub(in super::super) fn swap(&self, swaps: &Swaps) -> Result<(), Problem> {
        for swap in &swaps.all {
            self.server.drivers.runner.remove(&beside(&swap.place))?;
            match fs::rename(&swap.place, beside(&swap.place)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(internal(error)),
                _ => fs::rename(&swap.staged, &swap.place).map_err(internal)?,
            }
            if let Some(user) = swap.user {
                self.give(&swap.place, user)?;
            }
        }
        Ok(())
    }

    pub(in super::super) fn swap_back(&self, app: &App, swaps: &Swaps) -> Result<(), Problem> {
        for swap in swaps.all.iter().filter(|swap| beside(&swap.place).exists()) {
            self.server.drivers.runner.remove(&swap.place)?;
            fs::rename(beside(&swap.place), &swap.place).map_err(internal)?;
        }
        self.take_back(app, swaps)
    }

    /// Destroys volumes that were made for a restore that failed.
    fn take_back(&self, app: &App, swaps: &Swaps) -> Result<(), Problem> {
        for name in &swaps.new_volumes {
            self.server.store.detach(app, &verb::storage::find(self.server, name)?).map_err(internal)?;
            let request = DestroyVolumeRequest { confirm: name.to_string(), now: true };
            verb::storage::destroy(self.server, name, &request)?;
        }
        Ok(())
    }

    pub(super) fn forget_old(&self, swaps: &Swaps) -> Result<(), Problem> {
        swaps.all.iter().try_for_each(|swap| self.server.drivers.runner.remove(&beside(&swap.place)))
    }
}

/// The name that a saved volume has for the app that is restored: its own, or one after a copy's name.
fn volume_name(saved: &SavedApp, app: &App, name: &VolumeName) -> Result<VolumeName, Problem> {
    if app.name == saved.name {
        return Ok(name.clone());
    }
    let own = name.as_str().strip_prefix(saved.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
    format!("{}-{}", app.name, own.unwrap_or(name.as_str())).parse()
}

/// Where a directory waits until what took its place is up.
fn beside(place: &Path) -> PathBuf {
    place.with_extension("before-restore")
}

/// Cleans after restores that the last server left half-way: a directory that was moved aside and not replaced is put
/// back. One that was replaced stays beside until the next restore.
pub(crate) fn interrupted(server: &Arc<Server>) -> Result<(), Problem> {
    let layout = &server.layout;
    scratch::interrupted(server)?;
    server.drivers.runner.remove(&layout.backup_stagings())?;
    let mut places = Vec::new();
    for app in server.store.apps().map_err(internal)? {
        places.extend([layout.data(&app.name), layout.repository(&app.name)]);
    }
    places.extend(server.store.volumes().map_err(internal)?.iter().map(|volume| layout.volume(&volume.name)));
    for place in places.iter().filter(|place| beside(place).exists() && !place.exists()) {
        fs::rename(beside(place), place).map_err(internal)?;
    }
    Ok(())
}
