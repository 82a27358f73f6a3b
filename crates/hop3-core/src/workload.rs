// SPDX-License-Identifier: Apache-2.0
//! `Workload`: what a runtime is asked to run, and `Instance`: what it says is running.

use crate::name::{AppName, ProcessName};
use crate::release::ReleaseNumber;
use crate::sandbox::Job;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One release of one app, with the wanted number of instances of each process.
///
/// Other releases of the app are not touched by it: during a deployment two run side by side.
#[derive(Clone, Debug)]
pub struct Workload {
    pub app: AppName,
    pub release: ReleaseNumber,
    pub processes: BTreeMap<ProcessName, WantedProcess>,
}

/// One process of a workload.
#[derive(Clone, Debug)]
pub struct WantedProcess {
    pub count: u32,
    /// The job of every instance; the runtime adds `PORT`, `BIND_ADDRESS`, `HOP3_PROCESS`, `HOP3_INSTANCE`.
    pub job: Job,
    /// It listens on `$PORT` and receives requests.
    pub serves: bool,
    pub stop_grace_secs: u32,
}

/// Life of an instance.
///
/// ```text
/// starting ──► running ──► stopping ──► (gone)
///     │           │
///     └─► backoff ◄┘──► crashed   (crash-loop verdict: no further start)
///
/// running ◄──► frozen             (nobody asks)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Started a moment ago, health not yet seen.
    Starting,
    Running,
    /// Ended; waits before the next start.
    Backoff,
    /// Ended too often in too short a time.
    Crashed,
    Stopping,
    Stopped,
    /// In memory, without CPU.
    Frozen,
    /// Not there; the first request starts it.
    Sleeping,
}

/// One running copy of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Instance {
    /// `web.v3.1`, unique within the app.
    pub id: String,
    pub app: AppName,
    pub process: ProcessName,
    pub release: ReleaseNumber,
    pub state: InstanceState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Where it listens, when it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Unix time of the current start, in milliseconds.
    pub started_ms: u64,
    pub restarts: u32,
    /// How the last run ended: `exit status 1`, `signal 9 (SIGKILL)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<String>,
}
