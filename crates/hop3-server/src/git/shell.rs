// SPDX-License-Identifier: Apache-2.0
//! The SSH door: `hop3 git-shell`, the forced command of every key. It reads what the client asked for, and runs
//! one of two git services on one repository, or says why not.
//!
//! Invariant: the request is parsed by a grammar that has no escapes, no options and one argument; nothing of it
//! but the app's name is used.

use super::shown::shown;
use super::{HookEnv, Repository, Service};
use hop3_core::name::AppName;
use hop3_core::{Kind, Problem};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellRequest {
    pub service: Service,
    pub app: AppName,
}

/// Reads SSH_ORIGINAL_COMMAND; empty when the client wants a shell.
pub fn parse(original_command: &str) -> Result<ShellRequest, Problem> {
    if original_command.is_empty() {
        return Err(Problem::new(
            Kind::Denied,
            "ssh.no-shell",
            "this key may push and fetch; there is no shell",
        )
        .hint("git push ssh://USER@HOST/APP main deploys; for everything else use the hop3 command"));
    }
    const VERBS: [(&str, Service); 4] = [
        ("git-receive-pack ", Service::ReceivePack),
        ("git receive-pack ", Service::ReceivePack),
        ("git-upload-pack ", Service::UploadPack),
        ("git upload-pack ", Service::UploadPack),
    ];
    let asked = VERBS.iter().find_map(|(verb, s)| Some((*s, original_command.strip_prefix(verb)?)));
    let Some((service, argument)) = asked else { return Err(refused(original_command)) };
    let path = unquote(argument).ok_or_else(|| refused(original_command))?;
    let path = path.strip_prefix('/').unwrap_or(path);
    let app = path.strip_suffix(".git").unwrap_or(path).parse()?;
    Ok(ShellRequest { service, app })
}

/// Takes one pair of quotes off. What is inside is an app's name or nothing we know, so escapes have no meaning.
fn unquote(argument: &str) -> Option<&str> {
    let inner =
        ['\'', '"'].iter().find_map(|q| argument.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(argument);
    (!inner.contains(['\'', '"', ' ', '\t', '\\'])).then_some(inner)
}

fn refused(command: &str) -> Problem {
    Problem::new(Kind::Denied, "ssh.bad-command", "this key may push and fetch, nothing else")
        .detail(format!("asked for: {}", shown(command)))
        .hint("git push ssh://USER@HOST/APP main")
}

/// The git service on a repository. `protocol` is the client's GIT_PROTOCOL.
pub fn command(
    service: Service,
    repository: &Repository,
    hook: &HookEnv,
    protocol: Option<OsString>,
) -> Command {
    let verb = match service {
        Service::ReceivePack => "receive-pack",
        Service::UploadPack => "upload-pack",
    };
    let mut command = super::command::git(repository.path());
    command.arg(verb).arg(repository.path()).envs(hook.variables()).stdin(Stdio::inherit());
    if let Some(version) = protocol.and_then(|text| protocol_version(text.to_str()?)) {
        command.env("GIT_PROTOCOL", version);
    }
    command
}

/// Becomes the git service: its exit status is the session's. Returns only when git cannot be started.
pub fn run(service: Service, repository: &Repository, hook: &HookEnv, protocol: Option<OsString>) -> Problem {
    super::repository::git_missing(command(service, repository, hook, protocol).exec())
}

/// The only values of GIT_PROTOCOL that mean anything.
pub(super) fn protocol_version(text: &str) -> Option<&'static str> {
    ["version=0", "version=1", "version=2"].into_iter().find(|known| *known == text)
}

#[cfg(test)]
mod tests;
