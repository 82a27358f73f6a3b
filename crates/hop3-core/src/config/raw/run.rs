// SPDX-License-Identifier: Apache-2.0
//! `[run]` and `[healthcheck]`: what of the app runs, and when it counts as running.

use super::{Later, Lines, Text};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// `[run]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Run {
    /// Command of the process `web`, which answers requests on `$PORT`.
    #[schemars(with = "Option<String>")]
    pub(crate) start: Option<Text>,
    /// Command lines run once per release, before the processes start.
    #[schemars(with = "Option<Lines>")]
    pub(crate) before_run: Option<Spanned<Lines>>,
    /// Command lines run before requests are switched to a release, such as migrations.
    #[schemars(with = "Option<Lines>")]
    pub(crate) release: Option<Spanned<Lines>>,
    /// Process to command; the special names of a Procfile are understood.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) workers: BTreeMap<Text, Text>,
    /// Lines as in a crontab: five fields, then the command.
    #[schemars(with = "Option<Lines>")]
    pub(crate) cron: Option<Spanned<Lines>>,
    /// Process to its number of instances.
    #[schemars(with = "BTreeMap<String, u32>")]
    pub(crate) scale: BTreeMap<Text, Spanned<u32>>,
    /// URL prefix to a directory the proxy serves itself; the same as `[static]`.
    #[serde(rename = "static")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) statics: BTreeMap<Text, Text>,
    /// Seconds a new instance has to become ready. 60 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) start_timeout: Option<Spanned<u32>>,
    /// Seconds a release command may take. 600 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) release_timeout: Option<Spanned<u32>>,
    /// Seconds between the request to stop and the kill. 10 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) stop_grace: Option<Spanned<u32>>,
    /// The same as `path` in `[healthcheck]`.
    #[schemars(with = "Option<String>")]
    pub(crate) healthcheck: Option<Text>,
    /// The same as `timeout` in `[healthcheck]`.
    #[schemars(with = "Option<u32>")]
    pub(crate) healthcheck_timeout: Option<Spanned<u32>>,
    /// System packages the running app needs.
    pub(crate) packages: Option<Later>,
}

/// `[healthcheck]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct HealthCheck {
    /// Path that is asked; any status from 200 to 399 is healthy. Without it the port must accept a connection.
    #[schemars(with = "Option<String>")]
    pub(crate) path: Option<Text>,
    /// Text the answer must hold.
    pub(crate) contains: Option<String>,
    /// Command line run beside the instance; exit status 0 is healthy.
    pub(crate) command: Option<String>,
    /// Seconds a new instance has to become healthy. 60 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) timeout: Option<Spanned<u32>>,
    /// Seconds between two checks.
    pub(crate) interval: Option<Later>,
    /// Checks that may fail in a row.
    pub(crate) retries: Option<Later>,
}
