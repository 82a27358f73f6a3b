// SPDX-License-Identifier: Apache-2.0
//! `hop3.toml` as it is written: one struct per table, each field's doc comment is its entry in the reference.
//!
//! No `flatten`, no `untagged`: both lose the place of an error. Unknown keys are refused, so that a typo fails loudly.

mod addon;
mod backup;
mod build;
mod env;
mod lines;
mod metadata;
mod proxy;
mod run;
mod size;
mod tcp;
mod volume;

pub(super) use addon::Addon;
pub(super) use backup::Backup;
pub(super) use build::Build;
pub(super) use env::{Env, EnvTable, EnvValue};
pub(super) use lines::Lines;
pub(super) use proxy::{
    BasicAuth, Cache, Canary, Compression, Cors, ForwardAuth, Headers, Hsts, Log, Maintenance, Pause, Proxy,
    RateLimit, Redirect, Rewrite, Waf,
};
pub(super) use run::{HealthCheck, Run};
pub(super) use size::Size;
pub use size::bytes;
pub(super) use tcp::Tcp;
pub(super) use volume::{Persist, Volume};

use super::complaint;
use crate::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// Text that knows where it was written.
pub(super) type Text = Spanned<String>;

/// The whole file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Document {
    /// What the app is.
    pub metadata: metadata::Metadata,
    /// How the app is built.
    pub build: Build,
    /// What of the app runs.
    pub run: Run,
    /// Config variables the app starts with. A value set with `hop3 config set` wins.
    pub env: Env,
    /// Where the app answers.
    pub domains: Domains,
    /// How a new instance proves that it is ready.
    pub healthcheck: HealthCheck,
    /// The process `web` sleeps when nobody asks; the next request wakes it. `hop3 scale` says otherwise and wins.
    pub sleep: Option<Sleep>,
    /// URL prefix to a directory the proxy serves itself.
    #[serde(rename = "static")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub statics: BTreeMap<Text, Text>,
    /// Choice of the deployer.
    pub deploy: Option<Later>,
    /// Fixed ports of containers.
    pub port: Option<Later>,
    /// Fixed ports of the machine.
    pub ports: Option<Later>,
    /// Container builds.
    pub docker: Option<Later>,
    /// Nix builds.
    pub nix: Option<Later>,
    /// What happens around a backup, and what it leaves out.
    pub backup: Backup,
    /// What the proxy does with requests before they reach the app, and with answers before they leave.
    pub proxy: Proxy,
    /// A way to a process that does not speak HTTP, or ends TLS itself. Each connection is carried byte for byte to an
    /// instance, which listens on `$PORT`.
    #[schemars(with = "Vec<Tcp>")]
    pub tcp: Vec<Spanned<Tcp>>,
    /// Backing services. A value of `[env]` may say `{ from = "NAME", key = "PGHOST" }`.
    #[schemars(with = "Vec<Addon>")]
    pub addons: Vec<Spanned<Addon>>,
    /// Backing services, the older spelling.
    #[schemars(with = "Vec<Addon>")]
    pub provider: Vec<Spanned<Addon>>,
    /// Directories that outlive releases and the app itself, made and attached at the first deployment. Every app has
    /// one without asking, named by `HOP3_DATA_DIR`.
    #[schemars(with = "Vec<Volume>")]
    pub volumes: Vec<Spanned<Volume>>,
    /// Limits on memory, CPU and processes.
    pub limits: Option<Later>,
    /// The web application firewall.
    pub waf: Option<Later>,
    /// The first administrator's account.
    pub admin: Option<Later>,
    /// An account for checks.
    pub probe: Option<Later>,
    /// Client side: servers by name.
    pub contexts: Option<Ignored>,
    /// Client side: defaults of the command line.
    pub cli: Option<Ignored>,
    /// How the app is tested.
    pub test: Option<Ignored>,
}

/// `[domains]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Domains {
    /// Host names that bring requests to the app.
    #[schemars(with = "Vec<String>")]
    pub list: Vec<Text>,
    /// What happens to names added by hand.
    #[serde(rename = "_policy")]
    pub policy: Option<Policy>,
}

/// `[sleep]`. A table without keys stops the process after 10 minutes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Sleep {
    /// Time without a request after which it is frozen (in memory, without CPU): `90s`, `10m`, `2h`, `never`. Never
    /// unless set.
    #[schemars(with = "Option<String>")]
    pub freeze_after: Option<Text>,
    /// Time without a request after which it is stopped. `10m` unless set; never when only `freeze-after` is set.
    #[schemars(with = "Option<String>")]
    pub stop_after: Option<Text>,
}

/// What to do when a file and an earlier setting disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Policy {
    KeepExisting,
    Override,
}

/// Accepted, not acted on yet: said at every deployment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Later(#[schemars(with = "serde_json::Value")] serde::de::IgnoredAny);

/// Meant for somebody else: passed over in silence.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Ignored(#[schemars(with = "serde_json::Value")] serde::de::IgnoredAny);

pub(super) fn parse(file: &str, text: &str) -> Result<Document, Problem> {
    toml::de::DeTable::parse(text).map_err(|e| complaint::syntax(file, text, &e))?;
    toml::from_str(text).map_err(|e| complaint::meaning(file, text, &e))
}
