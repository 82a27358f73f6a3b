// SPDX-License-Identifier: Apache-2.0
//! What a plugin is asked, and what it answers.

use super::hello::When;
use crate::addon::Binding;
use crate::event::{DeployStep, EventRow};
use crate::name::AppName;
use crate::settings::Settings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The words of `Request::method`.
pub mod method {
    /// `Hello` to `Introduction`.
    pub const HELLO: &str = "hello";
    /// `BuilderCall` to `Detection`, or to null when the source is not for it.
    pub const DETECT: &str = "builder.detect";
    /// `BuilderCall` to `BuildPlan`.
    pub const PLAN: &str = "builder.plan";
    /// `EventCall` to anything.
    pub const EVENT: &str = "event";
    /// `HookCall` to `HookAnswer`.
    pub const HOOK: &str = "hook";
    /// `AddonServer` to `AddonProcess`: the server that Hop3 keeps running.
    pub const SERVE: &str = "addon.serve";
    /// `WantedAddon` to `Binding`.
    pub const PROVISION: &str = "addon.provision";
    /// `WantedAddon` to `AddonStatus`.
    pub const STATUS: &str = "addon.status";
    /// `WantedAddon` to `AddonProcess`, which prints all that the addon holds.
    pub const BACKUP: &str = "addon.backup";
    /// `WantedAddon` to `AddonProcess`, which reads what the other printed.
    pub const RESTORE: &str = "addon.restore";
    /// `WantedAddon` to anything.
    pub const DESTROY: &str = "addon.destroy";
    /// `AddonEntry` to anything, once the value is kept. Asked by `hop3 plugin check` alone, as the next one.
    pub const WRITE: &str = "addon.write";
    /// `AddonEntry` without a value to a string, or to null.
    pub const READ: &str = "addon.read";
    /// `CommandCall` to `CommandAnswer`.
    pub const COMMAND: &str = "command";
    /// `PanelCall` to `Panel`.
    pub const PANEL: &str = "panel";
}

/// `builder.detect`, `builder.plan`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BuilderCall {
    /// Which of the plugin's builders.
    pub builder: String,
    pub source: SourceData,
    pub settings: Settings,
}

/// A source as far as a builder said that it wants to know it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SourceData {
    /// Every file and folder, relative, sorted; folders end with a slash. At most 10,000.
    pub paths: Vec<String>,
    /// Text of the files that the builder reads.
    pub files: BTreeMap<String, String>,
}

/// The source is for this builder.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Detection {
    /// Why, in words: `index.md is there`.
    pub reason: String,
}

/// `event`: something happened. It comes again until it is answered with a result, and before the next one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventCall {
    pub event: EventRow,
}

/// `hook`: a deployment comes to a step, or has done it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HookCall {
    pub when: When,
    pub step: DeployStep,
    pub app: String,
    /// Where the app answers.
    pub url: String,
    /// Absent for changes that are no deployment: config, rollback, scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<i64>,
    /// The app's config, where that is permitted; else empty.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

/// The answer at a hook.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookAnswer {
    /// Lines for the deployment's log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The deployment shall not go on; counts before a step only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

/// Why a deployment shall not go on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// One sentence.
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// A process that Hop3 runs for an addon, as the user of the addon's server and in its directory. In its words
/// `{files}` stands for the plugin's folder and `{data}` for the server's directory, where all that it keeps belongs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddonProcess {
    /// Program and arguments; anybody on the machine may read them, so passwords belong into `env`.
    pub command: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// `addon.write`, `addon.read`: the plugin comes in as an app would, with nothing but what apps are told, and keeps a
/// value in a way of its choice, or says which one is kept.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddonEntry {
    pub binding: Binding,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// `command`: somebody typed it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandCall {
    pub command: String,
    pub arguments: Vec<String>,
}

/// What the command printed, and its exit status.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandAnswer {
    pub output: String,
    #[serde(default)]
    pub status: u8,
}

/// `panel`: somebody looks at a page that the plugin has something on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelCall {
    pub panel: String,
    /// Of one app; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
}

/// What a panel shows: a table, drawn by whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    pub columns: Vec<String>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<String>>,
}
