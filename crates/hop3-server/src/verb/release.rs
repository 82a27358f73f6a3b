// SPDX-License-Identifier: Apache-2.0
//! `release list|info`.

use crate::server::{Server, internal};
use crate::store::{App, Release};
use hop3_core::api::ReleaseInfo;
use hop3_core::name::AppName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::release::ReleaseNumber;

pub(crate) fn list(server: &Server, name: &AppName) -> Result<Vec<ReleaseInfo>, Problem> {
    let app = server.app(name)?;
    let releases = server.store.releases(&app).map_err(internal)?;
    Ok(releases.into_iter().map(|release| describe(&app, release)).collect())
}

pub(crate) fn info(server: &Server, name: &AppName, number: ReleaseNumber) -> Result<ReleaseInfo, Problem> {
    let app = server.app(name)?;
    let release = server.store.release(&app, number).map_err(internal)?.ok_or_else(|| {
        Problem::new(Kind::NotFound, "release.unknown", format!("there is no release {number}"))
            .hint(format!("see them with: hop3 release list -a {name}"))
    })?;
    Ok(describe(&app, release))
}

fn describe(app: &App, release: Release) -> ReleaseInfo {
    let processes = &release.artifact.processes.processes;
    ReleaseInfo {
        number: release.number,
        current: app.current == Some(release.number),
        processes: processes.iter().map(|(name, command)| (name.clone(), command.display())).collect(),
        config_keys: release.config.expose().keys().cloned().collect(),
        reason: release.reason,
        builder: release.artifact.builder,
        source: release.artifact.source,
        created_ms: release.created_ms,
    }
}
