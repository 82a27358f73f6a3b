// SPDX-License-Identifier: Apache-2.0
//! `[backup]`: what happens around a backup of the app.

use super::{Later, Lines, Text};
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

/// `[backup]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Backup {
    /// Command lines run before the files are saved, as the app: write a dump, flush a queue. When one fails there is
    /// no backup.
    #[schemars(with = "Option<Lines>")]
    pub(crate) before: Option<Spanned<Lines>>,
    /// Command lines run after that, also when saving failed.
    #[schemars(with = "Option<Lines>")]
    pub(crate) after: Option<Spanned<Lines>>,
    /// Paths within the app's data that are left out; `*` stands for any part of a name.
    #[schemars(with = "Vec<String>")]
    pub(crate) exclude: Vec<Text>,
    /// A proof of a backup starts a copy of the app too: its web process, on restored files and addons, for as long as
    /// its health check takes. The copy knows by HOP3_PROOF what it is.
    pub(crate) proof_start: bool,
    /// What is saved beside the data; all of the app is.
    pub(crate) paths: Option<Later>,
}
