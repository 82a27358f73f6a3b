// SPDX-License-Identifier: Apache-2.0
//! `hello`: who the plugin is, what it has, and what it wants to be allowed.

use crate::addon::KindFacts;
use crate::event::DeployStep;
use crate::name::{AppName, PluginName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Seconds a call may take, unless the plugin asks for another time.
const DEADLINE_SECS: u32 = 30;
const MAX_DEADLINE_SECS: u32 = 600;

/// `hello`: the first call after every start.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The version of the protocol that is spoken.
    pub protocol: u32,
    /// The version of Hop3.
    pub hop3: String,
}

/// The answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Introduction {
    pub name: PluginName,
    pub version: String,
    /// The version of the protocol that the plugin was written for.
    pub protocol: u32,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Seconds a call may take, 1 to 600; 30 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_secs: Option<u32>,
    #[serde(default)]
    pub provides: Provides,
    #[serde(default)]
    pub permissions: Permissions,
}

impl Introduction {
    /// How long a call may take.
    pub fn deadline(&self) -> Duration {
        let secs = self.deadline_secs.unwrap_or(DEADLINE_SECS).clamp(1, MAX_DEADLINE_SECS);
        Duration::from_secs(secs.into())
    }
}

/// What a plugin has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provides {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub builders: Vec<BuilderOffer>,
    /// Kinds of addons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<KindFacts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandOffer>,
    /// Tables for a dashboard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub panels: Vec<PanelOffer>,
    /// Apps that can be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catalog: Vec<CatalogEntry>,
}

/// A builder: it is asked before the built-in ones, `builder.detect`, then `builder.plan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuilderOffer {
    /// A lower-case word, also the word for `[build] builder`.
    pub name: String,
    /// In words, for the problem told when nobody recognised a source.
    pub looks_for: String,
    /// It is asked about sources that have one of these: a path, or `*.md` for any such file at the top.
    pub when: Vec<String>,
    /// Files whose text comes along, as paths; those that are not there are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
}

/// A command: `hop3 plugin run PLUGIN NAME …`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandOffer {
    pub name: String,
    /// One line.
    pub about: String,
}

/// A panel: `hop3 plugin panel PLUGIN NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelOffer {
    pub name: String,
    /// What stands above it.
    pub title: String,
}

/// An app that can be had: what `hop3 deploy --git` needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    pub name: AppName,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Address of its git repository.
    pub git: String,
    /// Branch, tag or commit; the repository's own choice unless set.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ref")]
    pub reference: Option<String>,
}

/// What a plugin wants to be allowed; shown to whoever installs it, and nothing beyond it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// It wants to reach the network.
    #[serde(default)]
    pub network: bool,
    /// Kinds of events it is told of, as in `deployment-failed`; `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Steps of deployments before or after which it is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookPoint>,
    /// It is shown the config of apps, with its secrets, at hooks.
    #[serde(default)]
    pub config: bool,
}

impl Permissions {
    /// Tells whether everything here is allowed by `granted`.
    pub fn are_within(&self, granted: &Permissions) -> bool {
        (granted.network || !self.network)
            && (granted.config || !self.config)
            && self.events.iter().all(|kind| granted.has_event(kind))
            && self.hooks.iter().all(|hook| granted.hooks.contains(hook))
    }

    pub fn has_event(&self, kind: &str) -> bool {
        self.events.iter().any(|wanted| wanted == "*" || wanted == kind)
    }

    /// The hook at that point.
    pub fn hook(&self, when: When, step: DeployStep) -> Option<&HookPoint> {
        self.hooks.iter().find(|hook| hook.when == when && hook.step == step)
    }

    /// One line for each, for people.
    pub fn told(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.network {
            lines.push("reach the network".to_owned());
        }
        if self.config {
            lines.push("read the config of apps, with its secrets".to_owned());
        }
        if !self.events.is_empty() {
            lines.push(format!("be told of events: {}", self.events.join(", ")));
        }
        for hook in &self.hooks {
            let may = match (hook.when, hook.required) {
                (When::Before, true) => "; may refuse it, and it does not go on without its answer",
                (When::Before, false) => "; may refuse it",
                (When::After, _) => "",
            };
            lines.push(format!(
                "be asked {} the step {} of deployments{may}",
                hook.when.as_str(),
                hook.step.as_str()
            ));
        }
        lines
    }
}

/// On which side of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    Before,
    After,
}

impl When {
    pub fn as_str(self) -> &'static str {
        match self {
            When::Before => "before",
            When::After => "after",
        }
    }
}

/// A side of a step of deployments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookPoint {
    pub when: When,
    pub step: DeployStep,
    /// Before a step: when the plugin gives no answer the deployment fails; unless set, it goes on with a warning.
    #[serde(default)]
    pub required: bool,
}
