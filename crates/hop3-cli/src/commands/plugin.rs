// SPDX-License-Identifier: Apache-2.0
//! `plugin`: programs of others that work as drivers, hooks, listeners and commands.

mod bundle;
mod install;
mod new;
mod show;

use crate::client::encode;
use crate::context::Context;
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::driver::LogLine;
use hop3_core::name::{AppName, PluginName};
use hop3_core::plugin::{CommandAnswer, CommandCall, Panel, PanelCall, PluginInfo, PluginReport};
use hyper::Method;
use serde_json::json;
use std::path::Path;

/// Install, make and look after plugins
#[derive(Subcommand, Debug)]
pub enum PluginCommand {
    Install(install::InstallArgs),
    /// List the plugins
    List,
    /// Show what a plugin has and what it is allowed
    Info {
        name: PluginName,
    },
    Enable(install::EnableArgs),
    /// Have a plugin asked no more; it stays installed
    Disable {
        name: PluginName,
    },
    /// Judge what a plugin provides by the contracts of drivers
    Check {
        /// An installed plugin, or the folder of one that is not
        plugin: String,
    },
    /// Show what a plugin wrote to its standard error
    Logs {
        name: PluginName,
        /// So many lines, the newest
        #[arg(short, default_value_t = 100)]
        n: usize,
    },
    /// Remove a plugin with all that it kept
    Remove {
        name: PluginName,
        /// The plugin's name again, for scripts
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Show a panel of a plugin
    Panel {
        name: PluginName,
        panel: String,
        /// Of one app
        #[arg(short, long)]
        app: Option<AppName>,
    },
    Run(RunArgs),
    New(new::NewArgs),
    Bundle(bundle::BundleArgs),
    #[command(subcommand, alias = "keys")]
    Key(bundle::KeyCommand),
}

/// Run a command that a plugin brought
#[derive(Args, Debug)]
pub struct RunArgs {
    name: PluginName,
    command: String,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(command: PluginCommand, cx: &mut Context) -> Result<u8, Problem> {
    match command {
        PluginCommand::Install(args) => install::run(args, cx)?,
        PluginCommand::Enable(args) => install::enable(args, cx)?,
        PluginCommand::Bundle(args) => bundle::bundle(args, cx)?,
        PluginCommand::Key(command) => bundle::key(command, cx)?,
        PluginCommand::New(args) => new::run(args, cx)?,
        PluginCommand::Run(args) => return run_command(args, cx),
        PluginCommand::List => {
            let plugins: Vec<PluginInfo> = cx.client()?.get("/api/plugins")?;
            cx.answer(&plugins, |cx| show::table(&plugins, cx));
        }
        PluginCommand::Info { name } => {
            let plugin: PluginInfo = cx.client()?.get(&path(&name, ""))?;
            cx.answer(&plugin, |cx| show::info(&plugin, cx));
        }
        PluginCommand::Disable { name } => {
            let plugin: PluginInfo = cx.client()?.send(Method::POST, &path(&name, "/disable"), &json!({}))?;
            cx.answer(&plugin, |_| format!("the plugin {name} is disabled\n"));
        }
        PluginCommand::Panel { name, panel, app } => {
            let call = PanelCall { panel, app };
            let panel: Panel = cx.client()?.send(Method::POST, &path(&name, "/panel"), &call)?;
            cx.answer(&panel, |cx| show::panel(&panel, cx));
        }
        PluginCommand::Check { plugin } => return check(&plugin, cx),
        PluginCommand::Logs { name, n } => {
            let lines: Vec<LogLine> = cx.client()?.get(&path(&name, &format!("/logs?last={n}")))?;
            cx.answer(&lines, |cx| show::log(&lines, cx));
        }
        PluginCommand::Remove { name, confirm } => remove(&name, confirm, cx)?,
    }
    Ok(0)
}

fn path(name: &PluginName, rest: &str) -> String {
    format!("/api/plugins/{}{rest}", encode(name.as_str()))
}

fn check(plugin: &str, cx: &mut Context) -> Result<u8, Problem> {
    let client = cx.client()?;
    let report: PluginReport = match plugin.parse() {
        Ok(name) if !Path::new(plugin).is_dir() => {
            client.send(Method::POST, &path(&name, "/check"), &json!({}))?
        }
        _ => client.upload(Method::POST, "/api/plugin-check", install::upload(plugin.into())?)?,
    };
    let is_good = report.broken.is_empty();
    cx.answer(&report, |cx| show::report(&report, cx));
    Ok(if is_good { 0 } else { hop3_core::Kind::Plugin.exit_code() })
}

fn remove(name: &PluginName, confirm: Option<String>, cx: &mut Context) -> Result<(), Problem> {
    let question = format!("the plugin and what it kept will be gone; type its name ({name}):");
    let typed = confirm.or_else(|| cx.ask(&question)).unwrap_or_default();
    if typed != name.as_str() {
        return Err(crate::problem::plugin_not_confirmed(name, "remove"));
    }
    cx.client()?.delete(&path(name, ""))?;
    cx.say(&format!("the plugin {name} is removed"));
    Ok(())
}

fn run_command(args: RunArgs, cx: &mut Context) -> Result<u8, Problem> {
    let call = CommandCall { command: args.command, arguments: args.arguments };
    let answer: CommandAnswer = cx.client()?.send(Method::POST, &path(&args.name, "/run"), &call)?;
    cx.answer(&answer, |_| crate::render::clean_lines(&answer.output));
    Ok(answer.status)
}
