// SPDX-License-Identifier: Apache-2.0
//! `app list|create|info|destroy|rename|clone|branch`.

use super::change::changing;
use crate::deploy::{self, Change, Context};
use crate::git::Repository;
use crate::reconcile;
use crate::server::{Server, internal};
use crate::store::App;
use hop3_core::api::{AppInfo, AppState, AppSummary};
use hop3_core::backup::BackupOf;
use hop3_core::event::Event;
use hop3_core::name::{AppName, ProcessName};
use hop3_core::problem::{Kind, Problem};
use hop3_core::release::ReleaseNumber;
use hop3_core::sleep::Sleep;
use hop3_core::workload::{Instance, InstanceState};
use std::sync::Arc;

pub(crate) fn list(server: &Server) -> Result<Vec<AppSummary>, Problem> {
    let instances = server.drivers.runtime.status(None)?;
    let apps = server.store.process_names().map_err(internal)?;
    let mut running = std::collections::HashMap::<&AppName, Vec<&Instance>>::new();
    for instance in &instances {
        running.entry(&instance.app).or_default().push(instance);
    }
    let summaries = apps.into_iter().map(|(app, current)| {
        let own = running.get(&app.name).map_or(&[][..], Vec::as_slice);
        let serves = current.as_ref().map(|(number, names)| (*number, names.iter()));
        AppSummary {
            state: state(&app, serves, own),
            release: app.current,
            url: server.site.app_url(&app.name),
            created_ms: app.created_ms,
            name: app.name,
        }
    });
    Ok(summaries.collect())
}

pub(crate) fn create(server: &Arc<Server>, name: &AppName) -> Result<App, Problem> {
    let app = server.store.create_app(name).map_err(internal)?.ok_or_else(|| {
        Problem::new(Kind::Conflict, "app.exists", format!("there is an app \"{name}\" already"))
            .hint("choose another name; see all with: hop3 app list")
    })?;
    for directory in [server.layout.data(name), server.layout.home(name)] {
        server.drivers.runner.give(&directory, server.drivers.runner.is_privileged().then(|| app.uid()))?;
    }
    server.record(Some(&app), None, Event::AppCreated);
    reconcile::route(server, &app)?;
    Ok(app)
}

pub(crate) fn find_or_create(server: &Arc<Server>, name: &AppName, may_create: bool) -> Result<App, Problem> {
    match server.store.app(name).map_err(internal)? {
        Some(app) => Ok(app),
        None if may_create => create(server, name),
        None => server.app(name),
    }
}

pub(crate) fn info(server: &Server, name: &AppName) -> Result<AppInfo, Problem> {
    let app = server.app(name)?;
    let release = match app.current {
        Some(number) => server.store.release(&app, number).map_err(internal)?,
        None => None,
    };
    let instances = server.drivers.runtime.status(Some(name))?;
    let serves = release.as_ref().map(|r| (r.number, r.artifact.processes.processes.keys()));
    let own: Vec<&Instance> = instances.iter().collect();
    let state = state(&app, serves, &own);
    let awake = App { asleep: None, ..app.clone() };
    let settings = release.as_ref().map_or(&[][..], |release| &release.artifact.processes.tcp);
    let tcp = super::tcp::places(server, &app, &server.store.domains(&app).map_err(internal)?, settings)?;
    let ranges = app.sleep.ranges.iter().filter(|(_, range)| range.least != range.most);
    Ok(AppInfo {
        state,
        release: app.current,
        url: server.site.app_url(name),
        git_url: server.site.git_url(name),
        deploy_branch: app.branch.clone(),
        domains: super::domain::list(server, name)?,
        tcp,
        scale: release.map(|r| deploy::wanted(&awake, &r)).unwrap_or_default(),
        ranges: ranges.map(|(process, range)| (process.clone(), *range)).collect(),
        instances: asleep(&app).chain(instances).collect(),
        created_ms: app.created_ms,
        name: app.name,
    })
}

/// The instances that the first request will start.
fn asleep(app: &App) -> impl Iterator<Item = Instance> {
    let release = app.current.filter(|_| app.asleep == Some(Sleep::Stopped));
    let numbers = release.map(|release| (1..=app.count_awake(&ProcessName::web()), release));
    numbers.into_iter().flat_map(|(numbers, release)| numbers.map(move |n| (n, release))).map(
        |(n, release)| Instance {
            id: format!("web.{release}.{n}"),
            app: app.name.clone(),
            process: ProcessName::web(),
            release,
            state: InstanceState::Sleeping,
            pid: None,
            address: None,
            started_ms: 0,
            restarts: 0,
            last_exit: None,
        },
    )
}

/// Destroys an app: instances, routes, releases, repository and its data directory. Needs its name typed again.
pub(crate) fn destroy(server: &Arc<Server>, name: &AppName, confirm: &str) -> Result<(), Problem> {
    let app = server.app(name)?;
    if confirm != name.as_str() {
        return Err(Problem::new(
            Kind::User,
            "app.not-confirmed",
            format!("destroying \"{name}\" is not confirmed"),
        )
        .detail("its releases, repository and data directory would be gone for good")
        .hint(format!("hop3 app destroy {name} --confirm {name}")));
    }
    let lock = server.lock_of(&app);
    let _held = lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    server.drivers.proxy.remove(name.as_str())?;
    server.drivers.runtime.remove(name, None)?;
    server.drivers.runtime.forget_logs(name)?;
    server.store.destroy_app(&app).map_err(internal)?;
    // What was backed up stays; nothing more is.
    server.store.remove_backup_schedule(&BackupOf::App(name.clone())).map_err(internal)?;
    for directory in [server.layout.app(name), server.layout.cache(name)] {
        server.drivers.runner.remove(&directory)?;
    }
    deploy::remove_unused(server, &app);
    tracing::info!(app = %name, "destroyed");
    Ok(())
}

/// Gives an app another name. Its directories move with it; a release under the new name takes over without a gap.
pub(crate) fn rename(server: &Arc<Server>, from: &AppName, to: &AppName) -> Result<AppInfo, Problem> {
    let app = server.app(from)?;
    let lock = server.lock_of(&app);
    let _held = lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !server.store.rename_app(&app, to).map_err(internal)? {
        return Err(Problem::new(Kind::Conflict, "app.exists", format!("there is an app \"{to}\" already")));
    }
    let (old, new) = (server.layout.app(from), server.layout.app(to));
    std::fs::rename(&old, &new).map_err(internal)?;
    // Running instances without a sandbox of their own still use the old path until they are retired.
    std::os::unix::fs::symlink(&new, &old).map_err(internal)?;
    let (was, is) = (BackupOf::App(from.clone()), BackupOf::App(to.clone()));
    server.store.rename_backup_schedule(&was, &is).map_err(internal)?;
    let renamed = server.app(to)?;
    server.record(Some(&renamed), None, Event::AppRenamed { from: from.to_string() });
    let taken_over = match renamed.current.is_some() && !renamed.stopped {
        true => redeploy(server, renamed.clone(), Change::Renamed).map(drop),
        false => reconcile::route(server, &renamed),
    };
    server.drivers.proxy.remove(from.as_str())?;
    let left = server.drivers.runtime.status(Some(from))?;
    deploy::retire_releases(server, &app, &left);
    server.drivers.runtime.forget_logs(from)?;
    std::fs::remove_file(&old).map_err(internal)?;
    server.drivers.runner.remove(&server.layout.cache(from))?;
    taken_over?;
    info(server, to)
}

/// A second app with the same artifact and config, and an empty data directory.
pub(crate) fn clone(server: &Arc<Server>, from: &AppName, to: &AppName) -> Result<AppInfo, Problem> {
    let original = server.app(from)?;
    let source = original.current.ok_or_else(|| {
        Problem::new(
            Kind::Conflict,
            "app.not-deployed",
            format!("the app \"{from}\" has no release to clone"),
        )
    })?;
    let release = server
        .store
        .release(&original, source)
        .map_err(internal)?
        .ok_or_else(|| internal(anyhow::anyhow!("the current release of {from} is not in the store")))?;
    let app = create(server, to)?;
    let made = crate::verb::deploy::clone_release(server, &app, &original, &release);
    if let Err(problem) = made {
        destroy(server, to, to.as_str())?;
        return Err(problem);
    }
    info(server, to)
}

pub(crate) fn branch(server: &Server, name: &AppName, branch: &str) -> Result<AppInfo, Problem> {
    let app = server.app(name)?;
    crate::git::hook::check_branch(branch)?;
    server.store.set_branch(&app, branch).map_err(internal)?;
    // What a clone checks out; an app that was never pushed to has no repository yet.
    if let Ok(repository) = Repository::open(&server.layout.repository(name)) {
        repository.follow(branch)?;
    }
    info(server, name)
}

fn redeploy(server: &Arc<Server>, app: App, change: Change) -> Result<ReleaseNumber, Problem> {
    changing(Context::new(server, app, None), |cx| deploy::redeploy(cx, change))
}

/// `serves` is the release that should serve, with the names of its processes.
fn state<'p>(
    app: &App,
    serves: Option<(ReleaseNumber, impl Iterator<Item = &'p ProcessName>)>,
    instances: &[&Instance],
) -> AppState {
    let Some((number, processes)) = serves else { return AppState::New };
    if app.stopped {
        return AppState::Stopped;
    }
    if app.asleep.is_some() {
        return AppState::Sleeping;
    }
    let runs = |process: &ProcessName| {
        instances.iter().any(|i| {
            i.process == *process
                && i.release == number
                && matches!(i.state, InstanceState::Running | InstanceState::Starting)
        })
    };
    let alive = processes.filter(|p| app.count(p) > 0).all(runs);
    if alive { AppState::Running } else { AppState::Down }
}
