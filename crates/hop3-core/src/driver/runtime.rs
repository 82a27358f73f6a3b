// SPDX-License-Identifier: Apache-2.0
//! `Runtime`: keeps the wanted instances of a release running, somewhere.

use crate::name::{AppName, ProcessName};
use crate::problem::Problem;
use crate::release::ReleaseNumber;
use crate::workload::{Instance, Workload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line an instance wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Unix time in milliseconds.
    pub time_ms: u64,
    /// Which instance wrote it: `web.v3.1`; `cron`, `run` for one-off commands.
    pub instance: String,
    pub text: String,
}

/// Which lines are wanted; oldest first in the answer.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    pub process: Option<ProcessName>,
    /// At most so many, the newest.
    pub last: Option<usize>,
    /// Only lines at or after this Unix time in milliseconds.
    pub since_ms: Option<u64>,
}

/// Receives followed log lines until it returns false.
pub type Session<'a> = &'a mut dyn FnMut(LogLine) -> bool;

pub trait Runtime: Send + Sync {
    fn name(&self) -> &'static str;

    /// Brings the instances of this release to the wanted processes and counts: starts what is missing, stops what
    /// is too many, leaves what already runs (whatever happened to the control plane meanwhile). Returns when every
    /// wanted instance has been started and none is frozen, before it is healthy. Never touches other releases, never touches routes.
    ///
    /// # Errors
    /// `run.not-started` when a command cannot be started at all.
    fn apply(&self, workload: &Workload) -> Result<Vec<Instance>, Problem>;

    /// All instances of an app, of all releases; of all apps when `None`.
    fn status(&self, app: Option<&AppName>) -> Result<Vec<Instance>, Problem>;

    /// Takes the CPU from an instance and leaves it in memory. `apply` gives it back. Ending it works as ever.
    ///
    /// # Errors
    /// That this runtime cannot.
    fn freeze(&self, app: &AppName, instance: &str) -> Result<(), Problem>;

    /// Stops one instance and starts it afresh.
    fn restart(&self, app: &AppName, instance: &str) -> Result<(), Problem>;

    /// Stops (gracefully, then by force) and forgets all instances of a release; of all releases when `None`.
    /// Returns when they are gone. Absent is fine.
    fn remove(&self, app: &AppName, release: Option<ReleaseNumber>) -> Result<(), Problem>;

    /// Lines the app's instances wrote.
    fn logs(&self, app: &AppName, query: &LogQuery) -> Result<Vec<LogLine>, Problem>;

    /// Gives lines as they are written, until `session` returns false or nothing can come any more. Calls `session`
    /// at least once a second with an empty text so that it can end.
    fn follow(&self, app: &AppName, session: Session<'_>) -> Result<(), Problem>;

    /// Appends a line under that name (cron, run) to the app's log.
    fn note(&self, app: &AppName, instance: &str, text: &str) -> Result<(), Problem>;

    /// Forgets the app's log.
    fn forget_logs(&self, app: &AppName) -> Result<(), Problem>;
}
