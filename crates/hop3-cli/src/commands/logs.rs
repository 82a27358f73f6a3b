// SPDX-License-Identifier: Apache-2.0
//! `logs`: app, build and platform lines in one stream ordered by time.

use crate::context::{AppArg, Context};
use crate::problem;
use crate::render::log_line;
use crate::upload::Upload;
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::LogEntry;
use hop3_core::name::ProcessName;
use hyper::Method;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Show the log of an app
#[derive(Args, Debug)]
pub struct LogsArgs {
    #[command(flatten)]
    app: AppArg,
    /// Keep showing lines as they come
    #[arg(short, long)]
    follow: bool,
    /// How many lines
    #[arg(short, long = "lines", value_name = "N")]
    n: Option<usize>,
    /// Only this process, for example web
    #[arg(short, long, value_name = "NAME")]
    process: Option<String>,
    /// Only the output of the last build
    #[arg(long)]
    build: bool,
    /// Only the requests that the proxy noted
    #[arg(long, conflicts_with_all = ["build", "process"])]
    requests: bool,
    /// Only lines younger than this: 90s, 10m, 2h, 3d
    #[arg(long, value_name = "AGE")]
    since: Option<String>,
}

pub(crate) fn run(args: LogsArgs, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(&args.app)?;
    let path = format!("/api/apps/{app}/logs{}", query(&args, SystemTime::now())?);
    let client = cx.client()?;
    let zone = cx.zone();
    if !args.follow {
        let entries: Vec<LogEntry> = client.get(&path)?;
        cx.answer(&entries, |cx| entries.iter().map(|entry| log_line(entry, &zone, cx.style())).collect());
        return Ok(());
    }
    let mut entries = client.stream(Method::GET, &path, Upload::Empty)?;
    while let Some(entry) = entries.next::<LogEntry>()? {
        cx.element(&entry, |cx| log_line(&entry, &zone, cx.style()));
        if !cx.is_out_open() {
            return Ok(());
        }
    }
    Err(problem::log_cut())
}

fn query(args: &LogsArgs, now: SystemTime) -> Result<String, Problem> {
    let mut pairs = Vec::new();
    if let Some(n) = args.n {
        pairs.push(format!("n={n}"));
    }
    if let Some(process) = &args.process {
        let process: ProcessName = process.parse()?;
        pairs.push(format!("process={process}"));
    }
    if let Some(age) = &args.since {
        let since = now.checked_sub(parse_age(age)?).unwrap_or(UNIX_EPOCH);
        let since_ms = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        pairs.push(format!("since_ms={since_ms}"));
    }
    if args.build {
        pairs.push("build=true".to_owned());
    }
    if args.requests {
        pairs.push("requests=true".to_owned());
    }
    if args.follow {
        pairs.push("follow=true".to_owned());
    }
    Ok(if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) })
}

/// `90s`, `10m`, `2h`, `3d`; a bare number is seconds.
pub(crate) fn parse_age(text: &str) -> Result<Duration, Problem> {
    let refuse = || problem::bad_argument("an age", text, "write a number and s, m, h or d, for example 10m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_secs = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(refuse()),
    };
    let count: u64 = digits.parse().map_err(|_| refuse())?;
    count.checked_mul(unit_secs).map(Duration::from_secs).ok_or_else(refuse)
}
