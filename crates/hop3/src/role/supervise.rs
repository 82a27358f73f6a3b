// SPDX-License-Identifier: Apache-2.0
//! `hop3 supervise`: the supervisor role.

use super::{keep, layout, log};
use crate::command::SuperviseArgs;
use anyhow::{Context, Result};
use hop3_cli::GlobalArgs;
use std::process::ExitCode;

pub(crate) fn run(args: &SuperviseArgs, options: &GlobalArgs) -> ExitCode {
    log();
    match supervise(args, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<hop3_supervisor::AlreadyRunning>() => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "supervisor");
            ExitCode::FAILURE
        }
    }
}

fn supervise(args: &SuperviseArgs, options: &GlobalArgs) -> Result<()> {
    let layout = layout(options);
    std::fs::create_dir_all(layout.run_of("supervisor"))?;
    keep::keep_others(&layout, "supervisor")?;
    hop3_supervisor::run(hop3_supervisor::Options {
        allowed_uid: rustix::process::getuid().as_raw(),
        launcher: super::program().context("finding the program")?,
        wanted: args.kept.then(|| keep::wanted_file(&layout, "supervisor")),
        layout,
    })
}
