// SPDX-License-Identifier: Apache-2.0
//! `restart`: the same release, new processes.

use crate::commands::ps::act;
use crate::context::{AppArg, Context};
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::PsAction;

/// Restart an app, or one of its instances
#[derive(Args, Debug)]
pub struct RestartArgs {
    /// One instance, as `ps` shows it: web.v3.1
    pub(crate) instance: Option<String>,
    #[command(flatten)]
    pub(crate) app: AppArg,
}

pub(crate) fn run(args: RestartArgs, cx: &mut Context) -> Result<(), Problem> {
    act(&args.app, PsAction::Restart, args.instance, cx)
}
