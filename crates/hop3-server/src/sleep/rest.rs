// SPDX-License-Identifier: Apache-2.0
//! Going to sleep, so that no request is lost: out of the table, where requests are held from then on; then a look
//! whether one had come before; then frozen or stopped.

use super::of_web;
use crate::deploy::{self, Context};
use crate::reconcile;
use crate::routes;
use crate::server::{Server, internal};
use crate::store::App;
use hop3_core::event::Event;
use hop3_core::name::ProcessName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::sleep::Sleep;
use hop3_core::workload::Instance;
use std::sync::{Arc, PoisonError};

/// Puts the web process of an app to sleep, or deeper than it sleeps; false when it is busy. The caller holds the
/// app's lock.
///
/// # Errors
/// That this proxy or runtime cannot; the app is awake as before then.
pub(crate) fn rest(server: &Arc<Server>, app: &App, level: Sleep) -> Result<bool, Problem> {
    let turn = server.turn_of(app);
    let _held = turn.lock().unwrap_or_else(PoisonError::into_inner);
    let app = server.app(&app.name)?;
    if app.stopped || app.current.is_none() || app.asleep >= Some(level) {
        return Ok(true);
    }
    let instances = server.drivers.runtime.status(Some(&app.name))?;
    let web: Vec<Instance> = of_web(&app, &instances).cloned().collect();
    let laid_down = lay_down(server, &app, &web, level);
    if !matches!(laid_down, Ok(true)) {
        get_up(server, &app)?;
        return laid_down;
    }
    for instance in web {
        server.record(Some(&app), None, Event::InstanceSlept { instance: instance.id, level });
    }
    Ok(true)
}

fn lay_down(server: &Arc<Server>, app: &App, web: &[Instance], level: Sleep) -> Result<bool, Problem> {
    server.store.set_asleep(app, Some(level)).map_err(internal)?;
    if app.asleep.is_none() {
        reconcile::route_in_turn(server, app)?;
        let status = server.drivers.proxy.status()?;
        if !status.on_demand.contains_key(app.name.as_str()) {
            return Err(not_here(server));
        }
        let ids: Vec<String> = web.iter().map(routes::upstream_id).collect();
        if status.leaving.iter().any(|busy| ids.contains(busy)) {
            return Ok(false);
        }
    }
    match level {
        Sleep::Frozen => {
            web.iter().try_for_each(|instance| server.drivers.runtime.freeze(&app.name, &instance.id))?;
        }
        Sleep::Stopped => {
            // It wakes alone; company comes with a crowd.
            let mut scale = app.scale.clone();
            if let Some(range) = app.sleep.ranges.get(&ProcessName::web()).filter(|range| range.least == 0) {
                scale.insert(ProcessName::web(), range.nearest(1));
                server.store.set_scale(app, &scale).map_err(internal)?;
            }
            let cx = Context::new(server, server.app(&app.name)?, None);
            deploy::stop_surplus(&cx, &deploy::current(&cx)?)?;
        }
    }
    Ok(true)
}

/// Back to what was before.
fn get_up(server: &Arc<Server>, app: &App) -> Result<(), Problem> {
    if app.asleep.is_none() {
        let cx = Context::new(server, App { asleep: None, ..app.clone() }, None);
        deploy::run_all(&cx, &deploy::current(&cx)?)?;
    }
    server.store.set_asleep(app, app.asleep).map_err(internal)?;
    reconcile::route_in_turn(server, app)
}

fn not_here(server: &Server) -> Problem {
    let proxy = server.drivers.proxy.name();
    Problem::new(Kind::Unavailable, "sleep.not-here", format!("behind the proxy {proxy} no app can sleep"))
        .hint("apps sleep behind the built-in proxy, which holds their requests until they are awake")
}
