// SPDX-License-Identifier: Apache-2.0
//! The client as the program embeds it, with its output caught.

use super::server::Server;
use crate::cli::{ClientCommand, GlobalArgs, Program, ProxyCommand, ServerCommand, execute};
use crate::context::Context;
use crate::render::Style;
use clap::{CommandFactory, Parser, Subcommand};
use hop3_core::api::{Check, Verdict};
use hop3_core::plan::BuildPlan;
use jiff::tz::TimeZone;
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

#[derive(Parser)]
#[command(name = "hop3", subcommand_required = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) options: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Role,
}

#[derive(Subcommand)]
pub(super) enum Role {
    #[command(flatten)]
    Client(ClientCommand),
    /// The server
    #[command(subcommand)]
    Server(ServerCommand),
    /// The proxy
    #[command(subcommand)]
    Proxy(ProxyCommand),
}

pub(super) const PROGRAM: Program = Program {
    plan: |_| {
        Ok(BuildPlan { builder: "static".into(), reason: "index.html is there".into(), ..Default::default() })
    },
    checks: || vec![Check { name: "cgroup".into(), verdict: Verdict::Reduced, detail: "no v2".into() }],
    rebuild: |_, _, _| Err(crate::problem::no_app()),
    command: Cli::command,
};

/// What a command did: exit status, standard output, standard error.
pub(super) struct Done {
    pub(super) status: u8,
    pub(super) out: String,
    pub(super) err: String,
}

impl Done {
    /// All of it, for an expectation.
    pub(super) fn text(&self) -> String {
        format!("{}{}exit status {}\n", self.out, self.err, self.status)
    }
}

/// Runs a command line against a server.
pub(super) fn hop3(server: &Server, arguments: &[&str]) -> Done {
    let root = server.root().to_str().unwrap();
    let argv = ["hop3", "--root", root].into_iter().chain(arguments.iter().copied());
    let cli = Cli::try_parse_from(argv).unwrap();
    let command = match cli.command {
        Role::Client(command) => command,
        Role::Server(command) => ClientCommand::Server(command),
        Role::Proxy(command) => ClientCommand::Proxy(command),
    };
    let out = Shared::default();
    let mut cx =
        Context::writing_to(Box::new(out.clone()), Style::PLAIN, cli.options, PROGRAM, TimeZone::UTC);
    let mut err = Vec::new();
    let status = execute(command, &mut cx, &mut err);
    let out = String::from_utf8(out.0.take()).unwrap();
    Done { status, out, err: String::from_utf8(err).unwrap() }
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
