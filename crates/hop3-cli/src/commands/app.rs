// SPDX-License-Identifier: Apache-2.0
//! `app`: makes, lists, shows, renames, copies and destroys apps.

mod moving;

use super::carry;
use crate::context::{AppArg, Context};
use crate::problem;
use crate::render::{app_info, app_table};
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::api::{
    AppInfo, AppSummary, BranchRequest, CreateAppRequest, DestroyAppRequest, NewNameRequest,
};
use hop3_core::name::AppName;
use hyper::Method;
use serde_json::Value;
use std::path::PathBuf;

/// Make, list, show, rename, copy and destroy apps
#[derive(Subcommand, Debug)]
pub enum AppCommand {
    /// Make an app, ready to be pushed to
    Create {
        /// Lower-case letters, digits and single hyphens
        name: String,
    },
    /// List all apps
    List,
    /// Show everything about an app
    Info(Named),
    /// Give an app another name, and with it another address
    Rename(Renamed),
    /// Make a second app with the same code and config
    Clone(Renamed),
    /// Set the branch whose pushes are deployed
    Branch {
        /// For example main
        branch: String,
        #[command(flatten)]
        app: AppArg,
    },
    /// Write an app with its release, config, data and addons to one file; whoever has it has all the app knows
    Export {
        name: String,
        /// The file; - is standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Make an app of a file that export wrote, on this server or another
    Import {
        /// The file; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Under another name
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
    /// Move an app with all it has to another server; it stands still while it is carried
    Move {
        name: String,
        /// The address of the other server, which you are logged in to, or its directory on this machine
        #[arg(long, value_name = "SERVER")]
        to: String,
    },
    /// Destroy an app with its releases, config and data
    Destroy {
        #[command(flatten)]
        app: Named,
        /// The app's name again, for scripts
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
}

#[derive(Args, Debug)]
pub struct Named {
    /// The app
    name: Option<String>,
    #[command(flatten)]
    app: AppArg,
}

#[derive(Args, Debug)]
pub struct Renamed {
    /// The app (or -a) and the new name
    #[arg(required = true, num_args = 1..=2, value_names = ["APP", "NEW"])]
    names: Vec<String>,
    #[command(flatten)]
    app: AppArg,
}

pub(crate) fn run(command: AppCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        AppCommand::Create { name } => create(&name, cx),
        AppCommand::List => list(cx),
        AppCommand::Info(named) => info(named, cx),
        AppCommand::Rename(names) => rename(names, cx),
        AppCommand::Clone(names) => clone(names, cx),
        AppCommand::Branch { branch, app } => set_branch(branch, &app, cx),
        AppCommand::Export { name, file } => {
            let name: AppName = name.parse()?;
            carry::export(&format!("/api/apps/{name}"), name.as_str(), &file, cx)
        }
        AppCommand::Import { file, name } => moving::import(&file, name.as_deref(), cx),
        AppCommand::Move { name, to } => moving::move_to(&name.parse()?, &to, cx),
        AppCommand::Destroy { app, confirm } => destroy(app, confirm, cx),
    }
}

fn create(name: &str, cx: &mut Context) -> Result<(), Problem> {
    let name: AppName = name.parse()?;
    let request = CreateAppRequest { name: name.clone() };
    let info: AppInfo = cx.client()?.send(Method::POST, "/api/apps", &request)?;
    cx.answer(&info, |_| {
        let add = format!("git remote add hop3 {}", crate::render::clean(&info.git_url));
        format!("created {name}\ndeploy it with: hop3 deploy -a {name}\nor by git:      {add}\n")
    });
    Ok(())
}

fn list(cx: &mut Context) -> Result<(), Problem> {
    let apps: Vec<AppSummary> = cx.client()?.get("/api/apps")?;
    cx.answer(&apps, |cx| match apps.is_empty() {
        true => "there are no apps yet; make one with: hop3 app create NAME\n".to_owned(),
        false => app_table(&apps, &cx.zone(), cx.style()),
    });
    Ok(())
}

fn info(named: Named, cx: &mut Context) -> Result<(), Problem> {
    let name = named.resolve(cx)?;
    let info: AppInfo = cx.client()?.get(&format!("/api/apps/{name}"))?;
    cx.answer(&info, |cx| app_info(&info, &cx.zone(), cx.style()));
    Ok(())
}

fn rename(names: Renamed, cx: &mut Context) -> Result<(), Problem> {
    let (from, to) = names.resolve(cx)?;
    let request = NewNameRequest { name: to.clone() };
    let answer: Value = cx.client()?.send(Method::POST, &format!("/api/apps/{from}/rename"), &request)?;
    cx.answer(&answer, |_| format!("{from} is now {to}\n"));
    Ok(())
}

fn clone(names: Renamed, cx: &mut Context) -> Result<(), Problem> {
    let (from, to) = names.resolve(cx)?;
    let request = NewNameRequest { name: to.clone() };
    let answer: Value = cx.client()?.send(Method::POST, &format!("/api/apps/{from}/clone"), &request)?;
    cx.answer(&answer, |_| format!("{to} is a copy of {from}\n"));
    Ok(())
}

fn set_branch(branch: String, app: &AppArg, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(app)?;
    let said = format!("{app} deploys pushes to {branch}");
    let path = format!("/api/apps/{app}/branch");
    let answer: Value = cx.client()?.send(Method::PUT, &path, &BranchRequest { branch })?;
    cx.answer(&answer, |_| format!("{}\n", crate::render::clean(&said)));
    Ok(())
}

fn destroy(named: Named, confirm: Option<String>, cx: &mut Context) -> Result<(), Problem> {
    let name = named.resolve(cx)?;
    let happens = format!("This destroys {name} with its releases, config and data.");
    let confirm = cx.confirm(&happens, name.as_str(), confirm)?;
    let path = format!("/api/apps/{name}");
    let answer: Value = cx.client()?.send(Method::DELETE, &path, &DestroyAppRequest { confirm })?;
    cx.answer(&answer, |_| format!("{name} is destroyed\n"));
    Ok(())
}

impl Named {
    fn resolve(&self, cx: &Context) -> Result<AppName, Problem> {
        match &self.name {
            Some(name) => name.parse(),
            None => cx.app(&self.app),
        }
    }
}

impl Renamed {
    fn resolve(&self, cx: &Context) -> Result<(AppName, AppName), Problem> {
        match self.names.as_slice() {
            [from, to] => Ok((from.parse()?, to.parse()?)),
            [to] => Ok((cx.app(&self.app)?, to.parse()?)),
            _ => Err(problem::no_app()),
        }
    }
}
