// SPDX-License-Identifier: Apache-2.0
//! `backup schedule`: backups that make and prove themselves; `backup prune`: what is kept of them.

use super::{PruneArgs, ScheduleArgs, ask};
use crate::client::encode;
use crate::context::Context;
use crate::render::Table;
use hop3_core::Problem;
use hop3_core::backup::{BackupSchedule, Keep, PruneBackupsRequest};
use hop3_core::name::AppName;
use hyper::Method;

/// Sunday before dawn.
const PROVE: &str = "30 4 * * 0";

pub(super) fn schedule(args: ScheduleArgs, cx: &mut Context) -> Result<(), Problem> {
    if args.at.is_none() && !args.off {
        let all: Vec<BackupSchedule> = cx.client()?.get("/api/backup-schedules")?;
        cx.answer(&all, |cx| table(&all, cx));
        return Ok(());
    }
    let app = if args.whole_server { None } else { Some(cx.app(&args.app)?) };
    let Some(at) = args.at else {
        let of = app.as_ref().map_or_else(String::new, |app| format!("?app={}", encode(app.as_str())));
        cx.client()?.delete(&format!("/api/backup-schedules{of}"))?;
        cx.say(&format!("backups of {} are not made by themselves any more", what(app.as_ref())));
        return Ok(());
    };
    let prove = args.prove.unwrap_or_else(|| PROVE.to_owned());
    let keep = args.keep.or_default();
    let wanted = BackupSchedule { app, at, prove, keep, target: args.to };
    let set: BackupSchedule = cx.client()?.send(Method::PUT, "/api/backup-schedules", &wanted)?;
    cx.answer(&set, |cx| table(std::slice::from_ref(&set), cx));
    Ok(())
}

pub(super) fn prune(args: PruneArgs, cx: &mut Context) -> Result<(), Problem> {
    let app = args.app.app.as_ref().map(|name| name.parse()).transpose()?;
    let keep = args.keep.is_given().then(|| args.keep.or(Keep { last: 0, daily: 0, weekly: 0, monthly: 0 }));
    let gone = ask(cx, "/api/backups/prune", &PruneBackupsRequest { app, keep })?;
    match gone.len() {
        0 => cx.say("nothing had to go"),
        1 => cx.say("1 backup is gone"),
        count => cx.say(&format!("{count} backups are gone")),
    }
    Ok(())
}

fn what(app: Option<&AppName>) -> String {
    app.map_or_else(|| "the server".to_owned(), ToString::to_string)
}

fn table(schedules: &[BackupSchedule], cx: &Context) -> String {
    if schedules.is_empty() {
        return "nothing is backed up by itself yet; for example: hop3 backup schedule --at \"0 3 * * *\" --server\n"
            .to_owned();
    }
    let mut table = Table::new(["OF", "MADE AT", "PROVEN AT", "KEPT", "TARGET"]);
    for one in schedules {
        let Keep { last, daily, weekly, monthly } = one.keep;
        table.row([
            what(one.app.as_ref()),
            one.at.clone(),
            one.prove.clone(),
            format!("last {last}, {daily} days, {weekly} weeks, {monthly} months"),
            one.target.clone().unwrap_or_else(|| "local".to_owned()),
        ]);
    }
    table.render(cx.style())
}
