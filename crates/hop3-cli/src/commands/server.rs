// SPDX-License-Identifier: Apache-2.0
//! `server stop` and `server info`: the verbs beside the `server` role, which the program itself owns.

use crate::cli::GlobalArgs;
use crate::connection::Target;
use crate::context::Context;
use crate::problem;
use crate::render::server_info;
use clap::Subcommand;
use hop3_core::Problem;
use hop3_core::api::ServerInfo;
use hop3_core::layout::Layout;
use hyper::Method;
use serde_json::{Value, json};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
            let client = cx.client()?;
            let answer: Value = client.send(Method::POST, "/api/server/stop", &json!({ "all": all }))?;
            let what = if all { "the server, the proxy and all apps are" } else { "the server is" };
            if let Target::Socket(socket) = client.target() {
                wait_gone(&roles(&cx.options, socket, all))?;
            }
            cx.answer(&answer, |_| format!("{what} stopped\n"));
        }
        ServerCommand::Info => {
            let server: ServerInfo = cx.client()?.get("/api/server")?;
            cx.answer(&server, |cx| server_info(&server, cx.style()));
        }
    }
    Ok(())
}

/// The sockets of the roles that are to end, last one last.
fn roles(options: &GlobalArgs, api: &Path, all: bool) -> Vec<PathBuf> {
    let layout = Layout::new(options.root.clone().unwrap_or_else(|| Layout::DEFAULT_ROOT.into()));
    let others = if all { vec![layout.proxy_socket(), layout.supervisor_socket()] } else { Vec::new() };
    std::iter::once(api.to_owned()).chain(others).collect()
}

/// Waits until nobody answers at the sockets: a stop is told once it is true.
fn wait_gone(sockets: &[PathBuf]) -> Result<(), Problem> {
    let deadline = Instant::now() + Duration::from_secs(30);
    for socket in sockets {
        while UnixStream::connect(socket).is_ok() {
            if Instant::now() > deadline {
                return Err(problem::not_gone(&socket.display().to_string()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}
