// SPDX-License-Identifier: Apache-2.0
//! Alerts sent before there is a session that could send them (RFC 8446, 6).

use std::io;
use tokio::net::TcpStream;

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    /// What is wrong is on our side, and in the operator's log.
    InternalError = 80,
    /// Nobody here serves the host.
    UnrecognisedName = 112,
}

impl Alert {
    /// Sends it as far as the socket takes it at once: it is seven bytes.
    pub(super) fn send(self, tcp: &TcpStream) {
        const FATAL: u8 = 2;
        tcp.try_write(&[21, 3, 3, 0, 2, FATAL, self as u8]).ok();
    }
}

impl From<Alert> for io::Error {
    fn from(alert: Alert) -> io::Error {
        io::Error::other(format!("refused: {alert:?}"))
    }
}
