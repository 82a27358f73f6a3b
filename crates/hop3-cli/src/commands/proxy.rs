// SPDX-License-Identifier: Apache-2.0
//! `proxy status`: the verb beside the `proxy` role, which the program itself owns.

use crate::context::Context;
use crate::render::proxy_report;
use clap::Subcommand;
use hop3_core::Problem;
use hop3_core::api::ProxyReport;

/// Look at the proxy
#[derive(Subcommand, Debug)]
pub enum ProxyCommand {
    /// Show what each route has served
    Status,
}

pub(crate) fn run(command: ProxyCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        ProxyCommand::Status => {
            let report: ProxyReport = cx.client()?.get("/api/proxy")?;
            cx.answer(&report, |cx| proxy_report(&report, cx.style()));
        }
    }
    Ok(())
}
