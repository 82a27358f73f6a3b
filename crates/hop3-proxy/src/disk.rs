// SPDX-License-Identifier: Apache-2.0
//! What makes a process the one proxy of its root: the lock on disk.

use crate::Options;
use hop3_core::lock::RoleLock;
use std::fs;

/// Another proxy works for this root.
#[derive(Debug, thiserror::Error)]
#[error("a proxy is already running for {root}")]
pub struct AlreadyRunning {
    pub root: String,
}

/// Takes the role's lock. A role that is not wanted any more ends as one that came second.
pub(crate) fn lock(options: &Options) -> anyhow::Result<RoleLock> {
    let layout = &options.layout;
    fs::create_dir_all(layout.run_of("proxy"))?;
    let is_wanted = || options.wanted.as_ref().is_none_or(|file| file.exists());
    let taken = RoleLock::take(&layout.lock_of("proxy"))?.filter(|_| is_wanted());
    Ok(taken.ok_or_else(|| AlreadyRunning { root: layout.root().display().to_string() })?)
}
