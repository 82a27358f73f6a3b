// SPDX-License-Identifier: Apache-2.0
//! Backups as the API tells them: what is kept where, how it went, when it was last proven.
//!
//! A backup is complete when its manifest is there, which is written last. Times are Unix milliseconds.

use crate::name::{AddonName, AppName};
use crate::problem::{Kind, Problem};
use crate::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Names a backup: the moment it was begun and four characters, `20260301-140509-3f9a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

impl BackupId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackupId {
    type Err = Problem;

    fn from_str(text: &str) -> Result<BackupId, Problem> {
        let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (8..=40).contains(&text.len()) && text.chars().all(is_good) {
            return Ok(BackupId(text.to_owned()));
        }
        let shown: String = text.chars().take(40).collect();
        Err(Problem::new(Kind::User, "backup.bad-id", format!("\"{shown}\" does not name a backup"))
            .hint("see them with: hop3 backup list"))
    }
}

impl TryFrom<String> for BackupId {
    type Error = Problem;

    fn try_from(text: String) -> Result<BackupId, Problem> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> String {
        id.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `GET /api/backups`, one element
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupInfo {
    pub id: BackupId,
    pub target: String,
    /// Absent: of the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    pub made_ms: u64,
    pub files: u64,
    pub bytes: u64,
    /// Bytes that were not kept there before.
    pub added_bytes: u64,
    /// Made by a schedule.
    pub scheduled: bool,
    /// When it was last restored into a scratch place and found whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_ms: Option<u64>,
    /// SHA-256 over what was restored then: names, kinds, sizes and contents of all files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What was found when that was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// `GET /api/backups/{id}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackupDetail {
    pub backup: BackupInfo,
    /// Version of Hop3 that made it.
    pub hop3: String,
    pub apps: Vec<BackupApp>,
    /// What could not be read when it was made.
    pub unread: Vec<String>,
}

/// An app in a backup.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackupApp {
    pub name: AppName,
    /// For example v3; absent when nothing was deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    pub domains: Vec<String>,
    pub config_keys: Vec<String>,
    /// Its parts: `data`, `repo`, `release`, `addon:NAME`.
    pub parts: Vec<String>,
}

/// `POST /api/backups`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBackupRequest {
    /// Absent: the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The target; `local` unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// `POST /api/backups/{id}/restore`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreBackupRequest {
    /// Which app of it; the only one unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// As a new app of that name, instead of in place.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub new_name: Option<AppName>,
    /// Only this file or directory of the app's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only what this addon held: in place of what it holds now, or as a new addon of the name in `as`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonName>,
}

/// `hop3 backup restore --server`: where an empty root is filled from. It asks no server, since there is none.
pub struct RebuildRequest {
    /// As in `AddBackupTargetRequest`.
    pub location: Secret<String>,
    pub env: Secret<BTreeMap<String, String>>,
    /// The recovery key.
    pub key: Secret<String>,
    /// The newest of a whole server unless named.
    pub backup: Option<BackupId>,
}

/// What is told while a backup is made, restored or proven. The last is `done` or `failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum BackupNews {
    Said { text: String },
    Progress { done_bytes: u64, total_bytes: u64 },
    Done { backups: Vec<BackupInfo> },
    Failed { problem: Problem },
}

/// Is told how it goes.
pub type Tell<'a> = &'a (dyn Fn(BackupNews) + Sync);

/// `POST /api/backup-targets`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddBackupTargetRequest {
    pub name: String,
    /// A path, or as restic writes it: `sftp:…`, `s3:…`, `b2:…`, `rest:…`, `rclone:…`.
    pub location: String,
    /// Variables for the way there: access keys.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// At most so many KiB a second are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_kib: Option<u32>,
}

/// `GET /api/backup-targets`, one element
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupTargetInfo {
    pub name: String,
    /// Without its password.
    pub location: String,
    /// Names of its variables.
    pub env: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_kib: Option<u32>,
    pub backups: u64,
}

/// `GET /api/backup-key`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackupKey {
    /// Opens every repository, with Hop3 or with restic alone.
    pub key: String,
}

/// `POST /api/backups/verify`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyBackupRequest {
    /// The newest of each app and of the server unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupId>,
}

/// `POST /api/backups/prune`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneBackupsRequest {
    /// Only those of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Instead of what the schedules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
}

/// Which backups are kept: the newest so many, and the newest of each of so many days, weeks and months.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    pub last: u32,
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { last: 3, daily: 7, weekly: 4, monthly: 12 }
    }
}

/// When backups are made and proven by themselves. `PUT /api/backup-schedules`; `GET` gives a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupSchedule {
    /// Absent: the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Five fields as in a crontab, in the server's time zone.
    pub at: String,
    /// When the newest one is restored into a scratch place and checked.
    pub prove: String,
    #[serde(default)]
    pub keep: Keep,
    /// The target; `local` unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Tells whether a location is a directory of this machine.
pub fn is_path(location: &str) -> bool {
    location.starts_with('/')
}

/// The location without the password that may stand in an address: `rest:https://user:***@host/`.
pub fn shown_location(location: &str) -> String {
    let Some((before, rest)) = location.split_once("://") else { return location.to_owned() };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let Some((user, host)) = authority.rsplit_once('@') else { return location.to_owned() };
    // A name alone may be a token.
    let user = user.split_once(':').map(|(name, _)| format!("{name}:")).unwrap_or_default();
    let path = path.map(|path| format!("/{path}")).unwrap_or_default();
    format!("{before}://{user}***@{host}{path}")
}

#[cfg(test)]
mod tests;
