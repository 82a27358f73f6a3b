// SPDX-License-Identifier: Apache-2.0
//! `storage …`: volumes, directories with a name that outlive releases and apps. One file for what belongs together.
//!
//! The app that a volume is attached to first owns it: its files are that app's user's. Others that it is attached to
//! see it read-only. Nothing here destroys a volume with an app.

mod attach;
mod create;
mod inside;
mod look;
mod mount;
mod replace;
mod snapshot;
mod transfer;

pub(crate) use attach::{attach, detach, wanted};
pub(crate) use create::{create, destroy, forget_destroyed, recover};
pub(crate) use look::{info, list, measure_all};
pub(crate) use mount::view;
pub(crate) use snapshot::{forget, restore, snapshot};
pub(crate) use transfer::{export, import};

use crate::server::{Server, internal};
use crate::store::Volume;
use hop3_core::name::VolumeName;
use hop3_core::problem::{Kind, Problem};

/// A volume that was not destroyed.
pub(crate) fn find(server: &Server, name: &VolumeName) -> Result<Volume, Problem> {
    let volume = find_any(server, name)?;
    match volume.destroyed_ms {
        None => Ok(volume),
        Some(_) => {
            let title = format!("the volume \"{name}\" was destroyed");
            Err(Problem::new(Kind::NotFound, "storage.destroyed", title)
                .hint(format!("bring it back with: hop3 storage recover {name}")))
        }
    }
}

/// A volume, whether destroyed or not.
fn find_any(server: &Server, name: &VolumeName) -> Result<Volume, Problem> {
    server.store.volume(name).map_err(internal)?.ok_or_else(|| {
        Problem::new(Kind::NotFound, "storage.unknown", format!("there is no volume \"{name}\""))
            .hint(format!("make it with: hop3 storage create {name}\nsee all with: hop3 storage list"))
    })
}

/// The user whose files a volume has, where the supervisor can give users.
fn user(server: &Server, uid: u32) -> Option<u32> {
    server.drivers.runner.is_privileged().then_some(uid)
}
