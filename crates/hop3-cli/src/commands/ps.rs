// SPDX-License-Identifier: Apache-2.0
//! `ps`: the instances of an app; stops, starts and restarts them.

use crate::commands::restart::RestartArgs;
use crate::context::{AppArg, Context};
use crate::render::instance_table;
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::api::{AppInfo, PsAction, PsRequest};
use hop3_core::name::AppName;
use hyper::Method;

/// Show the instances of an app, or stop, start, restart and put them to sleep
#[derive(Args, Debug)]
pub struct PsArgs {
    #[command(flatten)]
    app: AppArg,
    #[command(subcommand)]
    command: Option<PsCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum PsCommand {
    /// Stop every instance; the app answers that it is stopped
    Stop(PsTarget),
    /// Start what was stopped, wake what sleeps
    Start(PsTarget),
    /// Put the web process to sleep until the next request; it is stopped
    Sleep(PsTarget),
    /// Freeze the web process until the next request: it keeps its memory and takes no CPU
    Freeze(PsTarget),
    /// Start every instance anew, or one
    Restart(RestartArgs),
}

#[derive(Args, Debug)]
pub(crate) struct PsTarget {
    #[command(flatten)]
    app: AppArg,
}

pub(crate) fn run(args: PsArgs, cx: &mut Context) -> Result<(), Problem> {
    match args.command {
        None => list(&args.app, cx),
        Some(PsCommand::Stop(target)) => act(&target.app.or(args.app), PsAction::Stop, None, cx),
        Some(PsCommand::Start(target)) => act(&target.app.or(args.app), PsAction::Start, None, cx),
        Some(PsCommand::Sleep(target)) => act(&target.app.or(args.app), PsAction::Sleep, None, cx),
        Some(PsCommand::Freeze(target)) => act(&target.app.or(args.app), PsAction::Freeze, None, cx),
        Some(PsCommand::Restart(RestartArgs { instance, app })) => {
            act(&app.or(args.app), PsAction::Restart, instance, cx)
        }
    }
}

fn list(app: &AppArg, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(app)?;
    let info: AppInfo = cx.client()?.get(&format!("/api/apps/{app}"))?;
    cx.answer(&info.instances, |cx| match info.instances.is_empty() {
        true => format!("{app} has no instances\n"),
        false => instance_table(&info.instances, &cx.zone(), cx.style()),
    });
    Ok(())
}

/// Asks the server to act on the app's instances and tells that it was done.
pub(crate) fn act(
    app: &AppArg,
    action: PsAction,
    instance: Option<String>,
    cx: &mut Context,
) -> Result<(), Problem> {
    let app: AppName = cx.app(app)?;
    let what = instance.clone().unwrap_or_else(|| app.to_string());
    let request = PsRequest { action, instance };
    let answer: serde_json::Value =
        cx.client()?.send(Method::POST, &format!("/api/apps/{app}/ps"), &request)?;
    let done = match action {
        PsAction::Stop => "stopped",
        PsAction::Start => "started",
        PsAction::Restart => "restarted",
        PsAction::Sleep => "sleeps",
        PsAction::Freeze => "frozen",
    };
    cx.answer(&answer, |_| format!("{} {done}\n", crate::render::clean(&what)));
    Ok(())
}
