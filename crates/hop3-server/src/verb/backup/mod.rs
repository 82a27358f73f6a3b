// SPDX-License-Identifier: Apache-2.0
//! `backup create|list|info|restore|verify|schedule|prune|targets|key`.
//!
//! A backup is a few snapshots with its id as a tag; its manifest is made last, so that one that was cut off is none.
//! Reading order: `manifest`, `target` (where they go), `create`, `service` (addons), `restore`, `verify`, `scratch`
//! (what a proof makes).

mod create;
mod hook;
mod import;
mod manifest;
mod parcel;
mod prune;
pub mod rebuild;
mod restore;
mod scratch;
mod service;
mod target;
mod verify;
mod whole;

pub(crate) use create::create;
pub(crate) use parcel::{export, import};
pub(crate) use prune::{failing, note_outcome, prune, schedule, schedules, unschedule};
pub(crate) use restore::{interrupted, restore};
pub(crate) use target::{add, key, remove, targets};
pub(crate) use verify::{prove, verify};

use crate::server::{Server, internal};
use crate::store::Backup;
use hop3_core::backup::{
    BackupAddon, BackupApp, BackupDetail, BackupId, BackupInfo, BackupNews, BackupOf, BackupSchedule, Tell,
};
use hop3_core::driver::Progress;
use hop3_core::name::AppName;
use hop3_core::problem::{Kind, Problem};

fn say(tell: Tell<'_>, text: impl Into<String>) {
    tell(BackupNews::Said { text: text.into() });
}

fn progress(tell: Tell<'_>) -> impl FnMut(Progress) {
    move |p| tell(BackupNews::Progress { done_bytes: p.done_bytes, total_bytes: p.total_bytes })
}

/// Newest first; of an app, those of the whole server are among them.
pub(crate) fn list(server: &Server, app: Option<&AppName>) -> Result<Vec<BackupInfo>, Problem> {
    let all = server.store.backups().map_err(internal)?.into_iter().map(|backup| backup.info);
    Ok(all
        .filter(|info| app.is_none() || info.of() == BackupOf::Server || info.app.as_ref() == app)
        .collect())
}

pub(crate) fn info(server: &Server, id: &BackupId) -> Result<BackupDetail, Problem> {
    let backup = find(server, id)?;
    let manifest = manifest::read(server, &backup)?;
    let apps = manifest.apps.iter().map(|app| BackupApp {
        name: app.name.clone(),
        release: app.release.as_ref().map(|release| release.number.to_string()),
        domains: app.domains.iter().map(ToString::to_string).collect(),
        config_keys: app.config.keys().map(ToString::to_string).collect(),
        parts: app.parts(&manifest),
    });
    let addons = manifest.streams.iter().map(|stream| {
        BackupAddon::new(stream.name.clone(), stream.kind.clone(), stream.bytes, stream.held.as_ref())
    });
    Ok(BackupDetail {
        apps: apps.collect(),
        addons: addons.collect(),
        hop3: manifest.hop3,
        unread: manifest.unread,
        backup: backup.info,
    })
}

fn find(server: &Server, id: &BackupId) -> Result<Backup, Problem> {
    let all = server.store.backups().map_err(internal)?;
    all.into_iter().find(|backup| backup.info.id == *id).ok_or_else(|| {
        Problem::new(Kind::NotFound, "backup.unknown", format!("there is no backup {id}"))
            .hint("see them with: hop3 backup list")
    })
}

/// The newest backup that a schedule made, or somebody by hand of the same.
pub(crate) fn newest_of(server: &Server, schedule: &BackupSchedule) -> Result<Option<Backup>, Problem> {
    let target = schedule.target.as_deref().unwrap_or(target::LOCAL);
    let all = server.store.backups().map_err(internal)?;
    Ok(all.into_iter().find(|backup| backup.info.of() == schedule.of() && backup.info.target == target))
}
