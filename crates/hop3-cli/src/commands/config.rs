// SPDX-License-Identifier: Apache-2.0
//! `config`: the app's environment variables. Each change makes one release.

use crate::context::{AppArg, Context, read_input};
use crate::dotenv;
use crate::problem;
use crate::render::{Table, clean_lines};
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::api::{ConfigChangeRequest, ConfigList, ReleaseMade};
use hop3_core::name::{AppName, EnvKey};
use hyper::Method;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Set, unset and show the variables of an app's environment
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Set variables; the app restarts with them
    Set {
        /// For example DEBUG=1; the value is everything after the first =
        #[arg(required = true, value_name = "KEY=VALUE")]
        pairs: Vec<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Remove variables; the app restarts without them
    Unset {
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Print the value of one variable
    Get {
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        app: AppArg,
    },
    /// List the variables; values are shown only with --show
    List {
        /// Show the values too, in the syntax that import reads
        #[arg(long)]
        show: bool,
        #[command(flatten)]
        app: AppArg,
    },
    /// Set the variables of a file of KEY=value lines
    Import {
        /// The file; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Args, Debug)]
pub struct Change {
    #[command(flatten)]
    app: AppArg,
    /// Keep the change for the next release; do not restart now
    #[arg(long)]
    no_restart: bool,
}

pub(crate) fn run(command: ConfigCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        ConfigCommand::Set { pairs, change } => {
            let set = parse_pairs(&pairs)?;
            apply(&change, ConfigChangeRequest { set, ..Default::default() }, cx)
        }
        ConfigCommand::Unset { keys, change } => {
            let unset = keys.iter().map(|key| key.parse()).collect::<Result<_, _>>()?;
            apply(&change, ConfigChangeRequest { unset, ..Default::default() }, cx)
        }
        ConfigCommand::Get { key, app } => get(&key, &app, cx),
        ConfigCommand::List { show, app } => list(&app, show, cx),
        ConfigCommand::Import { file, change } => {
            let set = read(&file)?;
            apply(&change, ConfigChangeRequest { set, ..Default::default() }, cx)
        }
    }
}

fn apply(change: &Change, mut request: ConfigChangeRequest, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(&change.app)?;
    request.no_restart = change.no_restart;
    let (set, unset) = (request.set.len(), request.unset.len());
    let path = format!("/api/apps/{app}/config");
    let made: ReleaseMade = cx.client()?.send(Method::PATCH, &path, &request)?;
    cx.answer(&made, |_| {
        let count = |n: usize| if n == 1 { "1 variable".to_owned() } else { format!("{n} variables") };
        let done = match unset {
            0 => format!("set {}", count(set)),
            _ => format!("removed {}", count(unset)),
        };
        match made.release {
            Some(release) => format!("{done}; {app} {release} is live\n"),
            None => format!("{done}; it counts from the next release of {app} on\n"),
        }
    });
    Ok(())
}

fn get(key: &str, app: &AppArg, cx: &mut Context) -> Result<(), Problem> {
    let key: EnvKey = key.parse()?;
    let app = cx.app(app)?;
    let list = fetch(&app, cx, "?show=true")?;
    let Some(Some(value)) = list.variables.get(&key) else {
        return Err(problem::no_such_key(key.as_str(), app.as_str()));
    };
    // A file gets the bytes as they are; a terminal only what cannot move its cursor.
    let is_screen = cx.style().live;
    cx.answer(value, |_| if is_screen { clean_lines(value) + "\n" } else { format!("{value}\n") });
    Ok(())
}

fn list(app: &AppArg, show: bool, cx: &mut Context) -> Result<(), Problem> {
    let app = cx.app(app)?;
    let list = fetch(&app, cx, if show { "?show=true" } else { "" })?;
    let is_screen = cx.style().live;
    cx.answer(&list.variables, |cx| {
        if show {
            let text: String =
                list.variables.iter().map(|(k, v)| dotenv::write(k, v.as_deref().unwrap_or(""))).collect();
            return if is_screen { clean_lines(&text) } else { text };
        }
        let mut table = Table::new(["KEY"]);
        list.variables.keys().for_each(|key| table.row([key.to_string()]));
        match table.is_empty() {
            true => format!("{app} has no config variables\n"),
            false => table.render(cx.style()),
        }
    });
    Ok(())
}

fn fetch(app: &AppName, cx: &Context, query: &str) -> Result<ConfigList, Problem> {
    cx.client()?.get(&format!("/api/apps/{app}/config{query}"))
}

pub(crate) fn parse_pairs(pairs: &[String]) -> Result<BTreeMap<EnvKey, String>, Problem> {
    let mut set = BTreeMap::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            let hint = "write KEY=value; to remove a variable: hop3 config unset KEY";
            return Err(problem::bad_argument("a variable with its value", pair, hint));
        };
        set.insert(key.parse()?, value.to_owned());
    }
    Ok(set)
}

fn read(file: &Path) -> Result<BTreeMap<EnvKey, String>, Problem> {
    let bytes = read_input(file)?;
    let name = if file == Path::new("-") { "standard input".into() } else { file.to_string_lossy() };
    let text = String::from_utf8(bytes)
        .map_err(|_| problem::bad_argument("UTF-8 text", &name, "save the file as UTF-8"))?;
    dotenv::parse(&name, &text)
}
