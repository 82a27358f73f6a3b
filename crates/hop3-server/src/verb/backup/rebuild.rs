// SPDX-License-Identifier: Apache-2.0
//! `backup restore --server`: an empty root becomes the server that was saved. Two steps, since the second needs the
//! store that the first brings: `fetch` puts every file in place, `finish` brings the addons back.
//!
//! The store comes last: a root that was filled half-way has none, and no server starts on it unseen.

mod relocate;

pub(super) use relocate::files as relocate;

use super::manifest::{self, Manifest};
use super::service::Way;
use super::{import, say, target};
use crate::server::{Server, internal};
use crate::store::{Store, Target, TargetBody};
use hop3_core::backup::{BackupId, BackupInfo, RebuildRequest, Tell};
use hop3_core::driver::{BackupPlace, BackupStore, Runner, Snapshot, Taken};
use hop3_core::layout::Layout;
use hop3_core::problem::{Kind, Problem};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was brought.
pub struct Fetched {
    manifest: Manifest,
    place: BackupPlace,
    body: TargetBody,
}

/// Fills an empty root with the files of the newest backup of a server, or of the one that is named.
pub fn fetch(
    layout: &Layout,
    (runner, backups): (&dyn Runner, &dyn BackupStore),
    request: &RebuildRequest,
    tell: Tell<'_>,
) -> Result<Fetched, Problem> {
    if layout.database().exists() {
        let title = format!("{} is not empty: there is a server already", layout.root().display());
        return Err(Problem::new(Kind::Conflict, "backup.not-empty", title).hint(
            "name an empty directory with --root; a single app comes back with: hop3 backup restore ID",
        ));
    }
    let place = BackupPlace {
        location: request.location.clone(),
        env: request.env.clone(),
        key: request.key.clone(),
        // Everything comes back with the owner it had, which only the caller may give.
        user: None,
        upload_kib: None,
    };
    runner.give(&layout.backup_home(), None)?;
    let chosen = choose(&backups.list(&place, &["hop3".to_owned(), "part=manifest".to_owned()])?, request)?;
    let mut text = Vec::new();
    backups.dump(&place, &chosen, Path::new(manifest::FILE), &mut text)?;
    let manifest = manifest::parse(&text)?;
    say(tell, format!("bringing back {} with {} apps", manifest.id, manifest.apps.len()));
    let staging = layout.backup_staging("server");
    let taken = Taken { snapshot: &manifest.files.snapshot, paths: &[], twice: false };
    backups.restore(&place, taken, &staging)?;
    let store = staging.join(beneath(layout, &layout.backup_database()));
    let kept = layout.backup_staging("hop3.db");
    fs::rename(&store, &kept).map_err(internal)?;
    settle(&staging, layout.root()).map_err(internal)?;
    if manifest.root != layout.root() {
        say(tell, format!("it lay in {}: what names that place is changed", manifest.root.display()));
        relocate::files(layout, &manifest.root).map_err(internal)?;
    }
    fs::rename(&kept, layout.database()).map_err(internal)?;
    runner.remove(&staging)?;
    let body = TargetBody { location: request.location.expose().clone(), env: request.env.expose().clone() };
    Ok(Fetched { manifest, place, body })
}

fn choose(manifests: &[Snapshot], request: &RebuildRequest) -> Result<String, Problem> {
    let id_of = |snapshot: &Snapshot| {
        snapshot.tags.iter().find_map(|tag| tag.strip_prefix("backup=")).map(str::to_owned)
    };
    let whole = manifests.iter().filter(|snapshot| !snapshot.tags.iter().any(|tag| tag.starts_with("app=")));
    let wanted = request.backup.as_ref().map(BackupId::as_str);
    let mut fitting = whole.filter(|snapshot| wanted.is_none() || id_of(snapshot).as_deref() == wanted);
    let found = fitting.next_back().map(|snapshot| snapshot.id.clone());
    found.ok_or_else(|| {
        Problem::new(Kind::NotFound, "backup.no-server", "there is no such backup of a whole server")
            .detail(format!("{} backups of apps are there", manifests.len()))
            .hint("they are made with: hop3 backup create --server")
    })
}

fn beneath<'p>(layout: &Layout, path: &'p Path) -> &'p Path {
    path.strip_prefix(layout.root()).unwrap_or(path)
}

/// Moves what lies in one directory into another; directories that are there already take in what theirs has.
fn settle(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() && place.is_dir() {
            settle(&entry.path(), &place)?;
        } else {
            fs::rename(entry.path(), place)?;
        }
    }
    Ok(())
}

/// Puts the store right for where it lies now, and brings every addon back. The server is not serving yet.
pub fn finish(server: &Arc<Server>, fetched: &Fetched, tell: Tell<'_>) -> Result<Vec<BackupInfo>, Problem> {
    let Fetched { manifest, place, body } = fetched;
    if manifest.root != server.layout.root() {
        relocate::store(server, &manifest.root).map_err(internal)?;
    }
    for app in server.store.apps().map_err(internal)? {
        let runner = &server.drivers.runner;
        let directories = [server.layout.data(&app.name), server.layout.home(&app.name)];
        // What was saved has its owner already.
        for directory in directories.iter().filter(|directory| !directory.exists()) {
            runner.give(directory, runner.is_privileged().then(|| app.uid()))?;
        }
    }
    let way = Way { server, place, tell };
    for stream in &manifest.streams {
        way.revive(stream)?;
    }
    // What the caller's own user has left there would be in the way of the one that has it from now on.
    server.drivers.runner.remove(&server.layout.backup_home())?;
    let name = known_as(&server.store, body)?;
    let (_, place) = target::place(server, Some(&name))?;
    server.drivers.backups.prepare(&place)?;
    import::import(server, &name, &place)?;
    let all = server.store.backups().map_err(internal)?;
    Ok(all.into_iter().map(|backup| backup.info).filter(|info| info.id == manifest.id).collect())
}

/// The name of the target that all of it came from; a new one when the store does not know the place.
fn known_as(store: &Store, body: &TargetBody) -> Result<String, Problem> {
    let targets = store.backup_targets().map_err(internal)?;
    if let Some(known) = targets.iter().find(|target| target.body.location == body.location) {
        return Ok(known.name.clone());
    }
    let names = std::iter::once("restored".to_owned()).chain((2..).map(|n| format!("restored-{n}")));
    for name in names {
        let body = TargetBody { location: body.location.clone(), env: body.env.clone() };
        let target = Target { name, body, upload_kib: None };
        if store.add_backup_target(&target).map_err(internal)? {
            return Ok(target.name);
        }
    }
    Err(internal(anyhow::anyhow!("every name of a target is taken")))
}

/// The path as it is now of one that lay beneath the former root.
fn moved(text: &str, from: &Path, to: &Path) -> Option<PathBuf> {
    Path::new(text).strip_prefix(from).ok().map(|rest| to.join(rest))
}
