// SPDX-License-Identifier: Apache-2.0
//! `storage create|destroy|recover`. Destroying takes two steps: what was destroyed is kept for days, in which it can
//! be brought back as it was.

use super::{find, find_any, user};
use crate::server::{Server, internal};
use crate::store::{Volume, now_ms};
use hop3_core::api::{CreateVolumeRequest, DestroyVolumeRequest, VolumeInfo};
use hop3_core::event::Event;
use hop3_core::name::VolumeName;
use hop3_core::problem::{Kind, Problem};

/// How long what was destroyed can be brought back.
const GRACE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// When a volume that was destroyed is gone for good.
pub(super) fn gone_ms(volume: &Volume) -> Option<u64> {
    volume.destroyed_ms.map(|at| at + GRACE_MS)
}

pub(crate) fn create(server: &Server, request: &CreateVolumeRequest) -> Result<VolumeInfo, Problem> {
    server.volume_turn(&request.name, || make(server, &request.name, request.size_bytes))?;
    super::info(server, &request.name)
}

/// Makes an empty one. The caller has its turn.
pub(super) fn make(server: &Server, name: &VolumeName, size_bytes: Option<u64>) -> Result<Volume, Problem> {
    let uid = server.store.next_uid().map_err(internal)?;
    let made = server.store.create_volume(name, uid, size_bytes).map_err(internal)?;
    let volume = made.ok_or_else(|| {
        Problem::new(Kind::Conflict, "storage.exists", format!("there is a volume \"{name}\" already"))
            .hint("choose another name; see all with: hop3 storage list")
    })?;
    give(server, &volume, uid).inspect_err(|_| {
        // The first problem is the one to tell.
        let _ = server.store.forget_volume(&volume);
    })?;
    Ok(volume)
}

/// Makes its directory, and its files those of a user.
pub(super) fn give(server: &Server, volume: &Volume, uid: u32) -> Result<(), Problem> {
    let layout = &server.layout;
    for directory in [layout.volume_data(&volume.name), layout.volume(&volume.name)] {
        server.drivers.runner.give(&directory, user(server, uid))?;
    }
    Ok(())
}

pub(crate) fn destroy(
    server: &Server,
    name: &VolumeName,
    request: &DestroyVolumeRequest,
) -> Result<(), Problem> {
    if request.confirm != name.as_str() {
        let title = format!("destroying \"{name}\" is not confirmed");
        return Err(Problem::new(Kind::User, "storage.not-confirmed", title)
            .hint(format!("hop3 storage destroy {name} --confirm {name}")));
    }
    server.volume_turn(name, || {
        let volume = find_any(server, name)?;
        check_unused(server, &volume)?;
        let now = now_ms();
        if volume.destroyed_ms.is_none() {
            server.store.set_volume_destroyed(&volume, Some(now)).map_err(internal)?;
            let gone_ms = if request.now { now } else { now + GRACE_MS };
            server.record(None, None, Event::VolumeDestroyed { volume: name.clone(), gone_ms });
        }
        if request.now { forget(server, &volume) } else { Ok(()) }
    })
}

fn check_unused(server: &Server, volume: &Volume) -> Result<(), Problem> {
    let name = &volume.name;
    let apps = server.store.apps_of_volume(volume).map_err(internal)?;
    let names: Vec<&str> = apps.iter().map(|(app, ..)| app.name.as_str()).collect();
    match names.first() {
        None => Ok(()),
        Some(first) => {
            Err(Problem::new(Kind::Conflict, "storage.attached", format!("{name} is attached to an app"))
                .detail(format!("attached to: {}", names.join(", ")))
                .hint(format!("detach it first: hop3 storage detach {name} -a {first}")))
        }
    }
}

/// Removes what it has. The caller has its turn.
pub(super) fn forget(server: &Server, volume: &Volume) -> Result<(), Problem> {
    server.drivers.runner.remove(&server.layout.volume(&volume.name))?;
    server.store.forget_volume(volume).map_err(internal)
}

/// Removes those whose time is over.
pub(crate) fn forget_destroyed(server: &Server) -> Result<(), Problem> {
    let is_over = |volume: &Volume| gone_ms(volume).is_some_and(|gone| gone <= now_ms());
    for volume in server.store.volumes().map_err(internal)?.iter().filter(|volume| is_over(volume)) {
        let gone = server.volume_turn(&volume.name, || match find_any(server, &volume.name)? {
            still if is_over(&still) => forget(server, &still),
            _ => Ok(()),
        });
        if let Err(problem) = gone {
            tracing::warn!(volume = %volume.name, problem = problem.title, "not removed yet");
        }
    }
    Ok(())
}

/// Brings back what was destroyed.
pub(crate) fn recover(server: &Server, name: &VolumeName) -> Result<VolumeInfo, Problem> {
    server.volume_turn(name, || {
        let volume = find_any(server, name)?;
        server.store.set_volume_destroyed(&volume, None).map_err(internal)
    })?;
    find(server, name)?;
    super::info(server, name)
}
