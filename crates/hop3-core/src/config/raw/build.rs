// SPDX-License-Identifier: Apache-2.0
//! `[build]`: how the app is built.

use super::{Later, Lines, Text};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// `[build]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Build {
    /// Builder to use whatever the tree looks like: `python`, `node`, `static`, …; `auto` looks at the tree.
    #[schemars(with = "Option<String>")]
    pub(crate) builder: Option<Text>,
    /// The same, the older spelling; `generic` and `none` build nothing.
    #[schemars(with = "Option<String>")]
    pub(crate) toolchain: Option<Text>,
    /// Directory to serve as a static site.
    #[schemars(with = "Option<String>")]
    pub(crate) static_dir: Option<Text>,
    /// Document root of a PHP app.
    #[schemars(with = "Option<String>")]
    pub(crate) document_root: Option<Text>,
    /// Command lines run before the builder's own steps.
    #[schemars(with = "Option<Lines>")]
    pub(crate) before_build: Option<Spanned<Lines>>,
    /// Command lines that replace the builder's own build command.
    #[schemars(with = "Option<Lines>")]
    pub(crate) build: Option<Spanned<Lines>>,
    /// Command lines run after the builder's own steps.
    #[schemars(with = "Option<Lines>")]
    pub(crate) after_build: Option<Spanned<Lines>>,
    /// System packages the build needs.
    pub(crate) packages: Vec<String>,
    /// Version of Node; the same as `node` in `[build.versions]`.
    pub(crate) node_version: Option<String>,
    /// Toolchain to version, for example `python = "3.12"`. Wins over the files of the language.
    pub(crate) versions: BTreeMap<String, String>,
    /// Patterns left out of an upload; write them into `.hop3ignore`.
    pub(crate) ignore: Option<Later>,
}
