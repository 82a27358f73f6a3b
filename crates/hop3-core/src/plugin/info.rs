// SPDX-License-Identifier: Apache-2.0
//! What people see of plugins, and what the server remembers of one.

use super::hello::{Introduction, Permissions};
use crate::name::PluginName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A plugin that somebody agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub introduction: Introduction,
    /// The user its program has, where the supervisor may give it one.
    pub user: u32,
}

/// `GET /api/plugins`, one element; `GET /api/plugins/{plugin}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginInfo {
    pub introduction: Introduction,
    pub enabled: bool,
    /// Who signed it; absent when nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    pub installed_ms: u64,
    /// The event it was told of last.
    pub last_event: i64,
}

impl PluginInfo {
    pub fn name(&self) -> &PluginName {
        &self.introduction.name
    }
}

/// `POST /api/plugins`: with a tar of the plugin's folder, or a bundle, as its body.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallQuery {
    /// Take it although nobody whom the operator trusts has signed it.
    #[serde(default)]
    pub unsigned: bool,
}

/// `POST /api/plugins/{plugin}/enable`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnablePluginRequest {
    /// What it is allowed: all that it asks for, said again.
    pub permissions: Permissions,
}

/// `POST /api/plugins/{plugin}/check`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginReport {
    /// What was looked at.
    pub checked: Vec<String>,
    /// Broken rules, in words; none from a good plugin.
    pub broken: Vec<String>,
}
