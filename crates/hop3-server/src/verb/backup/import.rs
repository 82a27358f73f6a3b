// SPDX-License-Identifier: Apache-2.0
//! What a target holds that the store does not know: backups made before the store's copy was, or by the server that
//! this one took the place of. Everything a list tells is in the tags of the manifest's snapshot.

use crate::server::{Server, internal};
use crate::store::Backup;
use hop3_core::backup::{BackupId, BackupInfo, BackupOf};
use hop3_core::driver::{BackupPlace, Snapshot};
use hop3_core::problem::Problem;
use std::str::FromStr;

/// The tags that say what a list tells.
pub(super) fn tags(info: &BackupInfo) -> Vec<String> {
    vec![
        format!("made={}", info.made_ms),
        format!("files={}", info.files),
        format!("bytes={}", info.bytes),
        format!("added={}", info.added_bytes),
        format!("scheduled={}", info.scheduled),
    ]
}

/// Adds to the store what it does not know of a target.
pub(super) fn import(server: &Server, target: &str, place: &BackupPlace) -> Result<(), Problem> {
    let snapshots = server.drivers.backups.list(place, &["hop3".to_owned()])?;
    let known = server.store.backups().map_err(internal)?;
    let is_known = |id: &BackupId| known.iter().any(|one| one.info.target == target && one.info.id == *id);
    for manifest in snapshots.iter().filter(|snapshot| snapshot.tags.iter().any(|tag| tag == "part=manifest"))
    {
        match backup(target, manifest, &snapshots) {
            Some(backup) if !is_known(&backup.info.id) => {
                server.store.add_backup(&backup).map_err(internal)?
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn backup(target: &str, manifest: &Snapshot, all: &[Snapshot]) -> Option<Backup> {
    let id: BackupId = tag(manifest, "backup")?;
    let of_id = format!("backup={id}");
    let word: Option<String> = tag(manifest, "app");
    let of = BackupOf::of_word(word.as_deref()).ok()?;
    let part = of.addon().map_or_else(|| "part=data".to_owned(), |addon| format!("part=addon:{addon}"));
    let is_files = |snapshot: &&Snapshot| {
        let has = |wanted: &str| snapshot.tags.iter().any(|tag| tag == wanted);
        has(&of_id) && has(&part)
    };
    Some(Backup {
        info: BackupInfo {
            target: target.to_owned(),
            app: of.app(),
            addon: of.addon(),
            made_ms: tag(manifest, "made")?,
            files: tag(manifest, "files")?,
            bytes: tag(manifest, "bytes")?,
            added_bytes: tag(manifest, "added")?,
            scheduled: tag(manifest, "scheduled")?,
            proven_ms: None,
            digest: None,
            problem: None,
            id,
        },
        manifest: manifest.id.clone(),
        files_snapshot: all.iter().find(is_files)?.id.clone(),
    })
}

fn tag<T: FromStr>(snapshot: &Snapshot, name: &str) -> Option<T> {
    let value = snapshot.tags.iter().find_map(|tag| tag.strip_prefix(name)?.strip_prefix('='))?;
    value.parse().ok()
}
