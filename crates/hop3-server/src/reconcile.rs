// SPDX-License-Identifier: Apache-2.0
//! Reconcile: brings the world to what the store says. Runs at start, after any crash of any role, and whenever an
//! instance was lost. Nothing needs a log of half-done work: what runs is asked of the runtime, what should run is in
//! the store.

use crate::deploy::{self, Context};
use crate::routes;
use crate::server::{Server, internal};
use crate::sleep;
use crate::store::{App, Outline, Serving};
use crate::verb;
use hop3_core::event::Event;
use hop3_core::name::AppName;
use hop3_core::problem::Problem;
use hop3_core::release::ReleaseNumber;
use hop3_core::route::RouteTable;
use hop3_core::workload::Instance;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

/// Tells deployments that the last server left half-way, and cleans after them. Before anything else at start.
pub fn interrupted(server: &Arc<Server>) -> Result<(), Problem> {
    if let Err(problem) = verb::backup::interrupted(server) {
        tracing::warn!(problem = problem.title, "what a restore left was not cleaned");
    }
    // Before the sweep: what failed releases name is not in use.
    server.store.fail_pending_releases().map_err(internal)?;
    let interrupted = server.store.interrupt_deployments().map_err(internal)?;
    if interrupted.is_empty() {
        return Ok(());
    }
    let apps: HashMap<i64, App> =
        server.store.apps().map_err(internal)?.into_iter().map(|a| (a.id, a)).collect();
    for (deployment, app) in interrupted {
        let Some(app) = apps.get(&app) else { continue };
        server.record(Some(app), Some(deployment), Event::DeploymentInterrupted);
        deploy::sweep(server, app);
    }
    Ok(())
}

/// One whole pass: routes first, since they are what visitors see; then instances that are missing or too many.
pub fn reconcile(server: &Arc<Server>) -> Result<(), Problem> {
    let alone = server.routing();
    let instances = by_app(server.drivers.runtime.status(None)?);
    let mut serving = server.store.outlines().map_err(internal)?;
    for (app, _) in &mut serving {
        disbelieve_sleep(server, app, instances.get(&app.name).map_or(&[][..], Vec::as_slice))?;
    }
    server.drivers.proxy.apply(&table(server, &serving, &instances)?)?;
    drop(alone);
    repair_all(server, serving, &instances);
    Ok(())
}

/// Starts instances that are missing and stops those that are too many; routes follow.
pub fn repair_missing(server: &Arc<Server>) -> Result<(), Problem> {
    let instances = by_app(server.drivers.runtime.status(None)?);
    let serving = server.store.outlines().map_err(internal)?;
    repair_all(server, serving, &instances);
    Ok(())
}

fn repair_all(server: &Arc<Server>, serving: Serving<Outline>, instances: &HashMap<AppName, Vec<Instance>>) {
    for (app, current) in serving {
        let running = instances.get(&app.name).map_or(&[][..], Vec::as_slice);
        if needs_work(&app, current.as_ref(), running) {
            let server = Arc::clone(server);
            std::thread::spawn(move || repair(&server, &app.name));
        }
    }
}

/// The last server may have ended between what it did and what it wrote: an app whose instances run is not frozen.
fn disbelieve_sleep(server: &Server, app: &mut App, instances: &[Instance]) -> Result<(), Problem> {
    if app.asleep.is_some_and(|level| !sleep::is_so(level, app, instances)) {
        server.store.set_asleep(app, None).map_err(internal)?;
        app.asleep = None;
    }
    Ok(())
}

/// Applies one app's route as it should be now.
pub fn route(server: &Arc<Server>, app: &App) -> Result<(), Problem> {
    let turn = server.turn_of(app);
    let _held = turn.lock().unwrap_or_else(PoisonError::into_inner);
    route_in_turn(server, app)
}

/// The same for one who holds the app's turn.
pub fn route_in_turn(server: &Arc<Server>, app: &App) -> Result<(), Problem> {
    let _alone = server.routing();
    let app = server.app(&app.name)?;
    let set = routes::Set::of(server, &app)?;
    if app.stopped {
        return server.drivers.proxy.put(&routes::stopped(server, &app, &set)?);
    }
    let release = match app.current {
        Some(number) => server.store.release(&app, number).map_err(internal)?,
        None => None,
    };
    let mut instances = server.drivers.runtime.status(Some(&app.name))?;
    instances.retain(|i| Some(i.release) == app.current);
    let artifact = release.as_ref().map(|r| (&r.artifact).into());
    server.drivers.proxy.put(&routes::service(server, &app, &set, artifact, &instances)?)
}

/// Brings one app to its current release, once no other change holds it and if there is still a reason.
fn repair(server: &Arc<Server>, name: &AppName) {
    let Ok(app) = server.app(name) else { return };
    let lock = server.lock_of(&app);
    let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(app) = server.app(name) else { return };
    let cx = Context::new(server, app, None);
    let result = match cx.app.stopped || cx.app.current.is_none() {
        true => server.drivers.runtime.remove(name, None),
        false => deploy::current(&cx).and_then(|release| deploy::converge(&cx, &release)),
    };
    if let Err(problem) = result {
        cx.unwind();
        cx.warn(&format!("the app could not be brought up: {}", problem.title));
    }
}

fn needs_work(app: &App, current: Option<&(ReleaseNumber, Outline)>, running: &[Instance]) -> bool {
    // What runs without a release was left by a first deployment that was interrupted.
    let Some((number, artifact)) = current.filter(|_| !app.stopped) else {
        return !running.is_empty();
    };
    let stale = running.iter().any(|i| i.release != *number);
    let wrong_count = artifact.processes().any(|process| {
        let have = running.iter().filter(|i| i.release == *number && i.process == *process).count();
        have != app.count(process) as usize
    });
    stale || wrong_count
}

/// The table as it should be now, for whoever holds `routing`.
pub(crate) fn whole_table(server: &Server) -> Result<RouteTable, Problem> {
    let instances = by_app(server.drivers.runtime.status(None)?);
    table(server, &server.store.outlines().map_err(internal)?, &instances)
}

fn table(
    server: &Server,
    serving: &Serving<Outline>,
    instances: &HashMap<AppName, Vec<Instance>>,
) -> Result<RouteTable, Problem> {
    let (all, none) = (routes::Set::all(server)?, routes::Set::default());
    let mut services = vec![routes::control_plane(server)];
    services.extend(crate::verb::addon::services(server)?);
    for (app, current) in serving {
        let set = all.get(&app.id).unwrap_or(&none);
        let number = current.as_ref().map(|(number, _)| *number);
        let of_app = instances.get(&app.name).into_iter().flatten();
        let own: Vec<Instance> = of_app.filter(|i| Some(i.release) == number).cloned().collect();
        services.push(match app.stopped {
            true => routes::stopped(server, app, set)?,
            false => {
                routes::service(server, app, set, current.as_ref().map(|(_, outline)| outline.into()), &own)?
            }
        });
    }
    Ok(RouteTable { services })
}

fn by_app(instances: Vec<Instance>) -> HashMap<AppName, Vec<Instance>> {
    let mut map: HashMap<AppName, Vec<Instance>> = HashMap::new();
    for instance in instances {
        map.entry(instance.app.clone()).or_default().push(instance);
    }
    map
}
