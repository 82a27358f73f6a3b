// SPDX-License-Identifier: Apache-2.0
//! Backups as the API tells them: what is kept where, how it went, when it was last proven.
//!
//! A backup is complete when its manifest is there, which is written last. Times are Unix milliseconds.

use crate::addon::{Held, HeldUnit};
use crate::name::{AddonKind, AddonName, AppName, TableName};
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

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackupOf {
    Server,
    App(AppName),
    /// An addon by itself.
    Addon(AddonName),
}

/// Before the name of an addon where names of apps stand too, of which none has a colon.
const ADDON: &str = "addon:";

impl BackupOf {
    /// As requests say it: neither is the whole server.
    pub fn new(app: Option<&AppName>, addon: Option<&AddonName>) -> BackupOf {
        match (app, addon) {
            (_, Some(addon)) => BackupOf::Addon(addon.clone()),
            (Some(app), None) => BackupOf::App(app.clone()),
            (None, None) => BackupOf::Server,
        }
    }

    /// The word that is kept; none for the server.
    pub fn word(&self) -> Option<String> {
        match self {
            BackupOf::Server => None,
            BackupOf::App(app) => Some(app.to_string()),
            BackupOf::Addon(addon) => Some(format!("{ADDON}{addon}")),
        }
    }

    pub fn of_word(word: Option<&str>) -> Result<BackupOf, Problem> {
        match word.map(|word| (word, word.strip_prefix(ADDON))) {
            None => Ok(BackupOf::Server),
            Some((_, Some(addon))) => Ok(BackupOf::Addon(addon.parse()?)),
            Some((app, None)) => Ok(BackupOf::App(app.parse()?)),
        }
    }

    pub fn app(&self) -> Option<AppName> {
        if let BackupOf::App(app) = self { Some(app.clone()) } else { None }
    }

    pub fn addon(&self) -> Option<AddonName> {
        if let BackupOf::Addon(addon) = self { Some(addon.clone()) } else { None }
    }
}

/// As lists say it.
impl fmt::Display for BackupOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupOf::Server => f.write_str("the server"),
            BackupOf::App(app) => f.write_str(app.as_str()),
            BackupOf::Addon(addon) => write!(f, "addon {addon}"),
        }
    }
}

/// `GET /api/backups`, one element
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupInfo {
    pub id: BackupId,
    pub target: String,
    /// Absent, as the addon is: of the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Of an addon by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonName>,
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

impl BackupInfo {
    pub fn of(&self) -> BackupOf {
        BackupOf::new(self.app.as_ref(), self.addon.as_ref())
    }
}

/// `GET /api/backups/{id}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackupDetail {
    pub backup: BackupInfo,
    /// Version of Hop3 that made it.
    pub hop3: String,
    pub apps: Vec<BackupApp>,
    #[serde(default)]
    pub addons: Vec<BackupAddon>,
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

/// What an addon held, in a backup.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackupAddon {
    pub name: AddonName,
    pub kind: AddonKind,
    pub bytes: u64,
    /// Tables and rows of a database, counted when it was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Keys that do not go by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<u64>,
    /// The same in words: `12 tables, 48,210 rows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<String>,
}

impl BackupAddon {
    pub fn new(name: AddonName, kind: AddonKind, bytes: u64, held: Option<&Held>) -> BackupAddon {
        let of = |unit: HeldUnit| held.filter(|held| held.unit == unit);
        let rows = of(HeldUnit::Rows);
        BackupAddon {
            name,
            kind,
            bytes,
            tables: rows.map(|held| held.parts.len() as u64),
            rows: rows.map(Held::total),
            keys: of(HeldUnit::Keys).map(Held::total),
            holds: held.map(Held::to_string),
        }
    }
}

/// `POST /api/backups`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBackupRequest {
    /// Absent, as the addon is: the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// This addon by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonName>,
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
    /// Of that addon, only this table, into the addon of its name: in place of its rows, or beside it as `new_table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_table: Option<TableName>,
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
    /// The newest of each app, each addon and of the server unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupId>,
    /// Whether copies of the apps are started too; as their `[backup]` says unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<bool>,
}

/// `POST /api/backups/prune`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneBackupsRequest {
    /// Only those of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Only those of this addon by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonName>,
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
    /// Absent, as the addon is: the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// This addon by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonName>,
    /// Five fields as in a crontab, in the server's time zone.
    pub at: String,
    /// When the newest one is restored into a scratch place and checked.
    pub prove: String,
    #[serde(default)]
    pub keep: Keep,
    /// The target; `local` unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why the last one was not made, or what should go did not; absent once all went well. The server says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Problem>,
}

impl BackupSchedule {
    pub fn of(&self) -> BackupOf {
        BackupOf::new(self.app.as_ref(), self.addon.as_ref())
    }
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
