// SPDX-License-Identifier: Apache-2.0
//! `backup targets`: where backups go.

use crate::client::encode;
use crate::context::Context;
use crate::problem;
use crate::render::Table;
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::backup::{AddBackupTargetRequest, BackupTargetInfo};
use hyper::Method;
use std::collections::BTreeMap;

/// Choose where backups go
#[derive(Subcommand, Debug)]
pub enum TargetsCommand {
    /// List the places that backups go to
    List,
    /// Add a place; it is made ready with this server's recovery key
    Add(AddArgs),
    /// Forget a place; what is kept there stays
    Remove { name: String },
}

#[derive(Args, Debug)]
pub struct AddArgs {
    /// What to call it
    name: String,
    /// A path on the server, or as restic writes it: sftp:…, s3:…, b2:…, rest:…, rclone:…
    location: String,
    /// Variables the place needs, as NAME=VALUE; a NAME alone is taken from this command's own environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Send at most so many KiB a second
    #[arg(long, value_name = "KIB")]
    limit_upload: Option<u32>,
}

pub(super) fn run(command: TargetsCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        TargetsCommand::List => {
            let all: Vec<BackupTargetInfo> = cx.client()?.get("/api/backup-targets")?;
            cx.answer(&all, |cx| table(&all, cx));
        }
        TargetsCommand::Add(args) => {
            let env = args.env.iter().map(|pair| variable(pair)).collect::<Result<BTreeMap<_, _>, _>>()?;
            let request = AddBackupTargetRequest {
                name: args.name,
                location: args.location,
                env,
                upload_kib: args.limit_upload,
            };
            let added: BackupTargetInfo = cx.client()?.send(Method::POST, "/api/backup-targets", &request)?;
            cx.answer(&added, |cx| table(std::slice::from_ref(&added), cx));
        }
        TargetsCommand::Remove { name } => {
            cx.client()?.delete(&format!("/api/backup-targets/{}", encode(&name)))?;
            cx.say(&format!("backup target {name} is forgotten; what is kept there stays"));
        }
    }
    Ok(())
}

/// A value given on the command line could be read by others while the command runs; a name alone cannot.
pub(super) fn variable(pair: &str) -> Result<(String, String), Problem> {
    if let Some((name, value)) = pair.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let value = std::env::var(pair).map_err(|_| {
        problem::bad_argument(
            "a variable",
            pair,
            "write NAME=VALUE, or a NAME that is set in this environment",
        )
    })?;
    Ok((pair.to_owned(), value))
}

fn table(targets: &[BackupTargetInfo], cx: &Context) -> String {
    let mut table = Table::new(["TARGET", "LOCATION", "BACKUPS", "LIMIT"]);
    for target in targets {
        let limit = target.upload_kib.map_or_else(String::new, |kib| format!("{kib} KiB/s"));
        table.row([target.name.clone(), target.location.clone(), target.backups.to_string(), limit]);
    }
    table.render(cx.style())
}
