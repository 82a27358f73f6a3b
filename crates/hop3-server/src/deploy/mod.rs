// SPDX-License-Identifier: Apache-2.0
//! The way of a push: one linear function, typed values flowing down.
//!
//! Everything before `Switch` can be undone and is, on failure; the old release serves until then. Everything after
//! it is clean-up and never fails the deployment. Reading order: `deploy` here, `context` (steps, undo), then one
//! file per step.

mod activate;
mod bind;
mod build;
mod checkout;
mod configure;
mod context;
mod health;
mod hook;
mod job;
mod late;
mod layer;
mod place;
mod release;
mod slot;
mod sweep;

pub(crate) use activate::{
    converge, restart_instance, retire_releases, run_all, stop_surplus, try_out, until_healthy, wanted,
};
pub(crate) use checkout::Upload;
pub(crate) use context::Context;
pub(crate) use job::one_off;
pub(crate) use release::{Change, current};
pub(crate) use slot::Slots;
pub(crate) use sweep::{remove_unused, sweep};

use hop3_core::event::DeployStep;
use hop3_core::problem::Problem;
use hop3_core::release::ReleaseNumber;

/// Brings an upload to its release. The caller holds the app's lock.
pub(crate) fn deploy(cx: &Context<'_>, upload: Upload) -> Result<ReleaseNumber, Problem> {
    let source = cx.step(DeployStep::Checkout, || checkout::run(cx, upload))?;
    let settings = cx.step(DeployStep::Configure, || configure::run(cx, &source))?;
    let plan = cx.step(DeployStep::Plan, || build::plan(cx, &source, &settings))?;
    let artifact = cx.step(DeployStep::Build, || build::run(cx, source, &settings, &plan))?;
    let environment = cx.step(DeployStep::Bind, || bind::run(cx, &settings))?;
    let release = cx.step(DeployStep::Release, || release::run(cx, &artifact, &environment))?;
    let started = cx.step(DeployStep::Start, || activate::start(cx, &release))?;
    let ready = cx.step(DeployStep::Healthy, || activate::healthy(cx, &release, started))?;
    let switched = cx.step(DeployStep::Switch, || activate::switch(cx, &release, ready))?;
    cx.step(DeployStep::Retire, || activate::retire(cx, &release, switched))?;
    Ok(release.number)
}

/// Puts a release of the same artifact in place of the current one: config change, rollback, restart. The caller
/// holds the app's lock.
pub(crate) fn redeploy(cx: &Context<'_>, change: Change) -> Result<ReleaseNumber, Problem> {
    let release = cx.step(DeployStep::Release, || release::from_change(cx, change))?;
    let started = cx.step(DeployStep::Start, || activate::start(cx, &release))?;
    let ready = cx.step(DeployStep::Healthy, || activate::healthy(cx, &release, started))?;
    let switched = cx.step(DeployStep::Switch, || activate::switch(cx, &release, ready))?;
    cx.step(DeployStep::Retire, || activate::retire(cx, &release, switched))?;
    Ok(release.number)
}
