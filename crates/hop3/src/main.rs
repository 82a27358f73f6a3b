// SPDX-License-Identifier: Apache-2.0
//! The program `hop3`: reads the arguments, then is one role of the server, or a client of it.

mod command;
mod environment;
mod reference;
mod role;
mod wire;

use command::{Arguments, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match hop3_cli::parse::<Arguments>() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let options = arguments.options;
    match arguments.command {
        Command::Server(args) => role::server::run(args, options),
        Command::Proxy(args) => role::proxy::run(args, options),
        Command::Supervise(args) => role::supervise::run(&args, &options),
        Command::Front => role::proxy::front(&options),
        Command::Mail => wire::mail(),
        Command::Launch => hop3_supervisor::launch_main(),
        Command::GitShell(args) => role::git::shell(&args, &options),
        Command::GitHook(args) => role::git::hook(&args),
        Command::Reference { page } => reference::run(page),
        Command::Client(command) => hop3_cli::run(command, options, wire::program()),
    }
}
