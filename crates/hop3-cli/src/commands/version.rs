// SPDX-License-Identifier: Apache-2.0
//! `version`: of this program; the server's own is in `server info`.

use crate::context::Context;
use clap::Args;
use hop3_core::Problem;

/// Print the version of this program
#[derive(Args, Debug)]
pub struct VersionArgs {}

pub(crate) fn run(_: VersionArgs, cx: &mut Context) -> Result<(), Problem> {
    let version = env!("CARGO_PKG_VERSION");
    cx.answer(&serde_json::json!({ "version": version }), |_| format!("hop3 {version}\n"));
    Ok(())
}
