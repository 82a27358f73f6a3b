// SPDX-License-Identifier: Apache-2.0
//! `Daemons`: keeps the servers of addons running, whatever happens to the control plane, and keeps what they write.

use super::LogLine;
use crate::name::ServerName;
use crate::problem::Problem;
use crate::sandbox::Job;
use crate::workload::InstanceState;

/// How a process is asked to end, and how long it may take until it is ended.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Its number; SIGTERM unless set.
    pub signal: Option<i32>,
    pub grace_secs: u32,
}

impl From<u32> for Stop {
    fn from(grace_secs: u32) -> Stop {
        Stop { signal: None, grace_secs }
    }
}

/// A process to keep running for ever.
#[derive(Clone, Debug)]
pub struct Daemon {
    pub server: ServerName,
    /// Which of the server's processes: `server`, `receiver`.
    pub process: String,
    pub job: Job,
    pub stop: Stop,
}

/// One that is kept.
#[derive(Clone, Debug)]
pub struct KeptDaemon {
    pub process: String,
    pub state: InstanceState,
    pub pid: Option<u32>,
    pub restarts: u32,
    pub last_exit: Option<String>,
}

pub trait Daemons: Send + Sync {
    /// Starts it when it is not kept yet. One that is kept stays as it is, whatever its job was.
    fn keep(&self, daemon: &Daemon) -> Result<(), Problem>;

    /// Those of a server.
    fn status(&self, server: &ServerName) -> Result<Vec<KeptDaemon>, Problem>;

    /// Stops one, gracefully, then by force, and forgets it; all of the server when `None`. Absent is fine.
    fn stop(&self, server: &ServerName, process: Option<&str>) -> Result<(), Problem>;

    /// Takes the CPU from a process that runs; it stands still when this returns, until `thaw`.
    fn freeze(&self, server: &ServerName, process: &str) -> Result<(), Problem>;

    /// Lets it go on. One that is not frozen, or not there, is left as it is.
    fn thaw(&self, server: &ServerName, process: &str) -> Result<(), Problem>;

    /// The newest lines they wrote, oldest first.
    fn logs(&self, server: &ServerName, last: usize) -> Result<Vec<LogLine>, Problem>;

    /// Forgets what they wrote.
    fn forget_logs(&self, server: &ServerName) -> Result<(), Problem>;
}
