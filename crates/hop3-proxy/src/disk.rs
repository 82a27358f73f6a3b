// SPDX-License-Identifier: Apache-2.0
//! What the proxy keeps on disk: its lock, and its last table so that it can start while nobody can tell it one.
//!
//! Invariant: the table's file is always one whole version: written beside, synced, renamed.

use crate::table::LiveService;
use hop3_core::layout::Layout;
use hop3_core::route::{RouteTable, Service};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Write};
use std::sync::Arc;

/// Another proxy works for this root.
#[derive(Debug, thiserror::Error)]
#[error("a proxy is already running for {root}")]
pub struct AlreadyRunning {
    pub root: String,
}

/// Held as long as the value lives, and by no longer living process.
pub(crate) struct Lock(#[expect(dead_code, reason = "closing the file releases the lock")] File);

pub(crate) fn lock(layout: &Layout) -> anyhow::Result<Lock> {
    let folder = layout.run_of("proxy");
    fs::create_dir_all(&folder)?;
    let file = File::options().create(true).append(true).open(folder.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(AlreadyRunning { root: layout.root().display().to_string() }.into())
        }
        Err(error) => Err(error.into()),
    }
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

pub(crate) fn save(layout: &Layout, services: &[Arc<LiveService>]) -> io::Result<()> {
    let path = layout.proxy_table();
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    let table = Saved { services: services.iter().map(|service| &service.source).collect() };
    let mut bytes = serde_json::to_vec(&table)?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, &path)
}
