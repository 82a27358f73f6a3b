// SPDX-License-Identifier: Apache-2.0
//! `scale`: how many instances of each process.

use crate::context::{AppArg, Context};
use crate::problem;
use crate::render::{Table, scale};
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::{AppInfo, ScaleRequest};
use hop3_core::name::ProcessName;
use hop3_core::sleep::{Range, SleepTimes, parse_time};
use hyper::Method;
use std::collections::BTreeMap;

/// Set how many instances of each process run; without arguments, show it
#[derive(Args, Debug)]
pub struct ScaleArgs {
    /// For example web=3 worker=1; web=0..1 lets the process sleep when nobody asks
    #[arg(value_name = "PROCESS=N")]
    processes: Vec<String>,
    /// Freeze web after so long without a request: 90s, 10m, 2h, never
    #[arg(long, value_name = "TIME")]
    freeze_after: Option<String>,
    /// Stop web after so long without a request: 90s, 10m, 2h, never
    #[arg(long, value_name = "TIME")]
    stop_after: Option<String>,
    #[command(flatten)]
    app: AppArg,
}

pub(crate) fn run(args: ScaleArgs, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(&args.app)?;
    let client = cx.client()?;
    let sleep = SleepTimes {
        freeze_after_secs: args.freeze_after.as_deref().map(time).transpose()?,
        stop_after_secs: args.stop_after.as_deref().map(time).transpose()?,
    };
    if args.processes.is_empty() && sleep.is_unsaid() {
        let info: AppInfo = client.get(&format!("/api/apps/{app}"))?;
        cx.answer(&info.scale, |cx| {
            let mut table = Table::new(["PROCESS", "INSTANCES"]);
            scale(&info).for_each(|(process, n)| table.row([process.to_string(), n]));
            table.render(cx.style())
        });
        return Ok(());
    }
    let (ranges, counts): (Vec<String>, Vec<String>) =
        args.processes.into_iter().partition(|pair| pair.contains(".."));
    let request = ScaleRequest { processes: parse_pairs(&counts)?, ranges: parse_ranges(&ranges)?, sleep };
    let told = request.processes.iter().map(|(process, n)| format!("{process}={n}"));
    let told: Vec<String> =
        told.chain(request.ranges.iter().map(|(process, range)| format!("{process}={range}"))).collect();
    let answer: serde_json::Value = client.send(Method::POST, &format!("/api/apps/{app}/scale"), &request)?;
    cx.answer(&answer, |_| match told.is_empty() {
        true => format!("{app} sleeps after other times\n"),
        false => format!("{app} is scaled to {}\n", told.join(" ")),
    });
    Ok(())
}

fn time(text: &str) -> Result<u32, Problem> {
    let hint = "write a whole number with s, m, h or d behind it, such as 10m, or never";
    parse_time(text).ok_or_else(|| problem::bad_argument("a length of time", text, hint))
}

pub(crate) fn parse_ranges(pairs: &[String]) -> Result<BTreeMap<ProcessName, Range>, Problem> {
    let hint = "write PROCESS=LEAST..MOST with whole numbers, for example web=0..1";
    let mut ranges = BTreeMap::new();
    for pair in pairs {
        let refuse = || problem::bad_argument("a range of instances", pair, hint);
        let number = |text: &str| match text.chars().all(|c| c.is_ascii_digit()) {
            true => text.parse().map_err(|_| refuse()),
            false => Err(refuse()),
        };
        let (process, range) = pair.split_once('=').ok_or_else(refuse)?;
        let (least, most) = range.split_once("..").ok_or_else(refuse)?;
        ranges.insert(process.parse()?, Range { least: number(least)?, most: number(most)? });
    }
    Ok(ranges)
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
