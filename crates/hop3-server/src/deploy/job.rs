// SPDX-License-Identifier: Apache-2.0
//! Jobs: a command of a release with its environment and sandbox, the same for instances, release commands, cron and
//! `hop3 run`.

use super::late;
use super::place::Places;
use crate::server::Server;
use crate::store::{App, Release};
use crate::verb;
use hop3_core::name::ProcessName;
use hop3_core::problem::Problem;
use hop3_core::sandbox::{Command, Job, Limits, Sandbox};
use hop3_core::workload::{WantedProcess, Workload};
use std::collections::BTreeMap;

/// Where a release lies.
pub(super) fn places(server: &Server, app: &App, release: &Release) -> Places {
    let mut places = Places::new(&server.layout, &app.name, &release.artifact.id);
    let layers = &release.artifact.layers;
    places.layers = layers.iter().map(|(name, digest)| (name.clone(), server.layout.layer(digest))).collect();
    places.toolchains = release.artifact.toolchains.clone();
    places
}

/// A job of a release that is not one of its processes.
pub(crate) fn one_off(
    server: &Server,
    app: &App,
    release: &Release,
    command: &Command,
) -> Result<Job, Problem> {
    let places = places(server, app, release);
    let volumes = verb::storage::view(server, app, &places.tree)?;
    let mut env = places.environment(&release.artifact.env);
    let late = &release.artifact.processes.late_env;
    let own = late::resolve(server, app, late, release.config.expose())?;
    env.extend(own.into_iter().map(|(key, value)| (key.to_string(), value)));
    let own = [
        ("HOP3_APP", app.name.to_string()),
        ("HOP3_RELEASE", release.number.to_string()),
        ("HOP3_SOURCE", release.artifact.source.clone()),
        ("HOP3_DATA_DIR", places.data.to_string_lossy().into_owned()),
        ("HOP3_URL", server.site.app_url(&app.name)),
    ];
    env.extend(own.map(|(key, value)| (key.to_owned(), value)).into_iter().chain(volumes.env));
    let command = match command {
        Command::Exec(argv) => Command::exec(argv.iter().map(|arg| places.fill(arg))),
        Command::Shell(line) => Command::shell(places.fill(line)),
    };
    let sandbox = Sandbox {
        user: server.drivers.runner.is_privileged().then(|| app.uid()),
        user_name: app.name.to_string(),
        home: places.home.clone(),
        hide: [server.layout.root().to_owned()].into_iter().chain(volumes.hide).collect(),
        mounts: places.run_mounts().into_iter().chain(volumes.mounts).collect(),
        ..Sandbox::default()
    };
    let limits = Limits { nofile: Some(16_384), nproc: Some(4_096), ..Limits::default() };
    Ok(Job { command, cwd: places.tree.clone(), env, sandbox, limits })
}

/// The workload of a release with these counts.
pub(super) fn workload(
    server: &Server,
    app: &App,
    release: &Release,
    counts: &BTreeMap<ProcessName, u32>,
) -> Result<Workload, Problem> {
    let table = &release.artifact.processes;
    let processes = table.processes.iter().map(|(name, command)| -> Result<_, Problem> {
        let wanted = WantedProcess {
            count: counts.get(name).copied().unwrap_or(0),
            job: one_off(server, app, release, command)?,
            serves: *name == ProcessName::web() || table.tcp.iter().any(|settings| settings.process == *name),
            stop_grace_secs: table.stop_grace_secs,
        };
        Ok((name.clone(), wanted))
    });
    Ok(Workload {
        app: app.name.clone(),
        release: release.number,
        processes: processes.collect::<Result<_, _>>()?,
    })
}
