// SPDX-License-Identifier: Apache-2.0
//! `backup create`: of an app, or of the whole server.
//!
//! Order: what services give of themselves, then all files in one snapshot, then the manifest. Only the manifest
//! makes it a backup.

use super::manifest::{self, Files, Manifest, SavedApp, Stream};
use super::service::{self, Way};
use super::{hook, import, progress, say, target, whole};
use crate::server::{Server, internal};
use crate::store::{App, Backup, Release, now_ms};
use hop3_core::backup::{BackupId, BackupInfo, CreateBackupRequest, Tell};
use hop3_core::driver::{BackupPlace, Content, Save, Saved};
use hop3_core::event::Event;
use hop3_core::name::AppName;
use hop3_core::problem::Problem;
use hop3_core::settings::BackupSettings;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

/// Who has asked, and what for.
struct Work<'a> {
    server: &'a Arc<Server>,
    id: BackupId,
    target: String,
    place: BackupPlace,
    /// It is one of this server's backups, and not somebody's parcel.
    is_kept: bool,
    tell: Tell<'a>,
}

pub(crate) fn create(
    server: &Arc<Server>,
    request: &CreateBackupRequest,
    scheduled: bool,
    tell: Tell<'_>,
) -> Result<BackupInfo, Problem> {
    crate::disk::require_room(&server.layout)?;
    let apps = match &request.app {
        Some(name) => vec![server.app(name)?],
        None => server.store.apps().map_err(internal)?,
    };
    let _one = server.backing_up.lock().unwrap_or_else(PoisonError::into_inner);
    let (target, place) = target::place(server, request.target.as_deref())?;
    let work = Work { server, id: new_id()?, target, place, is_kept: true, tell };
    let made = work.run(&apps, request.app.is_none(), scheduled);
    let of = apps.first().filter(|_| request.app.is_some());
    let event = match &made {
        Ok(info) => Event::BackupMade { backup: info.id.clone(), bytes: info.bytes },
        Err(problem) => Event::BackupFailed { problem: problem.clone() },
    };
    server.record(of, None, event);
    made
}

/// Saves an app in a place of its own; the store hears nothing of it.
pub(super) fn aside(
    server: &Arc<Server>,
    app: &App,
    place: BackupPlace,
    tell: Tell<'_>,
) -> Result<(), Problem> {
    let work = Work { server, id: new_id()?, target: "parcel".to_owned(), place, is_kept: false, tell };
    work.run(std::slice::from_ref(app), false, false).map(drop)
}

impl Work<'_> {
    fn run(&self, apps: &[App], whole: bool, scheduled: bool) -> Result<BackupInfo, Problem> {
        let server = self.server;
        let name = (!whole).then(|| apps.first().map(|app| app.name.clone())).flatten();
        let of = name.as_ref().map(|name| name.as_str());
        let mut parts = Vec::new();
        for app in apps {
            parts.push((app, self.release(app)?));
        }
        let saved = self.hooked(&parts, |hooks| &hooks.before).and_then(|()| self.save(apps, &parts, of));
        // Whatever happened, what was done before is undone.
        let after = self.hooked(&parts, |hooks| &hooks.after);
        let (files, paths, streams) = saved?;
        after?;
        let counted = counted(&files, paths);
        let mut manifest = Manifest::new(self.id.clone(), server.layout.root(), counted, whole);
        manifest.apps = parts
            .iter()
            .map(|(app, release)| SavedApp::of(server, app, release.as_ref()))
            .collect::<anyhow::Result<_>>()
            .map_err(internal)?;
        (manifest.streams, manifest.scheduled, manifest.unread) = (streams, scheduled, files.unread.clone());
        self.finish(&manifest, of, &files).map(|()| self.info(&manifest, name))
    }

    fn hooked(
        &self,
        parts: &[(&App, Option<Release>)],
        lines: fn(&BackupSettings) -> &Vec<String>,
    ) -> Result<(), Problem> {
        parts.iter().try_for_each(|(app, release)| match release {
            Some(release) => {
                let lines = lines(&release.artifact.processes.backup);
                hook::run(self.server, (app, release), lines, self.tell)
            }
            None => Ok(()),
        })
    }

    /// Addons first: files may be written that tell of rows, never the other way round.
    fn save(
        &self,
        apps: &[App],
        parts: &[(&App, Option<Release>)],
        of: Option<&str>,
    ) -> Result<(Saved, Vec<PathBuf>, Vec<Stream>), Problem> {
        let way = Way { server: self.server, place: &self.place, tell: self.tell };
        let mut streams = Vec::new();
        for addon in service::addons(self.server, apps, of.is_none())? {
            let part = format!("addon:{}", addon.wanted.name);
            streams.extend(way.save(&addon, &self.tags(of, &[&part]))?);
        }
        let mut paths = Vec::new();
        for (app, release) in parts {
            paths.extend(self.paths(app, release.as_ref())?);
        }
        if of.is_none() {
            paths.extend(whole::paths(self.server)?);
        }
        paths.sort();
        paths.dedup();
        let exclude =
            parts.iter().flat_map(|(app, release)| self.excluded(app, release.as_ref())).collect::<Vec<_>>();
        let files = self.files(of, &paths, &exclude)?;
        Ok((files, paths, streams))
    }

    /// Writes the manifest: from now on it is a backup.
    fn finish(&self, manifest: &Manifest, of: Option<&str>, files: &Saved) -> Result<(), Problem> {
        let text = serde_json::to_vec(manifest).map_err(internal)?;
        let content = Content::Stream { name: manifest::FILE, from: &mut text.as_slice() };
        let mut tags = self.tags(of, &["manifest"]);
        let info =
            self.info(manifest, manifest.apps.first().filter(|_| of.is_some()).map(|app| app.name.clone()));
        tags.extend(import::tags(&info));
        let save = Save { tags: &tags, content, exclude: &[], parent: None };
        let kept = self.server.drivers.backups.save(&self.place, save, &mut |_| {})?;
        if !self.is_kept {
            return Ok(());
        }
        let row = Backup { info, manifest: kept.snapshot, files_snapshot: files.snapshot.clone() };
        self.server.store.add_backup(&row).map_err(internal)
    }

    fn info(&self, manifest: &Manifest, app: Option<AppName>) -> BackupInfo {
        manifest.info(self.target.clone(), app)
    }

    fn release(&self, app: &App) -> Result<Option<Release>, Problem> {
        let Some(number) = app.current else { return Ok(None) };
        self.server.store.release(app, number).map_err(internal)
    }

    /// What of an app lies in directories, relative to the root.
    fn paths(&self, app: &App, release: Option<&Release>) -> Result<Vec<PathBuf>, Problem> {
        let layout = &self.server.layout;
        let mut paths = vec![layout.data(&app.name), layout.repository(&app.name)];
        let volumes = self.server.store.attached(app).map_err(internal)?;
        let owned = volumes.iter().filter(|attached| attached.is_owner);
        paths.extend(owned.map(|attached| layout.volume(&attached.volume.name)));
        paths.extend(release.into_iter().flat_map(|release| manifest::built(layout, &release.artifact)));
        let beneath = |path: PathBuf| path.strip_prefix(layout.root()).ok().map(PathBuf::from);
        Ok(paths.into_iter().filter(|path| path.exists()).filter_map(beneath).collect())
    }

    fn excluded(&self, app: &App, release: Option<&Release>) -> Vec<PathBuf> {
        let data = PathBuf::from("apps").join(app.name.as_str()).join("data");
        let patterns = release.into_iter().flat_map(|release| &release.artifact.processes.backup.exclude);
        patterns.map(|pattern| data.join(pattern)).collect()
    }

    fn files(&self, app: Option<&str>, paths: &[PathBuf], exclude: &[PathBuf]) -> Result<Saved, Problem> {
        say(self.tell, format!("saving to {}", self.target));
        let parent = self.parent(app)?;
        let tags = self.tags(app, &["data", "repo", "release"]);
        let save = |parent: Option<&str>| {
            let save = Save { tags: &tags, content: Content::Paths(paths), exclude, parent };
            self.server.drivers.backups.save(&self.place, save, &mut progress(self.tell))
        };
        match save(parent.as_deref()) {
            // It was taken away by another hand: everything is read again, and nothing is sent twice.
            Err(problem) if problem.code == "backup.no-snapshot" && parent.is_some() => save(None),
            saved => saved,
        }
    }

    /// The newest backup of the same there, which most of this one is in already.
    fn parent(&self, app: Option<&str>) -> Result<Option<String>, Problem> {
        let all = self.server.store.backups().map_err(internal)?;
        let same = |backup: &&Backup| {
            backup.info.target == self.target && backup.info.app.as_ref().map(|name| name.as_str()) == app
        };
        Ok(all.iter().find(same).map(|backup| backup.files_snapshot.clone()))
    }

    fn tags(&self, app: Option<&str>, parts: &[&str]) -> Vec<String> {
        let mut tags = vec!["hop3".to_owned(), format!("backup={}", self.id)];
        tags.extend(app.map(|app| format!("app={app}")));
        tags.extend(parts.iter().map(|part| format!("part={part}")));
        tags
    }
}

fn counted(saved: &Saved, paths: Vec<PathBuf>) -> Files {
    Files {
        snapshot: saved.snapshot.clone(),
        files: saved.files,
        bytes: saved.bytes,
        added_bytes: saved.added_bytes,
        paths,
    }
}

fn new_id() -> Result<BackupId, Problem> {
    let random = crate::random::bytes::<2>().map_err(internal)?;
    let time = Timestamp::from_millisecond(now_ms() as i64).map_err(internal)?;
    let time = time.strftime("%Y%m%d-%H%M%S");
    format!("{time}-{:02x}{:02x}", random[0], random[1]).parse()
}
