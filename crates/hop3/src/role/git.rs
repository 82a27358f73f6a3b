// SPDX-License-Identifier: Apache-2.0
//! `hop3 git-shell` and `hop3 git-hook`: the two commands that sshd and git start.

use super::layout;
use crate::command::{GitHookArgs, GitShellArgs};
use hop3_cli::{GlobalArgs, Pushed, app_of_push, stream_deployment};
use hop3_core::layout::Layout;
use hop3_core::problem::{Kind, Problem};
use hop3_server::git::hook::{Quarantine, archive, check_unmoved, pre_receive};
use hop3_server::git::{DeployTarget, HookEnv, Repository, Service, shell as ssh};
use std::io::{self, Write};
use std::process::ExitCode;

/// The forced command of a key: git, and nothing else.
pub(crate) fn shell(args: &GitShellArgs, options: &GlobalArgs) -> ExitCode {
    let problem = match serve_git(args, options) {
        Ok(never_returned) => never_returned,
        Err(problem) => problem,
    };
    told(&problem)
}

/// Becomes git; returns only the problem that git cannot be started.
fn serve_git(args: &GitShellArgs, options: &GlobalArgs) -> Result<Problem, Problem> {
    let layout = layout(options);
    let asked = std::env::var("SSH_ORIGINAL_COMMAND").unwrap_or_default();
    let request = ssh::parse(&asked)?;
    let push = request.service == Service::ReceivePack;
    let app = app_of_push(&layout.api_socket(), &request.app, push)?;
    let hook = HookEnv {
        program: super::program().map_err(|e| unavailable(&e))?,
        root: layout.root().to_owned(),
        app: app.name.clone(),
        target: DeployTarget { branch: app.deploy_branch, settled: app.release.is_some() },
        by: args.key.clone(),
    };
    let repository = request.service.repository(&layout.repository(&app.name))?;
    Ok(ssh::run(request.service, &repository, &hook, std::env::var_os("GIT_PROTOCOL")))
}

/// git's pre-receive hook: a deployment that fails declines the push.
pub(crate) fn hook(args: &GitHookArgs) -> ExitCode {
    if args.hook != "pre-receive" {
        return ExitCode::SUCCESS;
    }
    match receive() {
        Ok(status) => ExitCode::from(status),
        Err(problem) => told(&problem),
    }
}

fn receive() -> Result<u8, Problem> {
    let env = HookEnv::from_variables(|name| std::env::var_os(name))?;
    let decision = pre_receive(io::stdin().lock(), &env.target)?;
    let mut out = io::stderr();
    for note in &decision.notes {
        // The pusher may be gone.
        let _ = writeln!(out, "{note}");
    }
    let Some(deploy) = decision.deploy else { return Ok(0) };
    let layout = Layout::new(&env.root);
    let repository = Repository::open(&layout.repository(&env.app))?;
    check_unmoved(&repository, &deploy)?;
    let quarantine = Quarantine::from_variables(|name| std::env::var_os(name));
    let mut git = archive(&repository, &deploy.commit, &quarantine)?;
    let tar = git.stdout.take().ok_or_else(|| unavailable(&io::Error::other("git archive has no output")))?;
    let short: String = deploy.commit.chars().take(12).collect();
    let pushed = Pushed { app: env.app, source: &short, branch: &deploy.branch };
    let status = stream_deployment(&layout.api_socket(), &pushed, tar, &mut out);
    let _ = git.wait();
    Ok(status)
}

fn told(problem: &Problem) -> ExitCode {
    let _ = io::stderr().write_all(problem.render().as_bytes());
    ExitCode::from(problem.kind.exit_code())
}

fn unavailable(error: &io::Error) -> Problem {
    Problem::new(Kind::Unavailable, "git.unavailable", "git cannot be served now").detail(error.to_string())
}
