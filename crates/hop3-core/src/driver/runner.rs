// SPDX-License-Identifier: Apache-2.0
//! `Runner`: starts one command in a sandbox and waits for it. Builds, release commands, cron and `hop3 run` use it.
//! Implemented by the supervisor's client, since only the supervisor may change users and mount.

use crate::problem::Problem;
use crate::sandbox::Job;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Status(u8),
    Signal(u8),
    /// The deadline passed; the whole process tree was killed.
    TimedOut,
    /// The caller's `Output::line` asked to stop; the whole process tree was killed.
    Cancelled,
}

impl Exit {
    pub fn is_success(self) -> bool {
        self == Exit::Status(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Status(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
            Exit::TimedOut => f.write_str("deadline passed"),
            Exit::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// Receives the lines of a command, stdout and stderr in one order, without line ends, at most 8 KiB each, control
/// characters other than tab and SGR colours taken out.
pub trait Output {
    /// Returns false to cancel.
    fn line(&mut self, text: &str) -> bool;
}

/// What a one-off command is attached to.
pub enum Stdio {
    /// A new pseudo-terminal of that many rows and columns; the other end is given to the caller.
    Pty { rows: u16, columns: u16 },
    /// Three pipes' worth of plain stream: one socket for stdin and stdout+stderr.
    Pipe,
    /// The same with stderr apart, for commands whose output is data.
    Data,
}

/// A running one-off command.
pub struct Attached {
    /// The pty's or the socket's other end: read output, write input.
    pub stream: OwnedFd,
    /// Where stderr can be read, when it is apart.
    pub errors: Option<OwnedFd>,
    /// Blocks until the command ended.
    pub wait: Box<dyn FnOnce() -> Result<Exit, Problem> + Send>,
    /// Sends a signal number to the command's process group.
    pub signal: Box<dyn Fn(i32) + Send + Sync>,
}

pub trait Runner: Send + Sync {
    /// Runs a job to its end. When the caller dies, the job is killed with everything it started.
    ///
    /// # Errors
    /// `run.not-started` when the command could not be started (absent binary, no permission), naming it.
    fn run(&self, job: &Job, deadline: Duration, output: &mut dyn Output) -> Result<Exit, Problem>;

    /// Starts a job attached to the caller.
    fn attach(&self, job: &Job, stdio: Stdio) -> Result<Attached, Problem>;

    /// Makes a directory beneath the root and gives it, with all it holds, to `user` (nothing but the making when
    /// the supervisor is unprivileged). Links are never followed.
    fn give(&self, directory: &Path, user: Option<u32>) -> Result<(), Problem>;

    /// Removes a tree beneath the root, whoever owns it. Absent is fine. Links are never followed.
    fn remove(&self, directory: &Path) -> Result<(), Problem>;

    /// Tells whether jobs can have users of their own.
    fn is_privileged(&self) -> bool;
}
