// SPDX-License-Identifier: Apache-2.0
//! Requests and answers about volumes.

use crate::name::{AppName, SnapshotName, VolumeName, VolumePath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /api/storage`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVolumeRequest {
    pub name: VolumeName,
    /// How much it should hold at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// `POST /api/storage/{volume}/attach`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachVolumeRequest {
    pub app: AppName,
    pub path: VolumePath,
}

/// `POST /api/storage/{volume}/detach`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetachVolumeRequest {
    pub app: AppName,
}

/// `DELETE /api/storage/{volume}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestroyVolumeRequest {
    /// The volume's name again.
    pub confirm: String,
    /// Without the days in which it can be brought back.
    #[serde(default)]
    pub now: bool,
}

/// `POST /api/storage/{volume}/snapshots`
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotVolumeRequest {
    /// `at-` and the time when nothing is said.
    #[serde(default)]
    pub name: Option<SnapshotName>,
}

/// What a volume held at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeSnapshot {
    pub name: SnapshotName,
    pub created_ms: u64,
}

/// An app that sees a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeMount {
    pub app: AppName,
    pub path: VolumePath,
    /// Its files are the app's own, and it alone writes.
    pub owner: bool,
}

/// `GET /api/storage`, one element, and `GET /api/storage/{volume}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VolumeInfo {
    pub name: VolumeName,
    /// How much it should hold at most; nothing keeps it from holding more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// What its files take on the disk now; nothing when that could not be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    pub apps: Vec<VolumeMount>,
    /// The oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<VolumeSnapshot>,
    /// Where it lies on the server.
    pub directory: String,
    /// It was destroyed, and is gone for good then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_ms: Option<u64>,
    pub created_ms: u64,
}
