// SPDX-License-Identifier: Apache-2.0
//! `Progress`: how far a host name's certificate has come, on disk before it matters, so that a proxy that is killed
//! takes up the same order with the same key, and does not ask sooner than it should.

use super::fault::{Blame, Fault};
use super::renewal::Window;
use crate::cert::file;
use crate::limit::AcmeLimits;
use hop3_core::Problem;
use hop3_core::layout::Layout;
use hop3_core::secret::{Secret, exposed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    /// Orders under way, by the authority's directory.
    pub(super) orders: BTreeMap<String, Pending>,
    /// In a row.
    pub(super) failures: u32,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<Problem>,
    /// When that was. Unix time in milliseconds, as all times here.
    pub(super) failed_ms: u64,
    /// Nobody is asked before.
    pub(super) next_ms: u64,
    /// Authorities that are not asked for this name before a time, by directory.
    pub(super) held: BTreeMap<String, u64>,
    /// When the authority would have the certificate renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) window: Option<Window>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The certificate's key; made for this order alone.
    #[serde(with = "exposed")]
    pub(super) key_pem: Secret<String>,
    /// The order's address.
    pub(super) url: String,
}

impl Progress {
    pub(super) fn load(layout: &Layout, name: &str) -> Progress {
        file::load(&layout.acme_progress(name)).unwrap_or_default()
    }

    /// On a thread that may wait for the disk.
    pub(super) async fn save(&self, layout: &Layout, name: &str) -> Result<(), Fault> {
        let (path, progress) = (layout.acme_progress(name), self.clone());
        disk(move || file::save(&path, &progress))
            .await
            .map_err(|error| Fault::here(&format!("what is under way for {name}"), &error))
    }

    /// All is done. Were it lost, the order would be found done.
    pub(super) fn forget(layout: &Layout, name: &str) -> Result<(), Fault> {
        file::remove(&layout.acme_progress(name))
            .map_err(|error| Fault::here(&format!("what was under way for {name}"), &error))
    }

    /// Remembers a failure and when to try again: exponentially later, not all at the same moment, and never before
    /// the authority allows it.
    pub(super) fn failed(&mut self, fault: &Fault, limits: &AcmeLimits) {
        self.failures = self.failures.saturating_add(1);
        self.problem = Some(fault.problem.clone());
        let longest = match fault.blame {
            Blame::Away | Blame::Here => limits.longest_away,
            _ => limits.longest_retry,
        };
        let doubled = limits.first_retry.saturating_mul(1 << (self.failures - 1).min(20));
        let pause = jittered(doubled.min(longest)).max(fault.wait.unwrap_or_default());
        self.failed_ms = now_ms();
        self.next_ms = self.failed_ms + millis(pause);
    }
}

/// Work that waits for the disk; other orders go on meanwhile.
pub(super) async fn disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

pub(super) fn now_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

/// Four to six fifths of it.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.8 + 0.4 * random())
}

/// From 0 to 1.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without random numbers everybody waits equally long.
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok();
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX)
}
