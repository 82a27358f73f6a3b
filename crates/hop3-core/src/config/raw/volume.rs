// SPDX-License-Identifier: Apache-2.0
//! `[[volumes]]`: directories that stay.

use super::{Later, Size, Text};
use schemars::JsonSchema;
use serde::Deserialize;

/// `[[volumes]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Volume {
    /// What the app calls it. The server calls it by the app's name, a hyphen and this.
    #[schemars(with = "String")]
    pub(crate) name: Text,
    /// Where the app sees it: a directory of the app, or one at the top such as `/data`.
    #[schemars(with = "Option<String>")]
    #[serde(default)]
    pub(crate) path: Option<Text>,
    /// The older spelling of `path`.
    #[schemars(with = "Option<String>")]
    #[serde(default)]
    pub(crate) target: Option<Text>,
    /// How much it should hold at most, for example `"2g"`. It is not kept from holding more; from 90 % on it is told.
    #[serde(default)]
    pub(crate) size: Option<Size>,
    /// `persist`, the only one there is.
    #[serde(default)]
    pub(crate) r#type: Option<Persist>,
    /// Mode of its directory.
    #[serde(default)]
    pub(crate) mode: Option<Later>,
    /// What a backup holds of it.
    #[serde(default)]
    pub(crate) backup: Option<Later>,
}

/// The one kind of volume.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Persist {
    Persist,
}
