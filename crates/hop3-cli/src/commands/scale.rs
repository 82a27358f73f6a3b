// SPDX-License-Identifier: Apache-2.0
//! `scale`: how many instances of each process.

use crate::context::{AppArg, Context};
use crate::problem;
use crate::render::Table;
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::{AppInfo, ScaleRequest};
use hop3_core::name::ProcessName;
use hyper::Method;
use std::collections::BTreeMap;

/// Set how many instances of each process run; without arguments, show it
#[derive(Args, Debug)]
pub struct ScaleArgs {
    /// For example web=3 worker=1
    #[arg(value_name = "PROCESS=N")]
    processes: Vec<String>,
    #[command(flatten)]
    app: AppArg,
}

pub(crate) fn run(args: ScaleArgs, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(&args.app)?;
    let client = cx.client()?;
    if args.processes.is_empty() {
        let info: AppInfo = client.get(&format!("/api/apps/{app}"))?;
        cx.answer(&info.scale, |cx| {
            let mut table = Table::new(["PROCESS", "INSTANCES"]);
            info.scale.iter().for_each(|(process, n)| table.row([process.to_string(), n.to_string()]));
            table.render(cx.style())
        });
        return Ok(());
    }
    let processes = parse_pairs(&args.processes)?;
    let told: Vec<String> = processes.iter().map(|(process, n)| format!("{process}={n}")).collect();
    let request = ScaleRequest { processes };
    let answer: serde_json::Value = client.send(Method::POST, &format!("/api/apps/{app}/scale"), &request)?;
    cx.answer(&answer, |_| format!("{app} is scaled to {}\n", told.join(" ")));
    Ok(())
}

pub(crate) fn parse_pairs(pairs: &[String]) -> Result<BTreeMap<ProcessName, u32>, Problem> {
    let hint = "write PROCESS=N with a whole number from 0, for example web=3";
    let mut processes = BTreeMap::new();
    for pair in pairs {
        let refuse = || problem::bad_argument("a number of instances", pair, hint);
        let (process, count) = pair.split_once('=').ok_or_else(refuse)?;
        if !count.chars().all(|c| c.is_ascii_digit()) {
            return Err(refuse());
        }
        processes.insert(process.parse()?, count.parse().map_err(|_| refuse())?);
    }
    Ok(processes)
}
