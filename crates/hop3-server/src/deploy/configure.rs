// SPDX-License-Identifier: Apache-2.0
//! Step Configure: what the files of the source ask for.

use super::Context;
use super::checkout::Source;
use hop3_core::name::ProcessName;
use hop3_core::problem::Problem;
use hop3_core::settings::Settings;
use hop3_core::tcp::{Entry, TcpSettings};

pub(super) fn run(cx: &Context<'_>, source: &Source) -> Result<Settings, Problem> {
    let settings = hop3_core::config::load(&source.tree)?;
    crate::verb::proxy::check(cx.server, &cx.app, &settings.proxy)?;
    crate::verb::tcp::check(cx.server, &cx.app, &settings.tcp)?;
    let is_host = |settings: &TcpSettings| matches!(settings.entry, Entry::Host(_));
    if cx.server.site.https.is_none() && settings.tcp.iter().any(is_host) {
        cx.warn("[[tcp]] names a host, but this server has no port for HTTPS, which its connections would come to");
    }
    let names: Vec<&str> = settings.run.processes.keys().map(ProcessName::as_str).collect();
    if !names.is_empty() {
        cx.say(&format!("processes: {}", names.join(", ")));
    }
    Ok(settings)
}
