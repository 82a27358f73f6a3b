// SPDX-License-Identifier: Apache-2.0
//! `deploy`: one deployment from its queue to its last event.

use super::change::changing;
use crate::deploy::{self, Context, Upload};
use crate::server::{Server, internal};
use crate::store::{App, DeploymentId, Release};
use hop3_core::event::Event;
use hop3_core::problem::Problem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Instant;

/// Runs a deployment to its end and tells how it went. A panic ends this deployment and no other.
pub(crate) fn run(server: &Arc<Server>, app: App, deployment: DeploymentId, upload: Upload) {
    let started = Instant::now();
    let lock = server.lock_of(&app);
    let held = match lock.try_lock() {
        Ok(held) => held,
        Err(TryLockError::Poisoned(held)) => held.into_inner(),
        Err(TryLockError::WouldBlock) => {
            let text = "waiting: another change of this app is under way".to_owned();
            server.record(Some(&app), Some(deployment), Event::Warned { text });
            lock.lock().unwrap_or_else(PoisonError::into_inner)
        }
    };
    let result = server.app(&app.name).and_then(|app| {
        let cx = Context::new(server, app, Some(deployment));
        let run = AssertUnwindSafe(|| deploy::deploy(&cx, upload));
        let result =
            catch_unwind(run).unwrap_or_else(|_| Err(internal(anyhow::anyhow!("a deployment panicked"))));
        result.inspect_err(|_| cx.unwind()).map_err(|problem| cx.redacted(&problem))
    });
    drop(held);
    let millis = started.elapsed().as_millis() as u64;
    if let Err(error) = server.store.finish_deployment(deployment, result.as_ref().ok().copied()) {
        tracing::error!(error = format!("{error:#}"), "deployment not closed");
    }
    let last = match result {
        Ok(release) => Event::DeploymentSucceeded { release, url: server.site.app_url(&app.name), millis },
        Err(problem) => Event::DeploymentFailed { problem, millis },
    };
    server.record(Some(&app), Some(deployment), last);
}

/// Gives a new app another's release and starts it. The built tree is shared: it is read-only, and kept as long as a
/// release of any app names it.
pub(crate) fn clone_release(
    server: &Arc<Server>,
    app: &App,
    from: &App,
    release: &Release,
) -> Result<(), Problem> {
    let config = release.config.expose();
    server.store.replace_config(app, config).map_err(internal)?;
    let reason = format!("Clone of {} {}", from.name, release.number);
    let made = server.store.create_release(app, &release.artifact, config, &reason).map_err(internal)?;
    changing(Context::new(server, app.clone(), None), |cx| deploy::converge(cx, &made))
}
