// SPDX-License-Identifier: Apache-2.0
//! `login`: remembers a server and its token, once the server has accepted it.

use crate::client::Client;
use crate::connection::Target;
use crate::context::Context;
use crate::login::Logins;
use crate::problem;
use crate::trust::Trust;
use clap::Args;
use hop3_core::Problem;
use hop3_core::api::ServerInfo;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

/// Log in to a server, which later commands then talk to
///
/// The token is asked for, or read from standard input; --token leaves it in the shell's history
#[derive(Args, Debug)]
pub struct LoginArgs {
    /// For example https://hop3.example.org
    url: String,
    /// PEM file with the authorities to trust for this server alone, in place of the machine's; it is remembered
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The token, as `token create` printed it
    #[arg(long, env = "HOP3_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

pub(crate) fn run(args: LoginArgs, cx: &mut Context) -> Result<(), Problem> {
    // The address is checked before anybody types a secret.
    let mut logins = Logins::read()?;
    let ca = match &args.ca_file {
        Some(file) => Some(Trust::read(file)?),
        None => logins.ca(&args.url),
    };
    Target::parse(&args.url, None, ca.clone())?;
    let token = match args.token {
        Some(token) => token,
        None => ask_token(cx)?,
    };
    let token = token.trim().to_owned();
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(problem::no_token());
    }
    let client = Client::new(Target::parse(&args.url, Some(token.clone()), ca.clone())?)?;
    let server: ServerInfo = client.get("/api/server")?;
    logins.add(&args.url, &token, ca)?;
    let said = format!("logged in to {} (Hop3 {})", args.url, server.version);
    cx.answer(&serde_json::json!({ "server": args.url, "version": server.version }), |_| {
        format!("{}\n", crate::render::clean(&said))
    });
    Ok(())
}

fn ask_token(cx: &mut Context) -> Result<String, Problem> {
    if io::stdin().is_terminal() {
        return cx.ask_secret("Token:").ok_or_else(problem::no_token);
    }
    let mut token = String::new();
    // A token is short; a file piped in by mistake is not read to its end.
    io::stdin().take(4096).read_to_string(&mut token).map_err(|_| problem::no_token())?;
    Ok(token)
}
