// SPDX-License-Identifier: Apache-2.0
//! `Event`: something that happened, told to users. Stored, streamed to the pusher's terminal and the dashboard
//! from the same row; build output is events too.

use crate::acme::Waiting;
use crate::backup::BackupId;
use crate::name::{AddonKind, AddonName, VolumeName, VolumePath};
use crate::problem::Problem;
use crate::release::ReleaseNumber;
use crate::sleep::Sleep;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stages of a deployment, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeployStep {
    Checkout,
    Configure,
    Plan,
    Build,
    Bind,
    Release,
    Start,
    Healthy,
    Switch,
    Retire,
}

impl DeployStep {
    pub const ALL: [DeployStep; 10] = [
        DeployStep::Checkout,
        DeployStep::Configure,
        DeployStep::Plan,
        DeployStep::Build,
        DeployStep::Bind,
        DeployStep::Release,
        DeployStep::Start,
        DeployStep::Healthy,
        DeployStep::Switch,
        DeployStep::Retire,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            DeployStep::Checkout => "checkout",
            DeployStep::Configure => "configure",
            DeployStep::Plan => "plan",
            DeployStep::Build => "build",
            DeployStep::Bind => "bind",
            DeployStep::Release => "release",
            DeployStep::Start => "start",
            DeployStep::Healthy => "healthy",
            DeployStep::Switch => "switch",
            DeployStep::Retire => "retire",
        }
    }
}

/// What happened. Tagged by `kind` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    AppCreated,
    AppRenamed {
        from: String,
    },
    AppStopped,
    AppStarted,
    DeploymentStarted {
        source: String,
    },
    StepStarted {
        step: DeployStep,
    },
    /// A line of a step: build output, a note.
    StepOutput {
        step: DeployStep,
        text: String,
    },
    StepFinished {
        step: DeployStep,
        millis: u64,
    },
    StepFailed {
        step: DeployStep,
        problem: Problem,
    },
    /// A compensation of a failed deployment ran.
    StepUndone {
        text: String,
    },
    /// Worth telling, nothing failed.
    Warned {
        text: String,
    },
    DeploymentSucceeded {
        release: ReleaseNumber,
        url: String,
        millis: u64,
    },
    DeploymentFailed {
        problem: Problem,
        millis: u64,
    },
    /// Found half-way at start: the server had ended in the middle of it.
    DeploymentInterrupted,
    ReleaseCreated {
        release: ReleaseNumber,
        reason: String,
    },
    RolledBack {
        to: ReleaseNumber,
        release: ReleaseNumber,
    },
    Scaled {
        process: String,
        from: u32,
        to: u32,
    },
    ConfigChanged {
        keys: Vec<String>,
    },
    /// Keys of `[proxy]` were set or unset by hand.
    ProxyChanged {
        keys: Vec<String>,
    },
    /// An addon was made.
    AddonCreated {
        addon: AddonName,
        addon_kind: AddonKind,
    },
    /// An app is told of an addon from now on.
    AddonBound {
        addon: AddonName,
    },
    AddonUnbound {
        addon: AddonName,
    },
    /// It has another password; apps are told.
    AddonRotated {
        addon: AddonName,
    },
    /// It is gone for good then, unless somebody brings it back.
    AddonDestroyed {
        addon: AddonName,
        gone_ms: u64,
    },
    /// An app sees a volume there from now on.
    VolumeAttached {
        volume: VolumeName,
        path: VolumePath,
    },
    VolumeDetached {
        volume: VolumeName,
    },
    /// It is gone for good then, unless somebody brings it back.
    VolumeDestroyed {
        volume: VolumeName,
        gone_ms: u64,
    },
    /// It holds nearly as much as it should, or more.
    VolumeFilled {
        volume: VolumeName,
        used_bytes: u64,
        size_bytes: u64,
    },
    InstanceStarted {
        instance: String,
    },
    InstanceExited {
        instance: String,
        how: String,
    },
    InstanceCrashed {
        instance: String,
        how: String,
    },
    /// The end of a certificate is near, and nobody has replaced it.
    CertificateExpiryWarned {
        name: String,
        days: u64,
        not_after_ms: u64,
        /// What went wrong when another was asked for, and when that is tried again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waiting: Option<Waiting>,
    },
    /// Nobody had asked for so long that it was frozen or stopped.
    InstanceSlept {
        instance: String,
        level: Sleep,
    },
    /// A request came, or a person; `millis` until it could answer.
    InstanceWoke {
        instance: String,
        millis: u64,
    },
    WakeFailed {
        problem: Problem,
    },
    CronStarted {
        command: String,
    },
    CronFinished {
        command: String,
        how: String,
    },
    BackupMade {
        backup: BackupId,
        bytes: u64,
    },
    BackupFailed {
        problem: Problem,
    },
    BackupRestored {
        backup: BackupId,
    },
    /// It was restored into a scratch place and found whole.
    BackupProven {
        backup: BackupId,
    },
    BackupNotProven {
        backup: BackupId,
        problem: Problem,
    },
}

impl Event {
    /// The word on the wire: `deployment-failed`.
    pub fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["kind"].as_str().unwrap_or_default().to_owned()
    }
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventRow {
    /// Grows with time; a reader asks for what came after the last it has seen.
    pub id: i64,
    /// Unix time in milliseconds.
    pub time_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<i64>,
    pub event: Event,
}
