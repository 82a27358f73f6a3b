// SPDX-License-Identifier: Apache-2.0
//! `backup restore`: an app in place, as a new one, or one file of its data.
//!
//! Everything is brought beside first; the app stands still only while directories change places. What was there is
//! kept until the restored app is up, and put back when it does not come up.

mod addon;
mod file;
mod swap;

pub(super) use swap::Swaps;
pub(crate) use swap::interrupted;

use super::manifest::{self, Manifest, SavedApp};
use super::service::{self, Way};
use super::{create, find, rebuild, say, target};
use crate::deploy::{self, Context};
use crate::server::{Server, internal};
use crate::store::{App, Backup};
use crate::verb;
use crate::verb::change::{changing, start, stop, with_lock};
use hop3_core::backup::{BackupId, BackupInfo, BackupOf, CreateBackupRequest, RestoreBackupRequest, Tell};
use hop3_core::driver::{BackupPlace, Taken};
use hop3_core::event::Event;
use hop3_core::name::AppName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::settings::EnvDefault;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) struct Work<'a> {
    pub server: &'a Arc<Server>,
    pub backup: Backup,
    pub place: BackupPlace,
    pub manifest: Manifest,
    /// Beneath it what was saved lies by its path beneath the root.
    pub staging: PathBuf,
    pub tell: Tell<'a>,
}

pub(crate) fn restore(
    server: &Arc<Server>,
    id: &BackupId,
    request: &RestoreBackupRequest,
    tell: Tell<'_>,
) -> Result<BackupInfo, Problem> {
    crate::disk::require_room(&server.layout)?;
    let backup = find(server, id)?;
    let place = target::place(server, Some(&backup.info.target))?.1;
    let manifest = manifest::read(server, &backup)?;
    let staging = server.layout.backup_staging(&format!("restore-{id}-{}", crate::store::now_ms()));
    let work = Work { server, backup, place, manifest, staging, tell };
    // A backup of an addon by itself has nothing else.
    if let Some(addon) = request.addon.as_ref().or(work.backup.info.addon.as_ref()) {
        let is_in_place = request.new_name.is_none() && request.new_table.is_none();
        if is_in_place && server.store.addon(addon).map_err(internal)?.is_some() {
            work.keep_present(&BackupOf::Addon(addon.clone()))?;
        }
        return work.addon(addon, request).map(|()| work.backup.info);
    }
    let outcome = work.app(request.app.as_ref()).and_then(|app| match &request.path {
        Some(path) => work.file(app, request.new_name.as_ref().unwrap_or(&app.name), Path::new(path)),
        None => work.whole(app, request.new_name.as_ref(), None),
    });
    server.drivers.runner.remove(&work.staging)?;
    outcome.map(|()| work.backup.info)
}

impl Work<'_> {
    pub(super) fn app(&self, name: Option<&AppName>) -> Result<&SavedApp, Problem> {
        let apps = &self.manifest.apps;
        let found = match name {
            Some(name) => apps.iter().find(|app| app.name == *name),
            None => apps.first().filter(|_| apps.len() == 1),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
            Problem::new(Kind::NotFound, "backup.which-app", "name the app of this backup that is wanted")
                .detail(format!("it has: {}", names.join(", ")))
                .hint(format!("hop3 backup restore {} -a NAME", self.backup.info.id))
        })
    }

    /// Brings these paths beside, and makes them the server's own.
    fn fetch(&self, paths: &[PathBuf]) -> Result<(), Problem> {
        let taken = Taken { snapshot: &self.manifest.files.snapshot, paths, twice: false };
        self.server.drivers.backups.restore(&self.place, taken, &self.staging)?;
        self.give(&self.staging, rustix::process::getuid().as_raw())
    }

    pub(super) fn give(&self, directory: &Path, user: u32) -> Result<(), Problem> {
        let runner = &self.server.drivers.runner;
        runner.give(directory, runner.is_privileged().then_some(user))
    }

    /// `moved` is the root that what was built was made for, where that is another.
    pub(super) fn whole(
        &self,
        saved: &SavedApp,
        new_name: Option<&AppName>,
        moved: Option<&Path>,
    ) -> Result<(), Problem> {
        let name = new_name.unwrap_or(&saved.name);
        if let (Some(_), Ok(_)) = (new_name, self.server.app(name)) {
            let title = format!("there is an app \"{name}\" already");
            return Err(
                Problem::new(Kind::Conflict, "app.exists", title).hint("choose another name after --as")
            );
        }
        if self.server.store.app(name).map_err(internal)?.is_some() {
            self.keep_present(&BackupOf::App(name.clone()))?;
        }
        say(self.tell, "bringing the files beside");
        self.fetch(&self.wanted(saved))?;
        self.put_built(saved)?;
        if let Some(from) = moved {
            rebuild::relocate(&self.server.layout, from).map_err(internal)?;
        }
        let is_new = self.server.store.app(name).map_err(internal)?.is_none();
        let app = verb::app::find_or_create(self.server, name, true)?;
        let done = with_lock(self.server, name, |app| self.replace(saved, &app));
        match done {
            Err(problem) if is_new => {
                verb::app::destroy(self.server, name, name.as_str())?;
                Err(problem)
            }
            Err(problem) => Err(problem),
            Ok(()) => {
                let backup = self.backup.info.id.clone();
                self.server.record(Some(&app), None, Event::BackupRestored { backup });
                Ok(())
            }
        }
    }

    /// What is there now is backed up before it is replaced: a restore can be taken back.
    fn keep_present(&self, of: &BackupOf) -> Result<(), Problem> {
        let target = Some(self.backup.info.target.clone());
        let request = CreateBackupRequest { app: of.app(), addon: of.addon(), target };
        let kept = create(self.server, &request, false, self.tell)?;
        say(self.tell, format!("{of} as it is now is kept as backup {}", kept.id));
        Ok(())
    }

    /// Its directories, and of what was built what is not there any more.
    fn wanted(&self, saved: &SavedApp) -> Vec<PathBuf> {
        let layout = &self.server.layout;
        let own = [layout.data(&saved.name), layout.repository(&saved.name)].into_iter();
        let volumes = saved.volumes.iter().map(|volume| layout.volume(&volume.name));
        let built = saved.release.iter().flat_map(|release| manifest::built(layout, &release.artifact));
        let missing = built.filter(|path| !path.exists());
        let beneath = |path: PathBuf| path.strip_prefix(layout.root()).ok().map(PathBuf::from);
        let all = own.chain(volumes).chain(missing).filter_map(beneath);
        all.filter(|path| self.manifest.files.paths.contains(path)).collect()
    }

    pub(super) fn put_built(&self, saved: &SavedApp) -> Result<(), Problem> {
        let layout = &self.server.layout;
        for path in saved.release.iter().flat_map(|release| manifest::built(layout, &release.artifact)) {
            let Ok(beneath) = path.strip_prefix(layout.root()) else { continue };
            let staged = self.staging.join(beneath);
            if staged.exists() && !path.exists() {
                path.parent().map_or(Ok(()), fs::create_dir_all).map_err(internal)?;
                fs::rename(staged, path).map_err(internal)?;
            }
        }
        Ok(())
    }

    /// Puts directories, config and release in place. The caller holds the app's lock.
    fn replace(&self, saved: &SavedApp, app: &App) -> Result<(), Problem> {
        let server = self.server;
        let was_running = app.current.is_some() && !app.stopped;
        let swaps = self.swaps(saved, app)?;
        if was_running {
            say(self.tell, format!("{} stands still", app.name));
            stop(server, app)?;
        }
        let way = Way { server, place: &self.place, tell: self.tell };
        let outcome = self.swap(&swaps).and_then(|()| {
            let made = way.restore_all(saved, app, &self.manifest.streams)?;
            self.bring_up(saved, app).inspect_err(|_| {
                // The first problem is the one to tell.
                let _ = way.take_back(app, &made);
            })
        });
        match outcome {
            Ok(()) => self.forget_old(&swaps),
            Err(problem) => {
                self.swap_back(app, &swaps)?;
                if was_running {
                    start(server, server.app(&app.name)?)?;
                }
                Err(problem)
            }
        }
    }

    /// Makes the saved release the app's next one, and brings it up.
    fn bring_up(&self, saved: &SavedApp, app: &App) -> Result<(), Problem> {
        let (server, store) = (self.server, &self.server.store);
        let before = store.config(app).map_err(internal)?;
        self.settings(saved, app).map_err(internal)?;
        let Some(release) = &saved.release else { return Ok(()) };
        let reason = format!("Restore of {}", self.backup.info.id);
        let mut artifact = release.artifact.clone();
        for value in artifact.processes.late_env.values_mut() {
            if let EnvDefault::Addon { addon, .. } = value {
                *addon = service::name_for(saved, app, addon)?;
            }
        }
        let made = store.create_release(app, &artifact, &release.config, &reason).map_err(internal)?;
        say(self.tell, format!("starting {} {}", app.name, made.number));
        let up =
            changing(Context::new(server, server.app(&app.name)?, None), |cx| deploy::converge(cx, &made));
        if up.is_err() {
            store.replace_config(app, &before).map_err(internal)?;
            store.fail_release(app, made.number).map_err(internal)?;
        }
        up
    }

    fn settings(&self, saved: &SavedApp, app: &App) -> anyhow::Result<()> {
        let store = &self.server.store;
        store.replace_config(app, &saved.config)?;
        store.set_scale(app, &saved.scale)?;
        store.set_sleep(app, &saved.sleep)?;
        store.set_branch(app, &saved.branch)?;
        store.replace_proxy_settings(app, &saved.proxy.clone().into_iter().collect())?;
        if app.name == saved.name {
            // Those that another app has meanwhile stay its own.
            for domain in &saved.domains {
                store.add_domain(app, domain)?;
            }
            for mount in &saved.mounts {
                store.add_mount(app, &mount.domain, mount.path.as_deref().unwrap_or("/"))?;
            }
        }
        Ok(())
    }
}
