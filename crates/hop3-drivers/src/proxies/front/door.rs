// SPDX-License-Identifier: Apache-2.0
//! `Door`: listening sockets that can be closed to newcomers for a moment. Nobody is refused: what they send is not
//! taken, and their systems send it again within a second.

use super::process::wait;
use hop3_proxy::Sockets;
use socket2::{SockFilter, SockRef};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Whoever has come in by then has been accepted and has said what they want.
const SETTLED: Duration = Duration::from_millis(100);
/// The one instruction of a filter that takes nothing: return 0 (`BPF_RET | BPF_K`).
const NOTHING: SockFilter = SockFilter::new(0x06, 0, 0, 0);

#[derive(Debug)]
pub(crate) struct Door(Vec<OwnedFd>);

/// The door is open again when this is gone.
pub(crate) struct Closed<'a>(&'a Door);

impl Door {
    pub(crate) fn of(sockets: &Sockets) -> io::Result<Door> {
        let all = sockets.http.iter().chain(&sockets.https);
        Ok(Door(all.map(OwnedFd::try_clone).collect::<io::Result<_>>()?))
    }

    /// Returns when those who came in before are inside.
    pub(crate) fn close(&self) -> io::Result<Closed<'_>> {
        let closed = Closed(self);
        for socket in &self.0 {
            SockRef::from(socket).attach_filter(&[NOTHING])?;
        }
        wait(SETTLED, || false);
        Ok(closed)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        for socket in &self.0.0 {
            // It had none when attaching failed.
            let _ = SockRef::from(socket).detach_filter();
        }
    }
}
