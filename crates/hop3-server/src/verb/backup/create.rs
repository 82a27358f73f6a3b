// SPDX-License-Identifier: Apache-2.0
//! `backup create`: of an app, of an addon by itself, or of the whole server.
//!
//! Order: what services give of themselves, then all files in one snapshot, then the manifest. Only the manifest
//! makes it a backup.

use super::manifest::{self, Files, Manifest, SavedApp, Stream};
use super::service::{self, Way};
use super::{hook, import, progress, say, scratch, target, whole};
use crate::server::{Server, internal};
use crate::store::{Addon, App, Backup, Release, now_ms};
use hop3_core::backup::{BackupId, BackupInfo, BackupOf, CreateBackupRequest, Tell};
use hop3_core::driver::{BackupPlace, Content, Save, Saved};
use hop3_core::event::Event;
use hop3_core::problem::{Kind, Problem};
use hop3_core::settings::BackupSettings;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

/// Who has asked, and what for.
struct Work<'a> {
    server: &'a Arc<Server>,
    id: BackupId,
    of: BackupOf,
    target: String,
    place: BackupPlace,
    /// It is one of this server's backups, and not somebody's parcel.
    is_kept: bool,
    tell: Tell<'a>,
}

/// What goes into it.
struct Wanted {
    apps: Vec<App>,
    addons: Vec<Addon>,
}

pub(crate) fn create(
    server: &Arc<Server>,
    request: &CreateBackupRequest,
    scheduled: bool,
    tell: Tell<'_>,
) -> Result<BackupInfo, Problem> {
    let of = BackupOf::new(request.app.as_ref(), request.addon.as_ref());
    let app = request.app.as_ref().map_or(Ok(None), |name| server.store.app(name)).map_err(internal)?;
    let made = make(server, (&of, request.target.as_deref()), scheduled, tell);
    let event = match &made {
        Ok(info) => Event::BackupMade { backup: info.id.clone(), bytes: info.bytes },
        // A name that somebody mistyped is news to him alone.
        Err(problem) if problem.kind == Kind::NotFound && !scheduled => return made,
        Err(problem) => Event::BackupFailed { problem: problem.clone() },
    };
    server.record(app.as_ref(), None, event);
    made
}

fn make(
    server: &Arc<Server>,
    (of, target): (&BackupOf, Option<&str>),
    scheduled: bool,
    tell: Tell<'_>,
) -> Result<BackupInfo, Problem> {
    crate::disk::require_room(&server.layout)?;
    let (apps, addons) = match of {
        BackupOf::Server => (server.store.apps().map_err(internal)?, service::all(server)?),
        BackupOf::App(name) => {
            let app = server.app(name)?;
            let addons = service::bound(server, &app)?;
            (vec![app], addons)
        }
        BackupOf::Addon(name) => (Vec::new(), vec![service::savable(server, name)?]),
    };
    let proven = scratch::names(&server.layout);
    let is_scratch = |name: &str| proven.iter().any(|scratch| scratch == name);
    let apps = apps.into_iter().filter(|app| !is_scratch(app.name.as_str())).collect();
    let addons = addons.into_iter().filter(|addon| !is_scratch(addon.wanted.name.as_str())).collect();
    let _one = server.backing_up.lock().unwrap_or_else(PoisonError::into_inner);
    let (target, place) = target::place(server, target)?;
    let work = Work { server, id: new_id()?, of: of.clone(), target, place, is_kept: true, tell };
    work.run(&Wanted { apps, addons }, scheduled)
}

/// Saves an app in a place of its own; the store hears nothing of it.
pub(super) fn aside(
    server: &Arc<Server>,
    app: &App,
    place: BackupPlace,
    tell: Tell<'_>,
) -> Result<(), Problem> {
    let of = BackupOf::App(app.name.clone());
    let work = Work { server, id: new_id()?, of, target: "parcel".to_owned(), place, is_kept: false, tell };
    let addons = service::bound(server, app)?;
    work.run(&Wanted { apps: vec![app.clone()], addons }, false).map(drop)
}

impl Work<'_> {
    fn run(&self, wanted: &Wanted, scheduled: bool) -> Result<BackupInfo, Problem> {
        let server = self.server;
        let mut parts = Vec::new();
        for app in &wanted.apps {
            parts.push((app, self.release(app)?));
        }
        let saved =
            self.hooked(&parts, |hooks| &hooks.before).and_then(|()| self.save(&wanted.addons, &parts));
        // Whatever happened, what was done before is undone.
        let after = self.hooked(&parts, |hooks| &hooks.after);
        let (files, paths, streams) = saved?;
        after?;
        let is_whole = self.of == BackupOf::Server;
        let counted = counted(&files, paths);
        let mut manifest = Manifest::new(self.id.clone(), server.layout.root(), counted, is_whole);
        manifest.apps = parts
            .iter()
            .map(|(app, release)| SavedApp::of(server, app, release.as_ref()))
            .collect::<anyhow::Result<_>>()
            .map_err(internal)?;
        (manifest.streams, manifest.scheduled, manifest.unread) = (streams, scheduled, files.unread.clone());
        self.finish(&manifest)
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
        addons: &[Addon],
        parts: &[(&App, Option<Release>)],
    ) -> Result<(Saved, Vec<PathBuf>, Vec<Stream>), Problem> {
        let way = Way { server: self.server, place: &self.place, tell: self.tell };
        let mut streams = Vec::new();
        for addon in addons {
            let part = format!("addon:{}", addon.wanted.name);
            streams.extend(way.save(addon, &self.tags(&[&part]))?);
        }
        if let BackupOf::Addon(_) = self.of {
            return Ok((none(&streams), Vec::new(), streams));
        }
        let mut paths = Vec::new();
        for (app, release) in parts {
            paths.extend(self.paths(app, release.as_ref())?);
        }
        if self.of == BackupOf::Server {
            paths.extend(whole::paths(self.server)?);
        }
        paths.sort();
        paths.dedup();
        let exclude =
            parts.iter().flat_map(|(app, release)| self.excluded(app, release.as_ref())).collect::<Vec<_>>();
        let files = self.files(&paths, &exclude)?;
        Ok((files, paths, streams))
    }

    /// Writes the manifest: from now on it is a backup.
    fn finish(&self, manifest: &Manifest) -> Result<BackupInfo, Problem> {
        let text = serde_json::to_vec(manifest).map_err(internal)?;
        let content = Content::Stream { name: manifest::FILE, from: &mut text.as_slice() };
        let info = manifest.info(self.target.clone(), &self.of);
        let mut tags = self.tags(&["manifest"]);
        tags.extend(import::tags(&info));
        let save = Save { tags: &tags, content, exclude: &[], parent: None };
        let kept = self.server.drivers.backups.save(&self.place, save, &mut |_| {})?;
        if self.is_kept {
            let files_snapshot = manifest.files.snapshot.clone();
            let row = Backup { info: info.clone(), manifest: kept.snapshot, files_snapshot };
            self.server.store.add_backup(&row).map_err(internal)?;
        }
        Ok(info)
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

    fn files(&self, paths: &[PathBuf], exclude: &[PathBuf]) -> Result<Saved, Problem> {
        say(self.tell, format!("saving to {}", self.target));
        let parent = self.parent()?;
        let tags = self.tags(&["data", "repo", "release"]);
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
    fn parent(&self) -> Result<Option<String>, Problem> {
        let all = self.server.store.backups().map_err(internal)?;
        let same = |backup: &&Backup| backup.info.target == self.target && backup.info.of() == self.of;
        Ok(all.iter().find(same).map(|backup| backup.files_snapshot.clone()))
    }

    /// What is of the whole server is of no app; an addon's word stands where an app's name would.
    fn tags(&self, parts: &[&str]) -> Vec<String> {
        let mut tags = vec!["hop3".to_owned(), format!("backup={}", self.id)];
        tags.extend(self.of.word().map(|word| format!("app={word}")));
        tags.extend(parts.iter().map(|part| format!("part={part}")));
        tags
    }
}

/// No files at all; the snapshot is that of the stream, so that there is one.
fn none(streams: &[Stream]) -> Saved {
    let snapshot = streams.first().map(|stream| stream.snapshot.clone()).unwrap_or_default();
    Saved { snapshot, files: 0, bytes: 0, added_bytes: 0, unread: Vec::new() }
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
