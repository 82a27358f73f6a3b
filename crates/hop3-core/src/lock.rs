// SPDX-License-Identifier: Apache-2.0
//! The lock of a role: who holds it lives, and there is one of each role for a root.
//!
//! The kernel drops a lock (flock(2)) when its process ends, however it ends. So waiting for the lock is learning of
//! the death at once, without polling, and without pids that could be recycled. The file holds the holder's pid.

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Whoever asks whether a lock is held holds it for an instant; a role that starts just then must not give up.
const PATIENCE: Duration = Duration::from_millis(500);

/// A held lock; dropping it gives it back.
pub struct RoleLock {
    _file: File,
}

impl RoleLock {
    /// Takes the lock for this process; `None` when another process holds it.
    pub fn take(path: &Path) -> io::Result<Option<RoleLock>> {
        let mut file = open(path)?;
        let deadline = Instant::now() + PATIENCE;
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            if Instant::now() > deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        file.set_len(0)?;
        file.write_all(std::process::id().to_string().as_bytes())?;
        Ok(Some(RoleLock { _file: file }))
    }
}

/// Tells whether a process holds the lock.
pub fn is_held(path: &Path) -> bool {
    open(path).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
}

/// The pid of the holder.
pub fn holder(path: &Path) -> Option<u32> {
    if !is_held(path) {
        return None;
    }
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Waits until nobody holds the lock.
pub fn wait_until_free(path: &Path) -> io::Result<()> {
    Ok(flock(&open(path)?, FlockOperation::LockShared)?)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}
