// SPDX-License-Identifier: Apache-2.0
//! Steps Start, Healthy, Switch, Retire: from a release on paper to the one that serves.
//!
//! The same four serve deployments, config changes, rollbacks, scaling and repair. Between Start and Switch old and
//! new instances run side by side; the route changes only to instances that were seen healthy; what leaves the route
//! is drained before it is stopped. So no request finds nobody.

use super::context::Context;
use super::health;
use super::job::workload;
use crate::routes;
use crate::server::{Server, internal};
use crate::store::{App, Release};
use crate::verb;
use hop3_core::name::ProcessName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::sleep::Sleep;
use hop3_core::workload::Instance;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Requests and upgraded connections on a retired instance may go on for so long.
pub(super) const DRAIN: Duration = Duration::from_secs(30);

/// Instances of the release, all started.
pub(super) struct Started(Vec<Instance>);

/// Instances of the release that were seen healthy.
pub(super) struct Ready(Vec<Instance>);

/// What the route does not name any more.
pub(super) struct Switched {
    left: Vec<Instance>,
}

/// Brings the app to this release with its wanted counts: scaling and repair. The caller holds the app's lock.
pub(crate) fn converge(cx: &Context<'_>, release: &Release) -> Result<(), Problem> {
    let turn = cx.server.turn_of(&cx.app);
    let _held = turn.lock().unwrap_or_else(PoisonError::into_inner);
    if fresh(cx)?.asleep == Some(Sleep::Frozen) {
        // What is started is thawed.
        cx.server.store.set_asleep(&cx.app, None).map_err(internal)?;
    }
    let started = start(cx, release)?;
    let ready = healthy(cx, release, started)?;
    let switched = switch_in_turn(cx, release, ready)?;
    retire(cx, release, switched)
}

pub(super) fn start(cx: &Context<'_>, release: &Release) -> Result<Started, Problem> {
    let runtime = &cx.server.drivers.runtime;
    let running = counts(&of_release(runtime.status(Some(&cx.app.name))?, release));
    let mut wanted = wanted(&fresh(cx)?, release);
    for (process, count) in &running {
        let count = (*count).max(wanted.get(process).copied().unwrap_or(0));
        wanted.insert(process.clone(), count);
    }
    let (server, app, before, again) = (cx.server.clone(), cx.app.clone(), running, release.clone());
    cx.undo("stop the new instances", move || {
        // They may have served for a moment.
        let mut new = of_release(server.drivers.runtime.status(Some(&app.name))?, &again);
        new.retain(|i| !is_wanted(i, &before));
        drain(&server, &new);
        match before.is_empty() {
            true => server.drivers.runtime.remove(&app.name, Some(again.number)),
            false => server.drivers.runtime.apply(&workload(&server, &app, &again, &before)?).map(drop),
        }
    });
    let instances = runtime.apply(&workload(cx.server, &cx.app, release, &wanted)?)?;
    for instance in &instances {
        let at = instance.address.map(|a| format!(" on {a}")).unwrap_or_default();
        cx.say(&format!("{}{at}", instance.id));
    }
    Ok(Started(instances))
}

pub(super) fn healthy(cx: &Context<'_>, release: &Release, started: Started) -> Result<Ready, Problem> {
    health::wait(cx, release, &started.0)?;
    Ok(Ready(started.0))
}

pub(super) fn switch(cx: &Context<'_>, release: &Release, ready: Ready) -> Result<Switched, Problem> {
    let turn = cx.server.turn_of(&cx.app);
    let _held = turn.lock().unwrap_or_else(PoisonError::into_inner);
    switch_in_turn(cx, release, ready)
}

fn switch_in_turn(cx: &Context<'_>, release: &Release, ready: Ready) -> Result<Switched, Problem> {
    let store = &cx.server.store;
    // It may have been woken, or put to sleep, since this change began.
    let app = fresh(cx)?.serving(release.number);
    let wanted = wanted(&app, release);
    let (kept, mut left): (Vec<Instance>, Vec<Instance>) =
        ready.0.into_iter().partition(|i| is_wanted(i, &wanted));
    let alone = cx.server.routing();
    verb::tcp::check_free(cx.server, &cx.app, &release.artifact.processes.tcp)?;
    let set = routes::Set::of(cx.server, &cx.app)?;
    let service = routes::service(cx.server, &app, &set, Some((&release.artifact).into()), &kept)?;
    let others = cx.server.drivers.runtime.status(Some(&cx.app.name))?;
    left.extend(others.into_iter().filter(|i| i.release != release.number));
    let (server, before) = (cx.server.clone(), cx.app.clone());
    // Before the change: one that fails may have been made all the same.
    cx.undo("route back to the old release", move || crate::reconcile::route(&server, &before));
    cx.server.drivers.proxy.put(&service)?;
    store.activate_release(&cx.app, release.number).map_err(internal)?;
    store.set_stopped(&cx.app, false).map_err(internal)?;
    store.set_asleep(&cx.app, app.asleep).map_err(internal)?;
    drop(alone);
    cx.commit();
    cx.say(&format!("{} serves {}", release.number, cx.server.site.app_url(&cx.app.name)));
    Ok(Switched { left })
}

/// Drains, then stops, what the route left. Instances of other releases go in the background: their numbers are
/// never used again, so nothing can collide with them. Surplus instances of this release are waited for.
pub(super) fn retire(cx: &Context<'_>, release: &Release, switched: Switched) -> Result<(), Problem> {
    let (surplus, old): (Vec<Instance>, Vec<Instance>) =
        switched.left.into_iter().partition(|i| i.release == release.number);
    if !surplus.is_empty() {
        drain(cx.server, &surplus);
        stop_surplus(cx, release)?;
    }
    let (server, app) = (Arc::clone(cx.server), cx.app.clone());
    let sweep = cx.deployment.is_some();
    std::thread::Builder::new()
        .name("retire".into())
        .spawn(move || {
            retire_releases(&server, &app, &old);
            if sweep {
                let lock = server.lock_of(&app);
                let _held = lock.lock();
                super::sweep::sweep(&server, &app);
            }
        })
        .map_err(internal)?;
    Ok(())
}

/// Drains and removes every release these instances belong to.
pub(crate) fn retire_releases(server: &Server, app: &App, old: &[Instance]) {
    drain(server, old);
    let mut releases: Vec<_> = old.iter().map(|i| i.release).collect();
    releases.sort();
    releases.dedup();
    for release in releases {
        if let Err(problem) = server.drivers.runtime.remove(&app.name, Some(release)) {
            tracing::warn!(app = %app.name, %release, problem = problem.title, "old instances not stopped");
        }
    }
}

/// Brings the instances of a release to the counts that the context's app wants, and gives them.
pub(crate) fn run_all(cx: &Context<'_>, release: &Release) -> Result<Vec<Instance>, Problem> {
    cx.server.drivers.runtime.apply(&workload(cx.server, &cx.app, release, &wanted(&cx.app, release))?)
}

/// Brings them to the counts that the app wants as the store has it now.
pub(crate) fn stop_surplus(cx: &Context<'_>, release: &Release) -> Result<(), Problem> {
    let exact = workload(cx.server, &cx.app, release, &wanted(&fresh(cx)?, release))?;
    cx.server.drivers.runtime.apply(&exact).map(drop)
}

pub(crate) fn until_healthy(cx: &Context<'_>, release: &Release, web: &[Instance]) -> Result<(), Problem> {
    health::wait(cx, release, web)
}

/// Starts the web process of a release that does not serve, sees whether it becomes healthy, and stops it. Nobody is led
/// to it. The caller holds the app's lock.
pub(crate) fn try_out(cx: &Context<'_>, release: &Release) -> Result<(), Problem> {
    let runtime = &cx.server.drivers.runtime;
    let one = workload(cx.server, &cx.app, release, &BTreeMap::from([(ProcessName::web(), 1)]))?;
    let tried = runtime.apply(&one).and_then(|instances| health::wait(cx, release, &instances));
    let removed = runtime.remove(&cx.app.name, None);
    tried.and(removed)
}

/// Restarts one instance in place: out of the route, drained, fresh, healthy, back in the route.
pub(crate) fn restart_instance(cx: &Context<'_>, release: &Release, id: &str) -> Result<(), Problem> {
    let turn = cx.server.turn_of(&cx.app);
    let _held = turn.lock().unwrap_or_else(PoisonError::into_inner);
    let instances = of_release(cx.server.drivers.runtime.status(Some(&cx.app.name))?, release);
    let (one, others): (Vec<Instance>, Vec<Instance>) = instances.into_iter().partition(|i| i.id == id);
    if one.is_empty() {
        return Err(Problem::new(
            Kind::NotFound,
            "instance.unknown",
            format!("there is no instance \"{id}\""),
        )
        .hint(format!("see them with: hop3 ps -a {}", cx.app.name)));
    }
    let set = routes::Set::of(cx.server, &cx.app)?;
    let without = routes::service(cx.server, &cx.app, &set, Some((&release.artifact).into()), &others)?;
    cx.server.drivers.proxy.put(&without)?;
    drain(cx.server, &one);
    cx.server.drivers.runtime.restart(&cx.app.name, id)?;
    let restarted = of_release(cx.server.drivers.runtime.status(Some(&cx.app.name))?, release);
    health::wait(cx, release, &restarted)?;
    crate::reconcile::route_in_turn(cx.server, &cx.app)
}

/// The app as it is at this moment.
fn fresh(cx: &Context<'_>) -> Result<App, Problem> {
    cx.server.app(&cx.app.name)
}

fn drain(server: &Server, instances: &[Instance]) {
    let upstreams: Vec<String> =
        instances.iter().filter(|i| i.address.is_some()).map(routes::upstream_id).collect();
    if upstreams.is_empty() {
        return;
    }
    match server.drivers.proxy.drain(&upstreams, DRAIN) {
        Ok(drained) if drained.cut > 0 => {
            tracing::warn!(cut = drained.cut, "connections cut at the drain deadline")
        }
        Ok(_) => {}
        // A proxy that is away has nothing in flight.
        Err(problem) => tracing::warn!(problem = problem.title, "drain"),
    }
}

/// Wanted instances per process of this release.
pub(crate) fn wanted(app: &App, release: &Release) -> BTreeMap<ProcessName, u32> {
    let app = app.serving(release.number);
    release.artifact.processes.processes.keys().map(|name| (name.clone(), app.count(name))).collect()
}

fn counts(instances: &[Instance]) -> BTreeMap<ProcessName, u32> {
    let mut counts = BTreeMap::new();
    for instance in instances {
        *counts.entry(instance.process.clone()).or_insert(0) += 1;
    }
    counts
}

fn of_release(instances: Vec<Instance>, release: &Release) -> Vec<Instance> {
    instances.into_iter().filter(|i| i.release == release.number).collect()
}

/// The number at the end of an instance's id, from 1, tells whether it is within the count.
fn is_wanted(instance: &Instance, wanted: &BTreeMap<ProcessName, u32>) -> bool {
    let number = instance.id.rsplit('.').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(u32::MAX);
    wanted.get(&instance.process).is_some_and(|count| number <= *count)
}
