// SPDX-License-Identifier: Apache-2.0
//! `storage list|info`, and how much volumes hold.

use super::create::gone_ms;
use super::snapshot::snapshots;
use super::{find, inside};
use crate::server::{Server, internal};
use crate::store::Volume;
use hop3_core::api::{VolumeInfo, VolumeMount};
use hop3_core::event::Event;
use hop3_core::name::VolumeName;
use hop3_core::problem::Problem;

/// From so much of its size on it is told.
const WARN_PERCENT: u64 = 90;

pub(crate) fn list(server: &Server) -> Result<Vec<VolumeInfo>, Problem> {
    server.store.volumes().map_err(internal)?.iter().map(|volume| of(server, volume)).collect()
}

pub(crate) fn info(server: &Server, name: &VolumeName) -> Result<VolumeInfo, Problem> {
    of(server, &find(server, name)?)
}

fn of(server: &Server, volume: &Volume) -> Result<VolumeInfo, Problem> {
    let apps = server.store.apps_of_volume(volume).map_err(internal)?;
    let apps = apps.into_iter().map(|(app, path, owner)| VolumeMount { app: app.name, path, owner });
    Ok(VolumeInfo {
        name: volume.name.clone(),
        size_bytes: volume.size_bytes,
        used_bytes: measure(server, volume),
        apps: apps.collect(),
        snapshots: snapshots(server, volume),
        directory: server.layout.volume_data(&volume.name).to_string_lossy().into_owned(),
        gone_ms: gone_ms(volume),
        created_ms: volume.created_ms,
    })
}

/// What it takes on the disk. Tells once when that is nearly all it should, and again after it was less.
fn measure(server: &Server, volume: &Volume) -> Option<u64> {
    let printed = inside::run(server, volume, &["du", "-s", "-B1", "data"])
        .inspect_err(|problem| {
            tracing::warn!(volume = %volume.name, problem = problem.title, detail = problem.detail, "not measured");
        })
        .ok()?;
    let used_bytes: u64 = printed.split_ascii_whitespace().next()?.parse().ok()?;
    if let Some(size_bytes) = volume.size_bytes {
        let is_full = used_bytes.saturating_mul(100) >= size_bytes.saturating_mul(WARN_PERCENT);
        if server.store.set_volume_warned(volume, is_full).unwrap_or(false) && is_full {
            warn(server, volume, used_bytes, size_bytes);
        }
    }
    Some(used_bytes)
}

/// Each app that sees it is told; if none does, the server's own log is.
fn warn(server: &Server, volume: &Volume, used_bytes: u64, size_bytes: u64) {
    let event = Event::VolumeFilled { volume: volume.name.clone(), used_bytes, size_bytes };
    let apps = server.store.apps_of_volume(volume).unwrap_or_default();
    for (app, ..) in &apps {
        server.record(Some(app), None, event.clone());
    }
    if apps.is_empty() {
        server.record(None, None, event);
    }
}

/// Looks at those that have a size.
pub(crate) fn measure_all(server: &Server) -> Result<(), Problem> {
    let volumes = server.store.volumes().map_err(internal)?;
    for volume in volumes.iter().filter(|volume| volume.size_bytes.is_some()) {
        measure(server, volume);
    }
    Ok(())
}
