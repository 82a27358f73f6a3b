// SPDX-License-Identifier: Apache-2.0
//! `[[addons]]`: backing services.

use super::Text;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `[[addons]]`. The first deployment makes it and binds it to the app; later ones find it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Addon {
    /// The kind, as `hop3 addon kinds` lists them: `postgres`, `mysql`, `redis`.
    #[serde(rename = "type", alias = "kind")]
    #[schemars(with = "String")]
    pub(crate) kind: Text,
    /// Its name on the server. The app's name, a hyphen and the kind unless set.
    #[schemars(with = "Option<String>")]
    pub(crate) name: Option<Text>,
    /// Names of its variables begin so, beside the plain ones. The addon's name in capitals unless set.
    #[serde(rename = "as")]
    #[schemars(with = "Option<String>")]
    pub(crate) prefix: Option<Text>,
    /// Which version. The newest that is installed unless set.
    pub(crate) version: Option<String>,
    /// A server of its own. false unless set.
    #[serde(default)]
    pub(crate) dedicated: bool,
    /// Extensions of a database.
    #[serde(default)]
    pub(crate) extensions: Vec<String>,
    /// Options of the kind.
    #[serde(default)]
    pub(crate) options: BTreeMap<String, String>,
}
