// SPDX-License-Identifier: Apache-2.0
//! `Release`: artifact + config + process table, numbered, immutable. The unit of rollback.

use crate::name::{EnvKey, ProcessName};
use crate::plan::StaticSite;
use crate::policy::Policy;
use crate::sandbox::Command;
use crate::settings::{BackupSettings, Cron, EnvDefault, HealthCheck};
use crate::sleep::SleepTimes;
use crate::tcp::TcpSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The number of a release: v1, v2, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ReleaseNumber(pub u32);

impl std::fmt::Display for ReleaseNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// What was built: enough to run it again at any time without building.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// Names the directory beneath `artifacts/`.
    pub id: String,
    pub builder: String,
    /// Commit id, or the digest of the uploaded tree.
    pub source: String,
    /// Layer name to digest.
    #[serde(default)]
    pub layers: BTreeMap<String, String>,
    /// Toolchain name to what was found.
    #[serde(default)]
    pub toolchains: BTreeMap<String, FoundToolchain>,
    /// Environment of the plan, placeholders kept.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    pub processes: ProcessTable,
}

/// A toolchain as it was found or obtained on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundToolchain {
    /// Exact version: `3.11.2`.
    pub version: String,
    /// Prefix with `bin/` in it.
    pub prefix: std::path::PathBuf,
}

/// Everything an app runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessTable {
    pub processes: BTreeMap<ProcessName, Command>,
    #[serde(default)]
    pub statics: Vec<StaticSite>,
    #[serde(default)]
    pub release: Vec<String>,
    #[serde(default)]
    pub before_run: Vec<String>,
    /// Variables whose values are looked up when a process starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub late_env: BTreeMap<EnvKey, EnvDefault>,
    #[serde(default)]
    pub cron: Vec<Cron>,
    #[serde(default)]
    pub health: HealthCheck,
    /// The web process may sleep, after these times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<SleepTimes>,
    #[serde(default, skip_serializing_if = "Policy::is_none")]
    pub proxy: Policy,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<TcpSettings>,
    #[serde(default, skip_serializing_if = "BackupSettings::is_none")]
    pub backup: BackupSettings,
    pub stop_grace_secs: u32,
    pub release_timeout_secs: u32,
}
