// SPDX-License-Identifier: Apache-2.0
//! Every command of the client on one page, and the one way to run them.

use crate::commands::{
    addon, app, backup, build, cert, completion, config, deploy, doctor, domain, exec, login, logout, logs,
    open, plugin, proxy, ps, release, restart, rollback, run as run_command, scale, server, status, storage,
    token, user, version,
};
use crate::context::Context;
use crate::render::clean_lines;
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::api::Check;
use hop3_core::backup::{BackupInfo, RebuildRequest, Tell};
use hop3_core::plan::BuildPlan;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use crate::commands::proxy::ProxyCommand;
pub use crate::commands::server::{ServerCommand, StopArgs};

/// Options of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct GlobalArgs {
    /// The directory of a Hop3 on this machine, used without a login
    #[arg(long, env = "HOP3_ROOT", hide_env_values = true, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The server to talk to, instead of the one logged in to
    #[arg(long, env = "HOP3_SERVER", hide_env_values = true, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// Print answers as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// Makes the plan of a directory without a server.
pub type PlanFn = fn(&Path) -> Result<BuildPlan, Problem>;

/// What only the whole program knows; the client is given it.
#[derive(Clone, Copy)]
pub struct Program {
    /// Used by `build plan`: builders are drivers, which the client does not know.
    pub plan: PlanFn,
    /// The checks of this machine, used by `doctor` when no server answers.
    pub checks: fn() -> Vec<Check>,
    /// Makes an empty root the server that was saved, used by `backup restore --server`: there is no server to ask.
    pub rebuild: fn(&GlobalArgs, &RebuildRequest, Tell<'_>) -> Result<Vec<BackupInfo>, Problem>,
    /// All commands, used by `completion`.
    pub command: fn() -> clap::Command,
}

// Not a doc comment: clap would take it for the program's own description.
// The commands of the client.
#[derive(Subcommand, Debug)]
pub enum ClientCommand {
    Deploy(deploy::DeployArgs),
    Logs(logs::LogsArgs),
    Ps(ps::PsArgs),
    Open(open::OpenArgs),
    Run(run_command::RunArgs),
    Exec(exec::ExecArgs),
    Status(status::StatusArgs),
    Rollback(rollback::RollbackArgs),
    Scale(scale::ScaleArgs),
    Restart(restart::RestartArgs),
    #[command(subcommand, alias = "apps")]
    App(app::AppCommand),
    #[command(subcommand, alias = "addons")]
    Addon(addon::AddonCommand),
    #[command(subcommand, alias = "volume")]
    Storage(storage::StorageCommand),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    #[command(subcommand, alias = "releases")]
    Release(release::ReleaseCommand),
    #[command(subcommand, alias = "domains")]
    Domain(domain::DomainCommand),
    #[command(subcommand, alias = "certs")]
    Cert(cert::CertCommand),
    #[command(subcommand, alias = "backups")]
    Backup(backup::BackupCommand),
    #[command(subcommand)]
    Build(build::BuildCommand),
    #[command(subcommand, alias = "tokens")]
    Token(token::TokenCommand),
    #[command(subcommand, alias = "users")]
    User(user::UserCommand),
    #[command(subcommand, alias = "plugins")]
    Plugin(plugin::PluginCommand),
    /// The program nests these beneath its own `server` role.
    #[command(skip)]
    Server(ServerCommand),
    /// The same with the `proxy` role.
    #[command(skip)]
    Proxy(ProxyCommand),
    Doctor(doctor::DoctorArgs),
    Login(login::LoginArgs),
    Logout(logout::LogoutArgs),
    Version(version::VersionArgs),
    Completion(completion::CompletionArgs),
}

/// Runs one command; the exit status tells the kind of problem, or is that of the command run on the server.
pub fn run(command: ClientCommand, options: GlobalArgs, program: Program) -> ExitCode {
    let mut cx = Context::new(options, program);
    ExitCode::from(execute(command, &mut cx, &mut io::stderr()))
}

pub(crate) fn execute(command: ClientCommand, cx: &mut Context, err: &mut dyn Write) -> u8 {
    let problem = match dispatch(command, cx) {
        Ok(status) => return status,
        Err(problem) => problem,
    };
    let text = match serde_json::to_string(&problem) {
        Ok(json) if cx.options.json => json + "\n",
        _ => clean_lines(&problem.render()),
    };
    // Nobody may be reading; the exit status still tells.
    drop(err.write_all(text.as_bytes()));
    problem.kind.exit_code()
}

fn dispatch(command: ClientCommand, cx: &mut Context) -> Result<u8, Problem> {
    match command {
        ClientCommand::Run(args) => return run_command::run(args, cx),
        ClientCommand::Exec(args) => return exec::run(args, cx),
        ClientCommand::Doctor(args) => return doctor::run(args, cx),
        ClientCommand::Addon(command) => return addon::run(command, cx),
        ClientCommand::Plugin(command) => return plugin::run(command, cx),
        ClientCommand::Storage(command) => storage::run(command, cx),
        ClientCommand::Deploy(args) => deploy::run(args, cx),
        ClientCommand::Logs(args) => logs::run(args, cx),
        ClientCommand::Ps(args) => ps::run(args, cx),
        ClientCommand::Open(args) => open::run(args, cx),
        ClientCommand::Status(args) => status::run(args, cx),
        ClientCommand::Rollback(args) => rollback::run(args, cx),
        ClientCommand::Scale(args) => scale::run(args, cx),
        ClientCommand::Restart(args) => restart::run(args, cx),
        ClientCommand::App(command) => app::run(command, cx),
        ClientCommand::Config(command) => config::run(command, cx),
        ClientCommand::Release(command) => release::run(command, cx),
        ClientCommand::Domain(command) => domain::run(command, cx),
        ClientCommand::Cert(command) => cert::run(command, cx),
        ClientCommand::Backup(command) => backup::run(command, cx),
        ClientCommand::Build(command) => build::run(command, cx),
        ClientCommand::Token(command) => token::run(command, cx),
        ClientCommand::User(command) => user::run(command, cx),
        ClientCommand::Server(command) => server::run(command, cx),
        ClientCommand::Proxy(command) => proxy::run(command, cx),
        ClientCommand::Login(args) => login::run(args, cx),
        ClientCommand::Logout(args) => logout::run(args, cx),
        ClientCommand::Version(args) => version::run(args, cx),
        ClientCommand::Completion(args) => completion::run(args, cx),
    }
    .map(|()| 0)
}
