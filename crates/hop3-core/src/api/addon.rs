// SPDX-License-Identifier: Apache-2.0
//! Requests and answers about addons.

use crate::addon::{AddonStatus, KindFacts};
use crate::name::{AddonKind, AddonName, AppName, EnvKey};
use crate::secret::{Secret, exposed, exposed_option};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST /api/addons`
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAddonRequest {
    pub name: AddonName,
    pub kind: AddonKind,
    /// The newest that is there unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A server of its own, even if its kind shares one.
    #[serde(default)]
    pub dedicated: bool,
    /// Options of its kind.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// What its kind needs that nobody else may see: the address of an external service with its password.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "exposed_option")]
    #[schemars(with = "Option<String>")]
    pub secret: Option<Secret<String>>,
}

/// `POST /api/addons/{addon}/bind`, `…/unbind`, `…/promote`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindRequest {
    pub app: AppName,
    /// Its variables stand under names that begin so; the addon's name unless set. Only for `bind`.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub prefix: Option<EnvKey>,
}

/// `POST /api/addons/{addon}/rename`, `…/clone`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAddonNameRequest {
    pub name: AddonName,
}

/// `POST /api/addons/{addon}/scale`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleAddonRequest {
    /// Options of its kind; an empty value takes one back.
    pub options: BTreeMap<String, String>,
}

/// `POST /api/addons/{addon}/upgrade`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpgradeAddonRequest {
    pub version: String,
}

/// `POST /api/addons/{addon}/expose`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExposeAddonRequest {
    /// A port of the machine that the operator allowed with `hop3 server --tcp-ports`.
    pub port: u16,
}

/// `POST /api/addons/{addon}/restore`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreAddonRequest {
    /// What it held at this moment, Unix time in milliseconds.
    pub as_of_ms: u64,
    /// Into a new addon of this name; in place of what it holds now unless set.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub name: Option<AddonName>,
}

/// `POST /api/addons/{addon}/protect`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProtectAddonRequest {
    pub protected: bool,
}

/// `POST /api/addons/{addon}/rotate`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateAddonRequest {
    /// The former password ends at once, not when the last instance that knows it has ended.
    #[serde(default)]
    pub now: bool,
}

/// `PUT /api/addons/{addon}/credentials`
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetCredentialsRequest {
    /// As at its making: the address of an external service with its password.
    #[serde(with = "exposed")]
    #[schemars(with = "String")]
    pub secret: Secret<String>,
    /// The former one ends at once, not when the last instance that knows it has ended.
    #[serde(default)]
    pub now: bool,
}

/// `DELETE /api/addons/{addon}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestroyAddonRequest {
    /// The addon's name again.
    pub confirm: String,
    /// Without the days in which it can be brought back.
    #[serde(default)]
    pub now: bool,
}

/// An app that an addon is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddonApp {
    pub app: AppName,
    pub prefix: String,
    /// The app knows it by the plain names, `DATABASE_URL`, too.
    pub primary: bool,
}

/// `GET /api/addons`, one element.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AddonSummary {
    pub name: AddonName,
    pub kind: AddonKind,
    pub version: String,
    pub apps: Vec<AddonApp>,
    pub protected: bool,
    /// It was destroyed, and is gone for good then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_ms: Option<u64>,
    pub created_ms: u64,
}

/// `GET /api/addons/{addon}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AddonInfo {
    pub addon: AddonSummary,
    pub status: AddonStatus,
    /// The process it lives on, and whether other addons may live there too.
    pub server: String,
    pub shared: bool,
    pub port: u16,
    /// A port of the machine that leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed: Option<u16>,
    pub options: BTreeMap<String, String>,
    /// Names of what apps are told.
    pub variables: Vec<EnvKey>,
}

/// `GET /api/addons/{addon}/credentials`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AddonCredentials {
    pub variables: BTreeMap<EnvKey, String>,
}

/// `GET /api/addon-kinds`
pub type AddonKinds = Vec<KindFacts>;
