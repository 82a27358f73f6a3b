// SPDX-License-Identifier: Apache-2.0
//! `backup`: copies of apps and of the server, kept elsewhere, and the way back.

mod rebuild;
mod schedule;
mod target;

use crate::client::{EventStream, encode, json};
use crate::context::{AppArg, Context};
use crate::problem;
use crate::render::{Table, backup_detail, backup_news, clock, size};
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::backup::{
    BackupDetail, BackupInfo, BackupKey, BackupNews, CreateBackupRequest, Keep, RestoreBackupRequest,
    VerifyBackupRequest,
};
use hop3_core::name::{AddonName, TableName};
use hyper::Method;
use serde::Serialize;
use target::TargetsCommand;

/// Make backups of apps and of the server, prove them, restore them
#[derive(Subcommand, Debug)]
pub enum BackupCommand {
    /// Make a backup of an app, or of the whole server
    Create(CreateArgs),
    /// List the backups, newest first, and when each was last proven
    List {
        #[command(flatten)]
        app: AppArg,
    },
    /// Show what a backup holds
    Info { backup: String },
    /// Restore an app in place, as a new app, or one file of its data
    Restore(RestoreArgs),
    /// Restore backups into a scratch place and compare: the newest of each app, addon and of the server, or one
    Verify(VerifyArgs),
    /// Make and prove backups by themselves; without --at, list the schedules
    Schedule(ScheduleArgs),
    /// Forget backups that need not be kept, by their schedule or by what is given here
    Prune(PruneArgs),
    #[command(subcommand)]
    Targets(TargetsCommand),
    /// Print the recovery key, which opens every backup; keep it away from this machine
    Key,
}

#[derive(Args, Debug)]
pub struct CreateArgs {
    #[command(flatten)]
    app: AppArg,
    /// The whole server: all apps, certificates, keys, users; `--server` without an address says the same
    #[arg(long, conflicts_with = "app")]
    whole_server: bool,
    /// Where to; `local` on the server's own disk unless given
    #[arg(long, value_name = "TARGET")]
    to: Option<String>,
}

#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// As `hop3 backup list` names it; with --server, the newest of a whole server unless named
    #[arg(required_unless_present = "whole_server")]
    backup: Option<String>,
    #[command(flatten)]
    app: AppArg,
    /// Make a new app, addon or table of it and leave the one that is there alone
    #[arg(long = "as", value_name = "NEW")]
    new_name: Option<String>,
    /// Only this file or directory of the app's data; the app goes on running
    #[arg(long, value_name = "FILE")]
    path: Option<String>,
    /// Only what this addon held: in place of what it holds now, or as a new addon with --as
    #[arg(long, value_name = "ADDON", conflicts_with_all = ["app", "path"])]
    addon: Option<String>,
    /// Of that addon, only this table: in place of its rows, or as a new table with --as
    #[arg(long, value_name = "TABLE", requires = "addon")]
    table: Option<String>,
    /// The addon's name again, for scripts; not needed with --as
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Make the whole server anew in an empty --root; `--server` without an address says the same
    #[arg(long, requires = "from", conflicts_with_all = ["app", "new_name", "path", "addon"])]
    whole_server: bool,
    /// Where its backups are: a path, or as restic writes it
    #[arg(long, value_name = "LOCATION", requires = "whole_server")]
    from: Option<String>,
    /// Variables that place needs, as NAME=VALUE; a NAME alone is taken from this command's own environment
    #[arg(long, value_name = "NAME[=VALUE]", requires = "whole_server")]
    env: Vec<String>,
}

#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// As `hop3 backup list` names it
    backup: Option<String>,
    /// Start a copy of each app on what was restored, whatever its hop3.toml says; it must pass its health check
    #[arg(long)]
    start: bool,
    /// Start no copy of any app
    #[arg(long, conflicts_with = "start")]
    no_start: bool,
}

#[derive(Args, Debug)]
pub struct ScheduleArgs {
    #[command(flatten)]
    app: AppArg,
    /// An addon by itself
    #[arg(long, value_name = "ADDON", conflicts_with = "app")]
    addon: Option<String>,
    /// The whole server; `--server` without an address says the same
    #[arg(long, conflicts_with_all = ["app", "addon"])]
    whole_server: bool,
    /// When it is made, five fields as in a crontab, in the server's time zone
    #[arg(long, value_name = "CRON")]
    at: Option<String>,
    /// When the newest is restored into a scratch place and checked; Sunday at 4:30 unless given
    #[arg(long, value_name = "CRON", requires = "at")]
    prove: Option<String>,
    #[command(flatten)]
    keep: KeepArgs,
    /// Where to; `local` on the server's own disk unless given
    #[arg(long, value_name = "TARGET", requires = "at")]
    to: Option<String>,
    /// End the schedule; what was made stays
    #[arg(long, conflicts_with = "at")]
    off: bool,
}

#[derive(Args, Debug)]
pub struct PruneArgs {
    /// Only those of this app
    #[command(flatten)]
    app: AppArg,
    /// Only those of this addon by itself
    #[arg(long, value_name = "ADDON", conflicts_with = "app")]
    addon: Option<String>,
    #[command(flatten)]
    keep: KeepArgs,
}

/// What is kept.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct KeepArgs {
    /// Keep the newest so many
    #[arg(long, value_name = "N")]
    keep_last: Option<u32>,
    /// Keep the newest of each of so many days
    #[arg(long, value_name = "N")]
    keep_daily: Option<u32>,
    /// Keep the newest of each of so many weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<u32>,
    /// Keep the newest of each of so many months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<u32>,
}

impl KeepArgs {
    fn is_given(self) -> bool {
        [self.keep_last, self.keep_daily, self.keep_weekly, self.keep_monthly].iter().any(Option::is_some)
    }

    fn or(self, rest: Keep) -> Keep {
        Keep {
            last: self.keep_last.unwrap_or(rest.last),
            daily: self.keep_daily.unwrap_or(rest.daily),
            weekly: self.keep_weekly.unwrap_or(rest.weekly),
            monthly: self.keep_monthly.unwrap_or(rest.monthly),
        }
    }

    fn or_default(self) -> Keep {
        self.or(Keep::default())
    }
}

pub(crate) fn run(command: BackupCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        BackupCommand::Create(args) => create(&args, cx),
        BackupCommand::List { app } => list(&app, cx),
        BackupCommand::Info { backup } => {
            let detail: BackupDetail = cx.client()?.get(&path(&backup))?;
            cx.answer(&detail, |cx| backup_detail(&detail, cx.style(), &cx.zone()));
            Ok(())
        }
        BackupCommand::Restore(args) => restore(args, cx),
        BackupCommand::Verify(args) => verify(args, cx),
        BackupCommand::Schedule(args) => schedule::schedule(args, cx),
        BackupCommand::Prune(args) => schedule::prune(args, cx),
        BackupCommand::Targets(command) => target::run(command, cx),
        BackupCommand::Key => {
            let key: BackupKey = cx.client()?.get("/api/backup-key")?;
            cx.answer(&key, |_| format!("{}\n", key.key));
            Ok(())
        }
    }
}

fn path(backup: &str) -> String {
    format!("/api/backups/{}", encode(backup))
}

fn create(args: &CreateArgs, cx: &mut Context) -> Result<(), Problem> {
    let app = if args.whole_server { None } else { Some(cx.app(&args.app)?) };
    make(cx, &CreateBackupRequest { app, addon: None, target: args.to.clone() })
}

/// `addon backup`
pub(super) fn of_addon(name: &str, to: Option<String>, cx: &mut Context) -> Result<(), Problem> {
    make(cx, &CreateBackupRequest { app: None, addon: Some(name.parse()?), target: to })
}

fn make(cx: &mut Context, request: &CreateBackupRequest) -> Result<(), Problem> {
    for info in ask(cx, "/api/backups", request)? {
        cx.say(&format!(
            "backup {} of {}: {} files, {}, {} of it new",
            info.id,
            info.of(),
            info.files,
            size(info.bytes),
            size(info.added_bytes)
        ));
    }
    Ok(())
}

fn list(app: &AppArg, cx: &mut Context) -> Result<(), Problem> {
    let of = app.app.as_ref().map_or_else(String::new, |app| format!("?app={}", encode(app)));
    let all: Vec<BackupInfo> = cx.client()?.get(&format!("/api/backups{of}"))?;
    cx.answer(&all, |cx| {
        if all.is_empty() {
            return "there is no backup yet; make one with: hop3 backup create\n".to_owned();
        }
        let mut table = Table::new(["BACKUP", "OF", "TARGET", "MADE", "SIZE", "PROVEN"]);
        for one in &all {
            let proven = match (&one.problem, one.proven_ms) {
                (Some(problem), _) => format!("FAILED: {}", problem.title),
                (None, Some(proven)) => clock(proven, &cx.zone()),
                (None, None) => "never".to_owned(),
            };
            table.row([
                one.id.to_string(),
                one.of().to_string(),
                one.target.clone(),
                clock(one.made_ms, &cx.zone()),
                size(one.bytes),
                proven,
            ]);
        }
        table.render(cx.style())
    });
    Ok(())
}

fn restore(args: RestoreArgs, cx: &mut Context) -> Result<(), Problem> {
    let (backup, from) = (args.backup, args.from);
    if let Some(location) = from {
        return rebuild::run(location, &args.env, backup, cx);
    }
    let app = args.app.app.map(|name| name.parse()).transpose()?;
    let table: Option<TableName> = args.table.map(|name| name.parse()).transpose()?;
    let (new_name, new_table) = match args.new_name {
        Some(name) if table.is_some() => (None, Some(name.parse()?)),
        name => (name.map(|name| name.parse()).transpose()?, None),
    };
    let backup = backup.unwrap_or_default();
    let mut addon: Option<AddonName> = args.addon.map(|name| name.parse()).transpose()?;
    if addon.is_none() {
        // A backup of an addon by itself has nothing else.
        let all: Vec<BackupInfo> = cx.client()?.get("/api/backups")?;
        addon = all.into_iter().find(|info| info.id.as_str() == backup).and_then(|info| info.addon);
    }
    if let Some(addon) = addon.as_ref().filter(|_| new_name.is_none() && new_table.is_none()) {
        let what = table.as_ref().map_or("all".to_owned(), |table| format!("the rows of {table}"));
        let happens = format!("This replaces {what} that {addon} holds.");
        cx.confirm(&happens, addon.as_str(), args.confirm)?;
    }
    let request = RestoreBackupRequest { app, new_name, path: args.path, addon, table, new_table };
    for info in ask(cx, &format!("{}/restore", path(&backup)), &request)? {
        cx.say(&format!("restored from {}", info.id));
    }
    Ok(())
}

fn verify(args: VerifyArgs, cx: &mut Context) -> Result<(), Problem> {
    let backup = args.backup.map(|id| id.parse()).transpose()?;
    let start = args.start.then_some(true).or(args.no_start.then_some(false));
    for info in ask(cx, "/api/backups/verify", &VerifyBackupRequest { backup, start })? {
        cx.say(&format!("{} was restored and is whole: {} files, {}", info.id, info.files, size(info.bytes)));
    }
    Ok(())
}

/// Sends a request and shows the news until the last.
fn ask(cx: &mut Context, path: &str, request: &impl Serialize) -> Result<Vec<BackupInfo>, Problem> {
    let client = cx.client()?;
    let mut news: EventStream<'_> = client.stream(Method::POST, path, json(request))?;
    while let Some(one) = news.next::<BackupNews>()? {
        match one {
            BackupNews::Failed { problem } => return Err(problem),
            BackupNews::Done { backups } => {
                let all = BackupNews::Done { backups: backups.clone() };
                cx.element(&all, |cx| backup_news(&all, cx.style()));
                return Ok(backups);
            }
            other => cx.element(&other, |cx| backup_news(&other, cx.style())),
        }
    }
    Err(problem::stream_cut())
}
