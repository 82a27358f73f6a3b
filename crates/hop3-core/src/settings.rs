// SPDX-License-Identifier: Apache-2.0
//! `Settings`: what the author of an app asked for, resolved from `hop3.toml`, `Procfile` and `app.json`.
//!
//! The files themselves are parsed in `config`; this is the domain type used everywhere else.

use crate::name::{AddonKind, AddonName, Domain, EnvKey, ProcessName, VolumeName, VolumePath};
use crate::policy::Policy;
use crate::sleep::SleepTimes;
use crate::tcp::TcpSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything the files of an app say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// `[metadata] id`: proposed name of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default)]
    pub build: BuildSettings,
    #[serde(default)]
    pub run: RunSettings,
    /// `[env]`: config variables the app starts with; a value set by `hop3 config set` wins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<EnvKey, EnvDefault>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<Domain>,
    #[serde(default)]
    pub health: HealthCheck,
    /// `[sleep]`: the web process may sleep, after these times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<SleepTimes>,
    /// `[proxy]`: what the proxy does for the app.
    #[serde(default, skip_serializing_if = "Policy::is_none")]
    pub proxy: Policy,
    /// `[backup]`: what is done around a backup, and what is left out of it.
    #[serde(default, skip_serializing_if = "BackupSettings::is_none")]
    pub backup: BackupSettings,
    /// `[[tcp]]`: processes that are reached without HTTP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<TcpSettings>,
    /// `[[addons]]`: backing services the app is told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<AddonSettings>,
    /// `[[volumes]]`: directories that outlive releases and the app itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeSettings>,
    /// Keys that were understood but that this version does not act on, told to the author at every deploy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `[[addons]]`: an addon that the first deployment makes and binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddonSettings {
    pub kind: AddonKind,
    /// The app's name and the kind's unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<AddonName>,
    /// Its variables stand under names that begin so.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub prefix: Option<EnvKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dedicated: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// `[[volumes]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeSettings {
    /// What the app calls it.
    pub name: VolumeName,
    pub path: VolumePath,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// `[build]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildSettings {
    /// A builder to use whatever the tree looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// Directory to serve as a static site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_dir: Option<String>,
    /// Document root of PHP apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_root: Option<String>,
    /// Toolchain versions asked for in hop3.toml: `node` to `22`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// Command lines run before the builder's own steps (`before-build`, `prebuild:`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Command lines that replace the builder's own build command (`build`, `build:`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Command lines run after (`after-build`, `postbuild:`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// System packages the build needs; looked for, and named in a warning when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
}

/// `[run]` and the Procfile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunSettings {
    /// Process types and their command lines, special names taken out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<ProcessName, String>,
    /// `wsgi: package.module:callable`, served by a server the builder adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wsgi: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asgi: Option<String>,
    /// `release:` command lines, run before the switch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub release: Vec<String>,
    /// `prerun:`, `before-run`: run once per release before its processes start, after `release:`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cron: Vec<Cron>,
    /// `static: /url:directory` and `[run] static`: URL prefix to directory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statics: BTreeMap<String, String>,
    /// Instances per process the files ask for (`app.json formation`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scale: BTreeMap<ProcessName, u32>,
    /// Seconds between SIGTERM and SIGKILL; 10 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_grace_secs: Option<u32>,
    /// Seconds a release command may take; 600 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_timeout_secs: Option<u32>,
}

/// A value of `[env]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnvDefault {
    Literal(String),
    /// Made once, then kept.
    Generate {
        form: GeneratedForm,
        length: u32,
    },
    /// `{key = "domain"}`: the app's first domain; `name`: its name; `url`: its address.
    Own(String),
    /// `[env.computed]`: `${OTHER}` is replaced by other variables of the app, whenever a process starts.
    Computed(String),
    /// `{from = "shop-db", key = "PGHOST"}`: what a bound addon says, whenever a process starts.
    Addon {
        addon: AddonName,
        key: EnvKey,
    },
}

/// The alphabet of a generated value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GeneratedForm {
    Hex,
    Base64,
    Urlsafe,
    Password,
    Uuid,
}

/// A command run on a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Cron {
    /// Five fields (crontab(5)): minute, hour, day of month, month, day of week; in the server's time zone.
    pub schedule: String,
    pub command: String,
}

/// How a new instance proves that it is ready.
///
/// Without path and command: the port accepts a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthCheck {
    /// HTTP path; any status from 200 to 399 is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Text the body must hold; status alone is not enough for apps that report errors as 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A command line run in the instance's sandbox; exit status 0 is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Seconds a new instance has to become healthy.
    pub timeout_secs: u32,
}

impl Default for HealthCheck {
    fn default() -> HealthCheck {
        HealthCheck { path: None, contains: None, command: None, timeout_secs: 60 }
    }
}

/// `[backup]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BackupSettings {
    /// Command lines run before files are saved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Command lines run after, also when saving failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Paths and patterns within the data that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// A proof of a backup starts a copy of the app.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proof_start: bool,
}

impl BackupSettings {
    pub fn is_none(&self) -> bool {
        *self == BackupSettings::default()
    }
}
