// SPDX-License-Identifier: Apache-2.0
//! `release`: what ran before and what runs now.

use crate::commands::rollback;
use crate::context::{AppArg, Context};
use crate::render::{Table, clock};
use clap::Subcommand;
use hop3_core::Problem;
use hop3_core::api::ReleaseInfo;
use std::fmt::Write;

/// List and show the releases of an app, and go back to one
#[derive(Subcommand, Debug)]
pub enum ReleaseCommand {
    /// List the releases, newest first
    List {
        #[command(flatten)]
        app: AppArg,
    },
    /// Show one release: source, processes, config keys
    Info {
        /// For example v3
        release: String,
        #[command(flatten)]
        app: AppArg,
    },
    Rollback(rollback::RollbackArgs),
}

pub(crate) fn run(command: ReleaseCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        ReleaseCommand::List { app } => list(&app, cx),
        ReleaseCommand::Info { release, app } => info(&release, &app, cx),
        ReleaseCommand::Rollback(args) => rollback::run(args, cx),
    }
}

fn list(app: &AppArg, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(app)?;
    let mut releases: Vec<ReleaseInfo> = cx.client()?.get(&format!("/api/apps/{app}/releases"))?;
    releases.sort_by_key(|release| std::cmp::Reverse(release.number));
    cx.answer(&releases, |cx| {
        if releases.is_empty() {
            return format!("{app} has no release yet; deploy it with: hop3 deploy -a {app}\n");
        }
        let mut table = Table::new(["RELEASE", "", "CREATED", "SOURCE", "REASON"]);
        for release in &releases {
            table.row([
                release.number.to_string(),
                if release.current { "current" } else { "" }.to_owned(),
                clock(release.created_ms, &cx.zone()),
                release.source.clone(),
                release.reason.clone(),
            ]);
        }
        table.render(cx.style())
    });
    Ok(())
}

fn info(release: &str, app: &AppArg, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(app)?;
    let number = rollback::parse_release(release)?;
    let release: ReleaseInfo = cx.client()?.get(&format!("/api/apps/{app}/releases/{}", number.0))?;
    cx.answer(&release, |cx| {
        let keys: Vec<&str> = release.config_keys.iter().map(AsRef::as_ref).collect();
        let current = if release.current { " (current)" } else { "" };
        let mut table = Table::headless();
        table.row(["release".to_owned(), format!("{}{current}", release.number)]);
        table.row(["reason".to_owned(), release.reason.clone()]);
        table.row(["source".to_owned(), release.source.clone()]);
        table.row(["builder".to_owned(), release.builder.clone()]);
        table.row(["created".to_owned(), clock(release.created_ms, &cx.zone())]);
        table.row(["config".to_owned(), keys.join(" ")]);
        let mut text = table.render(cx.style());
        for (process, command) in &release.processes {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{process}: {}", crate::render::clean(command));
        }
        text
    });
    Ok(())
}
