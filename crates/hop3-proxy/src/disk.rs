// SPDX-License-Identifier: Apache-2.0
//! What the proxy keeps on disk: its lock, and its last table so that it can start while nobody can tell it one.
//!
//! Invariant: the table's file is always one whole version: written beside, synced, renamed.

use crate::Options;
use hop3_core::layout::Layout;
use hop3_core::lock::RoleLock;
use hop3_core::route::{RouteTable, Service};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

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

/// The last table; empty when there is none. A damaged one is told and left aside: serving nothing is better than
/// not starting, since the server sends its own table as soon as it can.
pub(crate) fn load(layout: &Layout) -> RouteTable {
    let path = layout.proxy_table();
    let read = fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    read.unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::error!(path = %path.display(), %error, "the saved route table cannot be read");
        }
        RouteTable::default()
    })
}

/// `RouteTable` without a copy of it.
#[derive(Serialize)]
struct Saved<'a> {
    services: Vec<&'a Service>,
}

pub(crate) fn save(layout: &Layout, services: Vec<&Service>) -> io::Result<()> {
    let path = layout.proxy_table();
    let beside = path.with_extension("new");
    // It holds what visitors' passwords are checked by.
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let mut bytes = serde_json::to_vec(&Saved { services })?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, &path)
}
