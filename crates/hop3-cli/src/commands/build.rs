// SPDX-License-Identifier: Apache-2.0
//! `build plan`: what a deployment of this directory would do, without a server.

use crate::context::Context;
use crate::problem;
use crate::render::plan as render_plan;
use clap::Subcommand;
use hop3_core::Problem;
use std::path::PathBuf;

/// Look at builds before they happen
#[derive(Subcommand, Debug)]
pub enum BuildCommand {
    /// Show how a directory would be built, without building it
    Plan {
        /// The directory of the app
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
}

pub(crate) fn run(command: BuildCommand, cx: &mut Context) -> Result<(), Problem> {
    let BuildCommand::Plan { dir } = command;
    if !dir.is_dir() {
        return Err(problem::not_a_directory(&dir));
    }
    let plan = (cx.program.plan)(&dir)?;
    cx.answer(&plan, |cx| render_plan(&plan, cx.style()));
    Ok(())
}
