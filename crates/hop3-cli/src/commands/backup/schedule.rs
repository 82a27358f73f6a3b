// SPDX-License-Identifier: Apache-2.0
//! `backup schedule`: backups that make and prove themselves; `backup prune`: what is kept of them.

use super::{PruneArgs, ScheduleArgs, ask};
use crate::client::encode;
use crate::context::Context;
use crate::render::Table;
use hop3_core::Problem;
use hop3_core::backup::{BackupOf, BackupSchedule, Keep, PruneBackupsRequest};
use hop3_core::name::AddonName;
use hyper::Method;

/// Sunday before dawn.
const PROVE: &str = "30 4 * * 0";

pub(super) fn schedule(args: ScheduleArgs, cx: &mut Context) -> Result<(), Problem> {
    if args.at.is_none() && !args.off {
        let all: Vec<BackupSchedule> = cx.client()?.get("/api/backup-schedules")?;
        cx.answer(&all, |cx| table(&all, cx));
        return Ok(());
    }
    let addon: Option<AddonName> = args.addon.map(|name| name.parse()).transpose()?;
    let app = if args.whole_server || addon.is_some() { None } else { Some(cx.app(&args.app)?) };
    let Some(at) = args.at else {
        let of = match (&app, &addon) {
            (Some(app), _) => format!("?app={}", encode(app.as_str())),
            (_, Some(addon)) => format!("?addon={}", encode(addon.as_str())),
            (None, None) => String::new(),
        };
        cx.client()?.delete(&format!("/api/backup-schedules{of}"))?;
        let of = BackupOf::new(app.as_ref(), addon.as_ref());
        cx.say(&format!("backups of {of} are not made by themselves any more"));
        return Ok(());
    };
    let prove = args.prove.unwrap_or_else(|| PROVE.to_owned());
    let keep = args.keep.or_default();
    let wanted = BackupSchedule { app, addon, at, prove, keep, target: args.to, failed: None };
    let set: BackupSchedule = cx.client()?.send(Method::PUT, "/api/backup-schedules", &wanted)?;
    cx.answer(&set, |cx| table(std::slice::from_ref(&set), cx));
    Ok(())
}

pub(super) fn prune(args: PruneArgs, cx: &mut Context) -> Result<(), Problem> {
    let app = args.app.app.as_ref().map(|name| name.parse()).transpose()?;
    let addon = args.addon.as_ref().map(|name| name.parse()).transpose()?;
    let keep = args.keep.is_given().then(|| args.keep.or(Keep { last: 0, daily: 0, weekly: 0, monthly: 0 }));
    let gone = ask(cx, "/api/backups/prune", &PruneBackupsRequest { app, addon, keep })?;
    match gone.len() {
        0 => cx.say("nothing had to go"),
        1 => cx.say("1 backup is gone"),
        count => cx.say(&format!("{count} backups are gone")),
    }
    Ok(())
}

fn table(schedules: &[BackupSchedule], cx: &Context) -> String {
    if schedules.is_empty() {
        return "nothing is backed up by itself yet; for example: hop3 backup schedule --at \"0 3 * * *\" --server\n"
            .to_owned();
    }
    let mut table = Table::new(["OF", "MADE AT", "PROVEN AT", "KEPT", "TARGET", "LAST"]);
    for one in schedules {
        let Keep { last, daily, weekly, monthly } = one.keep;
        table.row([
            one.of().to_string(),
            one.at.clone(),
            one.prove.clone(),
            format!("last {last}, {daily} days, {weekly} weeks, {monthly} months"),
            one.target.clone().unwrap_or_else(|| "local".to_owned()),
            one.failed.as_ref().map(|problem| format!("FAILED: {}", problem.title)).unwrap_or_default(),
        ]);
    }
    table.render(cx.style())
}
