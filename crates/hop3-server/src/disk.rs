// SPDX-License-Identifier: Apache-2.0
//! Room on the disk that holds the root. Work that writes much does not begin while little is left, so that what is
//! small and matters, the database and logs, still finds room; a disk that fills in its middle is told in the same
//! words.

use hop3_core::layout::Layout;
use hop3_core::problem::{Kind, Problem};
use rustix::io::Errno;
use std::error::Error;
use std::io;

/// Below this nothing is deployed.
const RESERVE: u64 = 16 << 20;

/// Bytes that can still be written beneath the root.
pub(crate) fn room(layout: &Layout) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(layout.root())?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Refuses work that writes much when there is hardly any room for it.
pub(crate) fn require_room(layout: &Layout) -> Result<(), Problem> {
    match room(layout) {
        Ok(room) if room < RESERVE => {
            Err(full().detail(format!("{} MB are left in {}", room / 1_000_000, layout.root().display())))
        }
        // A disk that cannot be asked says more when it is written to.
        _ => Ok(()),
    }
}

pub(crate) fn full() -> Problem {
    Problem::new(Kind::Unavailable, "server.disk-full", "the server's disk is full")
        .hint("make room on it, then do the same again; see how much there is with: hop3 doctor")
}

/// Whether an error, or one that caused it, says that there is no room.
pub(crate) fn is_full(mut error: &(dyn Error + 'static)) -> bool {
    while !says_full(error) {
        match error.source() {
            Some(cause) => error = cause,
            None => return false,
        }
    }
    true
}

fn says_full(error: &(dyn Error + 'static)) -> bool {
    let system = error.downcast_ref::<Errno>().copied();
    let system = system.or_else(|| error.downcast_ref::<io::Error>().and_then(Errno::from_io_error));
    let database = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    matches!(system, Some(Errno::NOSPC | Errno::DQUOT)) || database == Some(rusqlite::ErrorCode::DiskFull)
}
