// SPDX-License-Identifier: Apache-2.0
//! A signed bundle: a tar of a plugin's folder with two files more, the list of its files and the signature of that list.

use crate::name::PluginName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The list of files, `BundleManifest` as JSON.
pub const BUNDLE_MANIFEST: &str = "hop3-bundle.json";

/// The Ed25519 signature of that file's bytes, in base64.
pub const BUNDLE_SIGNATURE: &str = "hop3-bundle.sig";

/// What somebody signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleManifest {
    pub plugin: PluginName,
    /// All files but the two of the bundle, by path. Nothing else may be in the bundle.
    pub files: BTreeMap<String, BundledFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BundledFile {
    /// Hexadecimal.
    pub sha256: String,
    pub executable: bool,
}

/// A key whose bundles are taken. `GET /api/plugin-keys`, one element
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginKey {
    pub name: String,
    /// Ed25519, in base64.
    pub public_key: String,
    pub created_ms: u64,
}

/// `POST /api/plugin-keys`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustKeyRequest {
    pub name: String,
    pub public_key: String,
}
