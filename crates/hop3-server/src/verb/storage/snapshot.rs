// SPDX-License-Identifier: Apache-2.0
//! `storage snapshot|restore|forget`: what a volume held at a time, kept beside it. Files share their blocks with those
//! of the volume until one of the two is written (ioctl_ficlone(2)), so the file system must be one that can do that.

use super::replace::replace;
use super::{find, inside};
use crate::server::{Server, internal};
use crate::store::{Volume, now_ms};
use hop3_core::api::VolumeSnapshot;
use hop3_core::name::{SnapshotName, VolumeName};
use hop3_core::problem::{Kind, Problem};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Shares the blocks of every file, and fails where it cannot.
const COPY: [&str; 3] = ["cp", "--archive", "--reflink=always"];

pub(crate) fn snapshot(
    server: &Server,
    name: &VolumeName,
    called: Option<SnapshotName>,
) -> Result<(), Problem> {
    let called = called.map_or_else(by_time, Ok)?;
    server.volume_turn(name, || {
        let volume = find(server, name)?;
        let path = server.layout.volume_snapshot(name, &called);
        if path.exists() {
            let title = format!("{name} has a snapshot \"{called}\" already");
            return Err(Problem::new(Kind::Conflict, "storage.snapshot-exists", title)
                .hint("give it another name with: --as NAME"));
        }
        check_shares(&server.layout.volume(name))?;
        let made = make(server, &volume, &called);
        if made.is_err() {
            // The first problem is the one to tell; the next snapshot removes it too.
            let _ = inside::run(server, &volume, &["rm", "-rf", "incoming"]);
        }
        made
    })
}

/// It has its name once it is whole.
fn make(server: &Server, volume: &Volume, called: &SnapshotName) -> Result<(), Problem> {
    let run = |argv: &[&str]| inside::run(server, volume, argv).map(drop);
    run(&["rm", "-rf", "incoming"])?;
    run(&["mkdir", "-p", "incoming", "snapshots"])?;
    run(&[&COPY[..], &["--", "data", "incoming/"]].concat())?;
    run(&["mv", "--no-target-directory", "--", "incoming", &format!("snapshots/{called}")])
}

/// Replaces what a volume holds by what it held then. The snapshot stays.
pub(crate) fn restore(server: &Server, name: &VolumeName, called: &SnapshotName) -> Result<(), Problem> {
    server.volume_turn(name, || {
        let volume = find(server, name)?;
        check_known(server, name, called)?;
        let from = format!("snapshots/{called}/data/.");
        let argv = [&COPY[..], &["--", &from, "incoming"]].concat();
        replace(server, &volume, || inside::run(server, &volume, &argv).map(drop))
    })
}

pub(crate) fn forget(server: &Server, name: &VolumeName, called: &SnapshotName) -> Result<(), Problem> {
    server.volume_turn(name, || {
        find(server, name)?;
        check_known(server, name, called)?;
        server.drivers.runner.remove(&server.layout.volume_snapshot(name, called))
    })
}

/// The oldest first.
pub(super) fn snapshots(server: &Server, volume: &Volume) -> Vec<VolumeSnapshot> {
    let entries = std::fs::read_dir(server.layout.volume_snapshots(&volume.name));
    let of = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_str()?.parse().ok()?;
        let created = entry.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(VolumeSnapshot { name, created_ms: created.as_millis() as u64 })
    };
    let mut found: Vec<_> = entries.into_iter().flatten().flatten().filter_map(of).collect();
    found.sort_by(|a, b| (a.created_ms, &a.name).cmp(&(b.created_ms, &b.name)));
    found
}

fn check_known(server: &Server, name: &VolumeName, called: &SnapshotName) -> Result<(), Problem> {
    if server.layout.volume_snapshot(name, called).exists() {
        return Ok(());
    }
    let title = format!("{name} has no snapshot \"{called}\"");
    Err(Problem::new(Kind::NotFound, "storage.unknown-snapshot", title)
        .hint(format!("see them with: hop3 storage info {name}")))
}

/// `at-20261127-140509`.
fn by_time() -> Result<SnapshotName, Problem> {
    let now = jiff::Timestamp::from_millisecond(now_ms() as i64).map_err(internal)?;
    now.strftime("at-%Y%m%d-%H%M%S").to_string().parse()
}

fn check_shares(directory: &Path) -> Result<(), Problem> {
    match shares(directory) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL | Errno::NOSYS) => {
            let title = "the file system of this volume cannot make snapshots";
            Err(Problem::new(Kind::Unavailable, "storage.no-snapshots", title)
                .detail("files cannot share their blocks there; those of btrfs, XFS and bcachefs can")
                .hint("copy what it holds with: hop3 storage export, or keep it with: hop3 backup create"))
        }
        Err(error) => Err(internal(error)),
    }
}

/// Tries it with two files that nobody sees.
fn shares(directory: &Path) -> rustix::io::Result<()> {
    let unnamed = || {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR)
    };
    let (from, to) = (unnamed()?, unnamed()?);
    rustix::io::write(&from, b"shared")?;
    rustix::fs::ioctl_ficlone(&to, &from)
}
