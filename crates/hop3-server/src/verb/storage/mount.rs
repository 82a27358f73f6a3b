// SPDX-License-Identifier: Apache-2.0
//! What an app's processes see of its volumes: mounts, and a variable for each that says where it is.

use super::user;
use crate::server::{Server, internal};
use crate::store::{App, Attached};
use hop3_core::problem::Problem;
use hop3_core::sandbox::Mount;
use std::path::{Path, PathBuf};

#[derive(Default)]
pub(crate) struct View {
    pub mounts: Vec<Mount>,
    /// Directories at the top in which they lie.
    pub hide: Vec<PathBuf>,
    pub env: Vec<(String, String)>,
}

/// For processes whose code lies in `tree`. Without users of their own there are no mounts either: the variable says
/// where the volume really lies.
pub(crate) fn view(server: &Server, app: &App, tree: &Path) -> Result<View, Problem> {
    let mut view = View::default();
    for attached in server.store.attached(app).map_err(internal)? {
        let source = server.layout.volume_data(&attached.volume.name);
        let Some(user) = user(server, app.uid()) else {
            view.env.push(variable(app, &attached, &source));
            continue;
        };
        let path = Path::new(attached.path.as_str());
        // An absolute path replaces the tree.
        let target = tree.join(path);
        if attached.path.is_absolute() {
            view.hide.extend(path.iter().nth(1).map(|top| Path::new("/").join(top)));
        } else if target.symlink_metadata().is_err() {
            // The tree itself cannot be written to any more once it is shown.
            server.drivers.runner.give(&target, Some(user))?;
        }
        view.env.push(variable(app, &attached, &target));
        view.mounts.push(Mount { source, target, writable: attached.is_owner });
    }
    Ok(view)
}

/// `HOP3_VOLUME_UPLOADS`: without the app's name where that begins it.
fn variable(app: &App, attached: &Attached, place: &Path) -> (String, String) {
    let name = attached.volume.name.as_str();
    let short = name.strip_prefix(app.name.as_str()).and_then(|rest| rest.strip_prefix('-')).unwrap_or(name);
    let key = format!("HOP3_VOLUME_{}", short.to_uppercase().replace('-', "_"));
    (key, place.to_string_lossy().into_owned())
}
