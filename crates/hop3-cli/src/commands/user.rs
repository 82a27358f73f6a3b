// SPDX-License-Identifier: Apache-2.0
//! `user key`: the SSH keys that may push.

use crate::client::encode;
use crate::context::{Context, read_input};
use crate::problem;
use crate::render::{Table, clock};
use clap::Subcommand;
use hop3_core::Problem;
use hop3_core::api::{AddKeyRequest, KeyInfo};
use hyper::Method;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Manage who may push over SSH
#[derive(Subcommand, Debug)]
pub enum UserCommand {
    /// Add, list and remove SSH keys
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Subcommand, Debug)]
pub enum KeyCommand {
    /// Let the owner of an SSH key push
    Add {
        /// Whose key it is, for example alice-laptop
        name: String,
        /// The public key file (it ends in .pub); - is standard input
        file: PathBuf,
    },
    /// List the keys
    List,
    /// Refuse a key from now on
    Remove { name: String },
}

pub(crate) fn run(command: UserCommand, cx: &mut Context) -> Result<(), Problem> {
    let UserCommand::Key(command) = command;
    match command {
        KeyCommand::Add { name, file } => {
            let request = AddKeyRequest { name: name.clone(), public_key: read_key(&file)? };
            let answer: Value = cx.client()?.send(Method::POST, "/api/keys", &request)?;
            cx.answer(&answer, |_| format!("{} may push\n", crate::render::clean(&name)));
        }
        KeyCommand::List => {
            let keys: Vec<KeyInfo> = cx.client()?.get("/api/keys")?;
            cx.answer(&keys, |cx| {
                let mut table = Table::new(["KEY", "FINGERPRINT", "CREATED"]);
                for key in &keys {
                    table.row([key.name.clone(), key.fingerprint.clone(), clock(key.created_ms, &cx.zone())]);
                }
                table.render(cx.style())
            });
        }
        KeyCommand::Remove { name } => {
            cx.client()?.delete(&format!("/api/keys/{}", encode(&name)))?;
            cx.say(&format!("key {name} is removed"));
        }
    }
    Ok(())
}

/// The one line of a public key file. A private key given by mistake never leaves this machine.
fn read_key(file: &Path) -> Result<String, Problem> {
    let bytes = read_input(file)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.trim();
    let hint = "give the public half, the file that ends in .pub";
    if line.contains("PRIVATE KEY") || line.contains('\n') || line.is_empty() {
        return Err(problem::bad_argument("an SSH public key file", &file.to_string_lossy(), hint));
    }
    Ok(line.to_owned())
}
