// SPDX-License-Identifier: Apache-2.0
//! `exec`: a command beside one running instance, in its environment.

use crate::commands::run::attach;
use crate::context::{AppArg, Context};
use clap::Args;
use hop3_core::Problem;

/// Run a command in the environment of a running instance
///
/// Ends with the command's own exit status
#[derive(Args, Debug)]
pub struct ExecArgs {
    #[command(flatten)]
    app: AppArg,
    /// The instance, as `ps` shows it: web.v3.1
    instance: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    argv: Vec<String>,
}

pub(crate) fn run(args: ExecArgs, cx: &mut Context) -> Result<u8, Problem> {
    let app = cx.app(&args.app)?;
    attach(&format!("/api/apps/{app}/run"), args.argv, Some(args.instance), cx)
}
