// SPDX-License-Identifier: Apache-2.0
//! `[metadata]`: what the app is. All but `id` is for catalogues.

use super::Text;
use schemars::JsonSchema;
use serde::Deserialize;

/// `[metadata]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Metadata {
    /// Proposed name of the app, used when none is given.
    #[schemars(with = "Option<String>")]
    pub(crate) id: Option<Text>,
    /// Version of the app.
    pub(crate) version: Option<String>,
    /// Name for people.
    pub(crate) title: Option<String>,
    /// Name for people, the older spelling.
    pub(crate) name: Option<String>,
    /// What the app does.
    pub(crate) description: Option<String>,
    /// Who wrote it.
    pub(crate) author: Option<String>,
    /// Licence of the app.
    pub(crate) license: Option<String>,
    /// Address of the project.
    pub(crate) homepage: Option<String>,
    /// Where a catalogue lists it.
    pub(crate) categories: Vec<String>,
    /// Words it is found by.
    pub(crate) tags: Vec<String>,
}
