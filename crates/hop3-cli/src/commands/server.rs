// SPDX-License-Identifier: Apache-2.0
//! `server stop` and `server info`: the verbs beside the `server` role, which the program itself owns.

use crate::context::Context;
use crate::render::server_info;
use clap::Subcommand;
use hop3_core::Problem;
use hop3_core::api::ServerInfo;
use hyper::Method;
use serde_json::{Value, json};

/// Look at and stop the server
#[derive(Subcommand, Debug)]
pub enum ServerCommand {
    /// Stop the server; apps keep running and serving
    Stop {
        /// Stop the apps, the proxy and the supervisor too
        #[arg(long)]
        all: bool,
    },
    /// Show version, address and number of apps
    Info,
}

pub(crate) fn run(command: ServerCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        ServerCommand::Stop { all } => {
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
