// SPDX-License-Identifier: Apache-2.0
//! `Repository`: the bare git repository of one app.
//!
//! Invariant: a repository that can be pushed to has the pre-receive hook; the hook is written before git makes the
//! directory a repository, and it declines every push when the program it calls is gone.

use super::command;
use hop3_core::{Kind, Problem};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A script rather than a link to the program: when the program is absent, `exec` fails and the push is declined,
/// whereas git takes a link that leads nowhere for no hook at all. Nothing is ever written into it.
const PRE_RECEIVE: &str = "#!/bin/sh\nexec \"$HOP3_PROGRAM\" git-hook pre-receive\n";

#[derive(Clone, Debug)]
pub struct Repository {
    path: PathBuf,
}

impl Repository {
    /// Opens the repository at `path`, and makes it when it is absent or half-made. May be called at any time by
    /// any number of processes.
    pub fn create(path: &Path) -> Result<Repository, Problem> {
        let repository = Repository { path: path.to_owned() };
        if repository.is_complete() {
            return Ok(repository);
        }
        repository.make()?;
        Ok(repository)
    }

    /// Opens a repository that must be there.
    pub fn open(path: &Path) -> Result<Repository, Problem> {
        let repository = Repository { path: path.to_owned() };
        if repository.is_complete() {
            return Ok(repository);
        }
        Err(Problem::new(Kind::NotFound, "git.no-repository", "nothing has been pushed to this app yet")
            .hint("push to it first: git push hop3 main"))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A git command that works on this repository.
    pub fn command<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = command::git(&self.path);
        command.env("GIT_DIR", &self.path).args(arguments).stdin(Stdio::null());
        command
    }

    /// Makes a branch the one a clone checks out. The name is checked by `hook::check_branch` or by git.
    pub fn follow(&self, branch: &str) -> Result<(), Problem> {
        run(self.command(["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]))
    }

    /// Packs loose objects and drops what no branch holds. For a quiet hour.
    pub fn tidy(&self) -> Result<(), Problem> {
        run(self.command(["gc", "--quiet", "--prune=2.weeks.ago"]))
    }

    fn is_complete(&self) -> bool {
        let hook_is_ours = fs::read(self.hook()).is_ok_and(|text| text == PRE_RECEIVE.as_bytes());
        hook_is_ours && self.path.join("HEAD").is_file() && self.path.join("config").is_file()
    }

    fn hook(&self) -> PathBuf {
        self.path.join("hooks/pre-receive")
    }

    fn make(&self) -> Result<(), Problem> {
        let failed = |e: std::io::Error| not_made(e.to_string());
        fs::create_dir_all(self.path.join("hooks")).map_err(failed)?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let lock = rustix::fs::open(&self.path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
        if self.is_complete() {
            return Ok(());
        }
        self.write_hook().map_err(failed)?;
        let mut init = command::git(&self.path);
        init.args(["init", "--quiet", "--bare", "--initial-branch=main", "--template=", "--"])
            .arg(&self.path);
        run(init)
    }

    fn write_hook(&self) -> std::io::Result<()> {
        let fresh = self.path.join("hooks/pre-receive.new");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o755).open(&fresh)?;
        file.write_all(PRE_RECEIVE.as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(fresh, self.hook())
    }
}

fn run(mut command: Command) -> Result<(), Problem> {
    let output = command.stdin(Stdio::null()).output().map_err(git_missing)?;
    if output.status.success() {
        return Ok(());
    }
    Err(not_made(String::from_utf8_lossy(&output.stderr)))
}

fn not_made(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::Unavailable, "git.failed", "git could not prepare the app's repository").detail(detail)
}

pub(super) fn git_missing(error: std::io::Error) -> Problem {
    Problem::new(Kind::Unavailable, "git.missing", "git cannot be started on the server")
        .detail(error.to_string())
        .hint("install git on the server, then push again")
}

#[cfg(test)]
mod tests;
