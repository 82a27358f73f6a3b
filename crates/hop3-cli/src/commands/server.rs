// SPDX-License-Identifier: Apache-2.0
//! `server stop` and `server info`: the verbs beside the `server` role, which the program itself owns. On the server's
//! own machine the program stops roles itself, whether or not they answer.

use crate::context::Context;
use crate::render::server_info;
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::api::ServerInfo;
use hyper::Method;
use serde_json::{Value, json};

/// Look at and stop the server
#[derive(Subcommand, Debug)]
pub enum ServerCommand {
    /// Stop the server; apps keep running and serving
    Stop(StopArgs),
    /// Show version, address and number of apps
    Info,
}

#[derive(Args, Clone, Debug)]
pub struct StopArgs {
    /// Stop the apps, the proxy and the supervisor too
    #[arg(long)]
    pub all: bool,
}

pub(crate) fn run(command: ServerCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        ServerCommand::Stop(StopArgs { all }) => {
            let answer: Value =
                cx.client()?.send(Method::POST, "/api/server/stop", &json!({ "all": all }))?;
            let what = if all { "the server, the proxy and all apps are" } else { "the server is" };
            cx.answer(&answer, |_| format!("{what} stopped\n"));
        }
        ServerCommand::Info => {
            let server: ServerInfo = cx.client()?.get("/api/server")?;
            cx.answer(&server, |cx| server_info(&server, cx.style()));
        }
    }
    Ok(())
}
