// SPDX-License-Identifier: Apache-2.0
//! The lock of a role: who holds it lives, and there is one of each role for a root.
//!
//! The kernel drops a lock (flock(2)) when its process ends, however it ends. So waiting for the lock is learning of
//! the death at once, without polling, and without pids that could be recycled. The file holds the holder's pid.

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Whoever asks whether a lock is held holds it for an instant; a role that starts just then must not give up.
const PATIENCE: Duration = Duration::from_millis(500);

/// A held lock; dropping it gives it back, unless another process was handed it.
pub struct RoleLock {
    file: File,
}

impl AsFd for RoleLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl RoleLock {
    /// Takes the lock for this process; `None` when another process holds it.
    pub fn take(path: &Path) -> io::Result<Option<RoleLock>> {
        let file = open(path)?;
        let deadline = Instant::now() + PATIENCE;
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            if Instant::now() > deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let lock = RoleLock { file };
        lock.sign()?;
        Ok(Some(lock))
    }

    /// A lock that its holder passed to this process: both hold it, until both have let it go.
    pub fn handed(descriptor: OwnedFd) -> RoleLock {
        RoleLock { file: descriptor.into() }
    }

    /// Says that this process is the holder.
    pub fn sign(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(std::process::id().to_string().as_bytes(), 0)
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
