// SPDX-License-Identifier: Apache-2.0
//! Step Configure: what the files of the source ask for.

use super::Context;
use super::checkout::Source;
use hop3_core::problem::Problem;
use hop3_core::settings::Settings;

pub(super) fn run(cx: &Context<'_>, source: &Source) -> Result<Settings, Problem> {
    let settings = hop3_core::config::load(&source.tree)?;
    cx.say(&format!("{} processes declared", settings.run.processes.len()));
    Ok(settings)
}
