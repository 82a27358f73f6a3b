// SPDX-License-Identifier: Apache-2.0
//! Connections to a server's port, for whoever is going to say a password there: what listens must be the server's own
//! process. Ports belong to nobody, and an app that takes one while its server is away would be told all of them.

use hop3_core::addon::AddonServer;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Connects; reading and writing give up after that time.
pub(super) fn open(server: &AddonServer, patience: Duration) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    match server.user {
        // Without users of their own everything is the same one's.
        Some(user) if listener(server.port)? != Some(user) => {
            Err(io::Error::other("another user's process has its port"))
        }
        _ => Ok(stream),
    }
}

/// Whose socket listens at that port of 127.0.0.1, by `/proc/net/tcp`, proc_pid_net(5).
fn listener(port: u16) -> io::Result<Option<u32>> {
    const LISTEN: &str = "0A";
    let local = format!("{:08X}:{port:04X}", u32::from_ne_bytes([127, 0, 0, 1]));
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let user = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = fields.get(1) == Some(&local.as_str()) && fields.get(3) == Some(&LISTEN);
        if is_it { fields.get(7)?.parse().ok() } else { None }
    };
    Ok(table.lines().find_map(user))
}
