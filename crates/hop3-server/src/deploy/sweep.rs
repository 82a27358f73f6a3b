// SPDX-License-Identifier: Apache-2.0
//! Sweep: artifacts and layers that no kept release names are removed, so that disks do not fill.
//!
//! Their directories begin with the app's row id, and the app's lock is held: what is being built is never swept.

use crate::server::Server;
use crate::store::App;
use std::collections::BTreeSet;
use std::path::Path;

/// Releases kept per app, for rollback.
const KEEP_RELEASES: u32 = 20;

/// Sweeps one app; the caller holds its lock.
pub(crate) fn sweep(server: &Server, app: &App) {
    let done = server
        .store
        .forget_old_releases(app, KEEP_RELEASES)
        .and_then(|()| server.store.forget_old_events(app));
    if let Err(error) = done {
        tracing::warn!(app = %app.name, error = format!("{error:#}"), "old rows not removed");
    }
    remove_unused(server, app);
}

/// Removes what was built for an app and is named by no release, its own or a clone's.
pub(crate) fn remove_unused(server: &Server, app: &App) {
    // Without the list of what is used nothing may be removed.
    let Ok(artifacts) = server.store.artifacts(app) else { return };
    let mut used: BTreeSet<String> = artifacts.iter().map(|a| a.id.clone()).collect();
    used.extend(artifacts.into_iter().flat_map(|a| a.layers.into_values()));
    remove_others(server, app, &used);
}

fn remove_others(server: &Server, app: &App, used: &BTreeSet<String>) {
    for directory in [server.layout.artifacts(), server.layout.layers()] {
        for name in names(&directory, &format!("{}-", app.id)).filter(|name| !used.contains(name)) {
            if let Err(problem) = server.drivers.runner.remove(&directory.join(name)) {
                tracing::warn!(problem = problem.title, "sweep");
            }
        }
    }
}

fn names(directory: &Path, prefix: &str) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(move |name| name.starts_with(prefix))
}
