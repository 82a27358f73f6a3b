// SPDX-License-Identifier: Apache-2.0
//! `BuildPlan`: what a builder would do, as data. Printed by `hop3 build plan`, pinned by golden files, executed by
//! one executor that knows no language.
//!
//! Strings in a plan may hold placeholders, filled in by the executor and by the runtime:
//! `{app}` the app's directory, `{layer:NAME}` a layer's directory, `{cache:NAME}` a cache directory,
//! `{toolchain:NAME}` the prefix of a toolchain, `{data}` the persistent directory.

use crate::name::ProcessName;
use crate::sandbox::Command;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a builder would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildPlan {
    /// The builder that made the plan: `python`.
    pub builder: String,
    /// Why it did, in words: `requirements.txt is there`.
    pub reason: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub toolchains: Vec<Toolchain>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// Directories kept between builds of this app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<String>,
    /// Run in order in the app's directory, after the layers are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The environment of build steps and of the running app. `PATH` is a list of directories put in front.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What is left of the app's directory in the artifact, as relative paths; empty keeps all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Processes for apps that name none in a Procfile or hop3.toml.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<ProcessName, Command>,
    /// Directories the proxy serves itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statics: Vec<StaticSite>,
    /// Things worth telling the author, for example a missing lock file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A language toolchain the plan needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Toolchain {
    /// `python`, `node`, `go`, `rust`, …
    pub name: String,
    /// The version asked for, as the author wrote it (`3.12`, `>=18 <23`, `^1.22`); empty when any will do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Which file asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}

/// Dependencies installed into a directory of their own, shared by all releases whose inputs are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Layer {
    pub name: String,
    /// Files whose contents name the layer (with the app, the toolchains and the steps).
    pub inputs: Vec<String>,
    /// Run in order, in the app's directory unless a step says otherwise.
    pub steps: Vec<Step>,
    /// Links made in the app's directory: link path, path inside the layer (`node_modules` to `node_modules`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
}

/// One command of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// What the pusher reads: `Installing dependencies with uv`.
    pub title: String,
    pub command: Command,
    /// Relative to the app's directory, or a placeholder; empty is the app's directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cwd: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Hint for the problem told when the command fails.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Step {
    pub fn new(title: &str, command: Command) -> Step {
        Step { title: title.into(), command, cwd: String::new(), env: BTreeMap::new(), hint: String::new() }
    }
}

/// A directory the proxy serves itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StaticSite {
    /// URL prefix, `/` for the whole host.
    pub prefix: String,
    /// Directory inside the artifact; a placeholder is allowed.
    pub directory: String,
    /// Unknown paths answer `index.html` (single-page applications).
    #[serde(default)]
    pub spa: bool,
}
