// SPDX-License-Identifier: Apache-2.0
//! Volumes.

use super::size::bytes;
use super::style::Style;
use super::table::Table;
use super::time::clock;
use hop3_core::api::{VolumeInfo, VolumeMount, VolumeSnapshot};
use jiff::tz::TimeZone;

pub(crate) fn volume_table(volumes: &[VolumeInfo], zone: &TimeZone, style: Style) -> String {
    let mut table = Table::new(["VOLUME", "USED", "SIZE", "APPS", "STATE", "CREATED"]);
    for volume in volumes {
        let apps: Vec<String> = volume.apps.iter().map(app).collect();
        table.row([
            volume.name.to_string(),
            used(volume),
            volume.size_bytes.map_or_else(|| "-".to_owned(), bytes),
            if apps.is_empty() { "-".to_owned() } else { apps.join(", ") },
            volume
                .gone_ms
                .map_or_else(|| "-".to_owned(), |gone| format!("destroyed, gone {}", clock(gone, zone))),
            clock(volume.created_ms, zone),
        ]);
    }
    table.render(style)
}

pub(crate) fn snapshot_table(snapshots: &[VolumeSnapshot], zone: &TimeZone, style: Style) -> String {
    let mut table = Table::new(["SNAPSHOT", "MADE"]);
    for snapshot in snapshots {
        table.row([snapshot.name.to_string(), clock(snapshot.created_ms, zone)]);
    }
    table.render(style)
}

fn used(volume: &VolumeInfo) -> String {
    match (volume.used_bytes, volume.size_bytes) {
        (None, _) => "?".to_owned(),
        (Some(used), Some(size @ 1..)) => {
            format!("{} ({} %)", bytes(used), used.saturating_mul(100) / size)
        }
        (Some(used), _) => bytes(used),
    }
}

fn app(mount: &VolumeMount) -> String {
    let access = if mount.owner { "" } else { " (reads)" };
    format!("{} at {}{access}", mount.app, mount.path)
}
