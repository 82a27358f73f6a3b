// SPDX-License-Identifier: Apache-2.0
//! What a backup of the whole server has beside its apps: the store as of one moment, keys, certificates, choices.

use super::scratch;
use crate::server::{Server, internal};
use hop3_core::problem::Problem;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Makes the copy of the store, and gives the paths beneath the root of what there is.
pub(super) fn paths(server: &Server) -> Result<Vec<PathBuf>, Problem> {
    let layout = &server.layout;
    let copy = layout.backup_database();
    if let Some(directory) = copy.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(internal)?;
    }
    let _ = fs::remove_file(&copy);
    server.store.copy_to(&copy).map_err(internal)?;
    let volumes = server.store.volumes().map_err(internal)?;
    let all =
        [copy, layout.key_file(), layout.certificates(), layout.front_choice(), layout.authorized_keys()];
    let beneath = |path: PathBuf| path.strip_prefix(layout.root()).ok().map(PathBuf::from);
    let proven = scratch::names(layout);
    let is_own = |name: &str| !proven.iter().any(|scratch| scratch::is_of(name, scratch));
    let volumes = volumes.iter().filter(|volume| is_own(volume.name.as_str()));
    let volumes = volumes.map(|volume| layout.volume(&volume.name));
    Ok(all.into_iter().chain(volumes).filter(|path| path.exists()).filter_map(beneath).collect())
}
