// SPDX-License-Identifier: Apache-2.0
//! Changes of a running app that need no build: `config set|unset`, `scale`, `ps stop|start|restart`, `rollback`.

use crate::deploy::{self, Change, Context};
use crate::reconcile;
use crate::routes;
use crate::server::{Server, internal};
use crate::sleep;
use crate::store::App;
use hop3_core::api::{ConfigChangeRequest, PsAction, PsRequest, ReleaseMade, ScaleRequest};
use hop3_core::event::Event;
use hop3_core::name::{AppName, EnvKey, ProcessName};
use hop3_core::problem::{Kind, Problem};
use hop3_core::release::ReleaseNumber;
use hop3_core::sleep::{Range, Sleep};
use std::sync::Arc;

/// Instances of one process on one machine.
const MOST_INSTANCES: u32 = 100;

/// Config values beyond this would not fit beside each other in an environment (ARG_MAX).
const MOST_VALUE_BYTES: usize = 100 * 1024;

/// Runs a change and undoes what it did when it fails.
pub(super) fn changing<T>(
    cx: Context<'_>,
    body: impl FnOnce(&Context<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    body(&cx).inspect_err(|_| cx.unwind())
}

/// Holds the app's lock around a change; the app is read again once the lock is held.
pub(super) fn with_lock<T>(
    server: &Arc<Server>,
    name: &AppName,
    body: impl FnOnce(App) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let lock = server.lock_of(&server.app(name)?);
    let _held = lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    body(server.app(name)?)
}

pub(crate) fn config(
    server: &Arc<Server>,
    name: &AppName,
    request: ConfigChangeRequest,
) -> Result<ReleaseMade, Problem> {
    for (key, value) in &request.set {
        check_value(key, value)?;
    }
    let keys: Vec<EnvKey> = request.set.keys().chain(&request.unset).cloned().collect();
    if keys.is_empty() {
        return Err(Problem::new(Kind::User, "config.nothing", "no variable is named"));
    }
    with_lock(server, name, |app| {
        let before = server.store.config(&app).map_err(internal)?;
        server.store.change_config(&app, &request.set, &request.unset).map_err(internal)?;
        let told = keys.iter().map(ToString::to_string).collect();
        server.record(Some(&app), None, Event::ConfigChanged { keys: told });
        if request.no_restart || app.current.is_none() || app.stopped {
            return Ok(ReleaseMade { release: None });
        }
        let made = changing(Context::new(server, app.clone(), None), |cx| {
            deploy::redeploy(cx, Change::Config { keys })
        });
        if made.is_err() {
            // The old release serves with the old config: the store must say so too.
            server.store.replace_config(&app, &before).map_err(internal)?;
        }
        Ok(ReleaseMade { release: Some(made?) })
    })
}

fn check_value(key: &EnvKey, value: &str) -> Result<(), Problem> {
    if value.contains('\0') {
        return Err(Problem::new(
            Kind::User,
            "config.bad-value",
            format!("the value of {key} has a NUL byte"),
        )
        .hint("no environment variable can hold one; encode it, for example as base64"));
    }
    if value.len() > MOST_VALUE_BYTES {
        return Err(Problem::new(
            Kind::User,
            "config.too-large",
            format!("the value of {key} is larger than 100 KiB"),
        )
        .hint("keep large values in a file of the app's data directory"));
    }
    Ok(())
}

pub(crate) fn scale(server: &Arc<Server>, name: &AppName, request: &ScaleRequest) -> Result<(), Problem> {
    check_scale(request)?;
    with_lock(server, name, |mut app| {
        let cx = Context::new(server, app.clone(), None);
        let release = deploy::current(&cx)?;
        let known = &release.artifact.processes.processes;
        let mut named = request.processes.keys().chain(request.ranges.keys());
        if let Some(process) = named.find(|p| !known.contains_key(*p)) {
            let names: Vec<&str> = known.keys().map(ProcessName::as_str).collect();
            return Err(Problem::new(
                Kind::NotFound,
                "process.unknown",
                format!("the app has no process \"{process}\""),
            )
            .detail(format!("it has: {}", names.join(", "))));
        }
        let before = app.clone();
        want(&mut app, request);
        let changes: Vec<(ProcessName, u32, u32)> = app
            .scale
            .iter()
            .map(|(p, to)| (p.clone(), before.count_awake(p), *to))
            .filter(|(_, from, to)| from != to)
            .collect();
        let store = |app: &App| -> Result<(), Problem> {
            server.store.set_scale(app, &app.scale).map_err(internal)?;
            server.store.set_sleep(app, &app.sleep).map_err(internal)
        };
        store(&app)?;
        if !app.stopped {
            let done = changing(Context::new(server, app.clone(), None), |cx| deploy::converge(cx, &release));
            if let Err(problem) = done {
                store(&before)?;
                return Err(problem);
            }
            let may_sleep = sleep::times(&app, release.artifact.processes.sleep).is_some();
            if app.asleep.is_some() && !may_sleep {
                sleep::wake(server, name)?;
            }
        }
        for (process, from, to) in changes {
            server.record(Some(&app), None, Event::Scaled { process: process.to_string(), from, to });
        }
        Ok(())
    })
}

/// Another number of web instances within the range. The caller holds the app's lock.
pub(crate) fn resize(server: &Arc<Server>, name: &AppName, to: u32) -> Result<(), Problem> {
    let mut app = server.app(name)?;
    let web = ProcessName::web();
    let from = app.count(&web);
    if app.stopped || app.asleep.is_some() || from == to {
        return Ok(());
    }
    let before = app.scale.clone();
    app.scale.insert(web.clone(), to);
    server.store.set_scale(&app, &app.scale).map_err(internal)?;
    let converged =
        changing(Context::new(server, app.clone(), None), |cx| deploy::converge(cx, &deploy::current(cx)?));
    if let Err(problem) = converged {
        server.store.set_scale(&app, &before).map_err(internal)?;
        return Err(problem);
    }
    server.record(Some(&app), None, Event::Scaled { process: web.to_string(), from, to });
    Ok(())
}

fn check_scale(request: &ScaleRequest) -> Result<(), Problem> {
    let most = request.processes.iter().map(|(process, count)| (process, *count));
    let mut most = most.chain(request.ranges.iter().map(|(process, range)| (process, range.most)));
    if let Some((process, _)) = most.find(|(_, most)| *most > MOST_INSTANCES) {
        return Err(Problem::new(
            Kind::User,
            "scale.too-many",
            format!("{process} cannot have more than {MOST_INSTANCES} instances"),
        ));
    }
    let Some((process, range)) = request.ranges.iter().next() else { return Ok(()) };
    if range.least > range.most || range.most == 0 {
        let title = format!("{range} is no range of instances");
        return Err(Problem::new(Kind::User, "scale.bad-range", title)
            .hint("write the least, two points and the most, for example web=0..1"));
    }
    match request.ranges.keys().find(|process| **process != ProcessName::web()) {
        None => Ok(()),
        Some(_) => Err(Problem::new(
            Kind::User,
            "scale.only-web",
            format!("{process} gets no requests, so nothing tells when it may sleep or needs company"),
        )
        .hint("only web can have a range; give the others a number")),
    }
}

/// Writes what is asked for into the app. A plain number takes a range away.
fn want(app: &mut App, request: &ScaleRequest) {
    for (process, count) in &request.processes {
        app.scale.insert(process.clone(), *count);
        app.sleep.ranges.insert(process.clone(), Range::exactly(*count));
    }
    for (process, range) in &request.ranges {
        let count = range.nearest(app.count_awake(process));
        app.scale.insert(process.clone(), count);
        app.sleep.ranges.insert(process.clone(), *range);
    }
    app.sleep.times = request.sleep.or(app.sleep.times);
}

pub(crate) fn ps(server: &Arc<Server>, name: &AppName, request: &PsRequest) -> Result<ReleaseMade, Problem> {
    with_lock(server, name, |app| match (request.action, &request.instance) {
        (PsAction::Stop, None) => stop(server, &app).map(|()| ReleaseMade { release: None }),
        (PsAction::Start, None) => start(server, app).map(|()| ReleaseMade { release: None }),
        (PsAction::Restart, None) => {
            let number =
                changing(Context::new(server, app, None), |cx| deploy::redeploy(cx, Change::Restart))?;
            Ok(ReleaseMade { release: Some(number) })
        }
        (PsAction::Restart, Some(id)) => {
            let cx = Context::new(server, app, None);
            if cx.app.asleep.is_some() {
                sleep::wake(server, name)?;
            }
            let release = deploy::current(&cx)?;
            deploy::restart_instance(&cx, &release, id)?;
            Ok(ReleaseMade { release: None })
        }
        (PsAction::Sleep, None) => lie_down(server, &app, Sleep::Stopped),
        (PsAction::Freeze, None) => lie_down(server, &app, Sleep::Frozen),
        (_, Some(_)) => {
            Err(Problem::new(Kind::User, "ps.one-instance", "one instance can only be restarted")
                .hint(format!("stop the whole app, or scale it: hop3 scale web=1 -a {name}")))
        }
    })
}

fn lie_down(server: &Arc<Server>, app: &App, level: Sleep) -> Result<ReleaseMade, Problem> {
    if app.stopped || app.current.is_none() {
        let title = "the app does not run, so it cannot sleep";
        return Err(Problem::new(Kind::Conflict, "sleep.not-running", title)
            .hint(format!("start it first: hop3 ps start -a {}", app.name)));
    }
    if sleep::rest(server, app, level)? {
        return Ok(ReleaseMade { release: None });
    }
    let title = "requests or upgraded connections are under way, so the app stays awake";
    Err(Problem::new(Kind::Conflict, "sleep.busy", title).hint("try again when they have ended"))
}

pub(super) fn stop(server: &Arc<Server>, app: &App) -> Result<(), Problem> {
    let turn = server.turn_of(app);
    let held = turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let alone = server.routing();
    let set = routes::Set::of(server, app)?;
    server.store.set_stopped(app, true).map_err(internal)?;
    server.store.set_asleep(app, None).map_err(internal)?;
    server.drivers.proxy.put(&routes::stopped(server, app, &set)?)?;
    drop((alone, held));
    let instances = server.drivers.runtime.status(Some(&app.name))?;
    deploy::retire_releases(server, app, &instances);
    server.record(Some(app), None, Event::AppStopped);
    Ok(())
}

/// Starts a stopped app with the config as it is now: changes made meanwhile become a release. Wakes one that sleeps.
pub(super) fn start(server: &Arc<Server>, app: App) -> Result<(), Problem> {
    if app.asleep.is_some() {
        return sleep::wake(server, &app.name);
    }
    changing(Context::new(server, app.clone(), None), |cx| {
        let release = deploy::current(cx)?;
        let stored = server.store.config(&app).map_err(internal)?;
        let keys: Vec<EnvKey> = stored
            .iter()
            .filter(|(key, value)| release.config.expose().get(*key) != Some(value))
            .map(|(key, _)| key.clone())
            .collect();
        if keys.is_empty() {
            deploy::converge(cx, &release)
        } else {
            deploy::redeploy(cx, Change::Config { keys }).map(drop)
        }
    })?;
    server.record(Some(&app), None, Event::AppStarted);
    reconcile::route(server, &app)
}

pub(crate) fn rollback(
    server: &Arc<Server>,
    name: &AppName,
    to: Option<ReleaseNumber>,
) -> Result<ReleaseMade, Problem> {
    with_lock(server, name, |app| {
        let target = target(server, &app, to)?;
        let to = target.number;
        let cx = Context::new(server, app.clone(), None);
        let release = changing(cx, |cx| deploy::redeploy(cx, Change::Rollback { to: Box::new(target) }))?;
        server.record(Some(&app), None, Event::RolledBack { to, release });
        Ok(ReleaseMade { release: Some(release) })
    })
}

/// The release asked for, or the newest one before the current that served.
fn target(server: &Server, app: &App, to: Option<ReleaseNumber>) -> Result<crate::store::Release, Problem> {
    use crate::store::ReleaseState;
    let releases = server.store.releases(app).map_err(internal)?;
    let served = |r: &&crate::store::Release| r.state == ReleaseState::Active;
    let found = match to {
        Some(number) => releases.iter().filter(served).find(|r| r.number == number),
        None => releases.iter().filter(served).find(|r| Some(r.number) < app.current),
    };
    found.cloned().ok_or_else(|| {
        let title = match to {
            Some(number) => format!("{number} never served, or is not kept any more"),
            None => "there is no earlier release to go back to".to_owned(),
        };
        Problem::new(Kind::NotFound, "release.unknown", title)
            .hint(format!("see them with: hop3 release list -a {}", app.name))
    })
}
