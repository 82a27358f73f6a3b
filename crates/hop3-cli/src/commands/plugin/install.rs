// SPDX-License-Identifier: Apache-2.0
//! `plugin install`, `plugin enable`: nothing is asked of a plugin before a person has seen what it wants.

use super::{path, show};
use crate::context::Context;
use crate::pack::{pack, pack_file};
use crate::problem;
use crate::upload::Upload;
use clap::Args;
use hop3_core::Problem;
use hop3_core::name::PluginName;
use hop3_core::plugin::{EnablePluginRequest, PROGRAM_PREFIX, PluginInfo};
use hyper::Method;
use std::fs::File;
use std::path::PathBuf;

/// Install a plugin, show what it wants to be allowed, and enable it when you agree
#[derive(Args, Debug)]
pub struct InstallArgs {
    /// Its folder, its program alone, or a bundle
    path: PathBuf,
    /// Take it although nobody whom this server trusts has signed it
    #[arg(long)]
    unsigned: bool,
    /// Agree to what it wants, without being asked
    #[arg(long)]
    yes: bool,
}

/// Have a plugin asked from now on, with what it wants to be allowed
#[derive(Args, Debug)]
pub struct EnableArgs {
    name: PluginName,
    /// Agree to what it wants, without being asked
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: InstallArgs, cx: &mut Context) -> Result<(), Problem> {
    let upload = upload(args.path)?;
    let path = format!("/api/plugins?unsigned={}", args.unsigned);
    let plugin: PluginInfo = cx.client()?.upload(Method::POST, &path, upload)?;
    agree(plugin, args.yes, cx)
}

/// The folder, the program alone, or a bundle as it is.
pub(super) fn upload(path: PathBuf) -> Result<Upload, Problem> {
    if path.is_dir() {
        return Ok(Upload::written_by(move |writer| pack(&path, writer)));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.starts_with(PROGRAM_PREFIX) {
        return Ok(Upload::written_by(move |writer| pack_file(&path, &name, writer)));
    }
    File::open(&path).map(Upload::copied_from).map_err(|error| problem::unreadable(&path, &error))
}

pub(super) fn enable(args: EnableArgs, cx: &mut Context) -> Result<(), Problem> {
    let plugin: PluginInfo = cx.client()?.get(&path(&args.name, ""))?;
    agree(plugin, args.yes, cx)
}

/// Shows what the plugin wants, asks, and enables it.
fn agree(plugin: PluginInfo, yes: bool, cx: &mut Context) -> Result<(), Problem> {
    let name = plugin.name().clone();
    cx.say(&format!(
        "plugin {name} {}\n{}",
        plugin.introduction.version,
        show::permissions(&plugin).trim_end()
    ));
    let agreed = yes || plugin.enabled || cx.ask("enable it? (yes/no)").as_deref() == Some("yes");
    if !agreed {
        return Err(problem::plugin_not_confirmed(&name, "enable"));
    }
    let request = EnablePluginRequest { permissions: plugin.introduction.permissions };
    let enabled: PluginInfo = cx.client()?.send(Method::POST, &path(&name, "/enable"), &request)?;
    cx.answer(&enabled, |_| format!("the plugin {name} is enabled\n"));
    Ok(())
}
