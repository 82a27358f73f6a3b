// SPDX-License-Identifier: Apache-2.0
//! Waking: the instances are brought up, seen healthy, and put in the table, where the held requests find them.

use crate::deploy::{self, Context};
use crate::reconcile;
use crate::routes;
use crate::server::{Server, internal};
use crate::store::App;
use hop3_core::event::Event;
use hop3_core::name::{AppName, ProcessName};
use hop3_core::problem::Problem;
use hop3_core::sleep::Sleep;
use hop3_core::workload::{Instance, InstanceState};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// Wakes an app and has the table say so. One that is awake is only put in the table again, since somebody asked who
/// did not find it there.
///
/// # Errors
/// Why it does not come up; it sleeps on then.
pub(crate) fn wake(server: &Arc<Server>, name: &AppName) -> Result<(), Problem> {
    let begun = Instant::now();
    let turn = server.turn_of(&server.app(name)?);
    let _held = turn.lock().unwrap_or_else(PoisonError::into_inner);
    let app = server.app(name)?;
    let Some(level) = app.asleep.filter(|_| !app.stopped) else {
        return reconcile::route_in_turn(server, &app);
    };
    let cx = Context::new(server, App { asleep: None, ..app }, None);
    match bring_up(&cx, level) {
        Ok(instances) => {
            server.store.set_asleep(&cx.app, None).map_err(internal)?;
            let millis = begun.elapsed().as_millis() as u64;
            for instance in instances {
                cx.tell(Event::InstanceWoke { instance: instance.id, millis });
            }
            Ok(())
        }
        Err(problem) => {
            failed(&cx, &problem)?;
            Err(problem)
        }
    }
}

fn bring_up(cx: &Context<'_>, level: Sleep) -> Result<Vec<Instance>, Problem> {
    let release = deploy::current(cx)?;
    let mut web = deploy::run_all(cx, &release)?;
    web.retain(|instance| instance.process == ProcessName::web());
    let was_frozen = level == Sleep::Frozen && web.iter().all(|i| i.state == InstanceState::Running);
    if !was_frozen {
        deploy::until_healthy(cx, &release, &web)?;
    }
    let _alone = cx.server.routing();
    let set = routes::Set::of(cx.server, &cx.app)?;
    let service = routes::service(cx.server, &cx.app, &set, Some((&release.artifact).into()), &web)?;
    cx.server.drivers.proxy.put(&service)?;
    Ok(web)
}

/// What did not come up is stopped, so that nothing crashes on while nobody asks. The event tells why, in the app's log
/// too.
fn failed(cx: &Context<'_>, problem: &Problem) -> Result<(), Problem> {
    cx.tell(Event::WakeFailed { problem: cx.redacted(problem) });
    cx.server.store.set_asleep(&cx.app, Some(Sleep::Stopped)).map_err(internal)?;
    let asleep = Context::new(cx.server, cx.server.app(&cx.app.name)?, None);
    reconcile::route_in_turn(cx.server, &asleep.app)?;
    deploy::stop_surplus(&asleep, &deploy::current(&asleep)?)
}
