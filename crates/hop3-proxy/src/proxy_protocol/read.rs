// SPDX-License-Identifier: Apache-2.0
//! A header taken off a connection, and not a byte more: what follows is for whoever serves the connection.

use super::Ends;
use super::header::{MAX_BYTES, Malformed, Said, parse};
use hop3_core::policy::Net;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// From whom a header comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Arc<[Net]>);

impl Rules {
    pub(crate) fn new(trusted: &[Net]) -> Rules {
        Rules(trusted.into())
    }

    pub(crate) fn wants_header(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(peer))
    }
}

/// The ends of a connection whose peer sends a header. The caller limits the time.
pub(crate) async fn read(tcp: &TcpStream) -> io::Result<Ends> {
    let own = Ends { source: tcp.peer_addr()?, destination: tcp.local_addr()? };
    let mut header = Vec::new();
    let mut piece = [0; 1024];
    loop {
        // Looked at before it is taken, since only the header may be.
        let room = piece.len().min(MAX_BYTES - header.len());
        let count = tcp.peek(&mut piece[..room]).await?;
        if count == 0 {
            return Err(refused(&Malformed("it ended within its header")));
        }
        let before = header.len();
        header.extend_from_slice(&piece[..count]);
        let (said, taken) = match parse(&header).map_err(|error| refused(&error))? {
            Some((said, whole)) => (Some(said), whole - before),
            None => (None, count),
        };
        take(tcp, &mut piece[..taken]).await?;
        match said {
            Some(Said::Proxied(ends)) => return Ok(ends),
            Some(Said::Own) => return Ok(own),
            None => {}
        }
    }
}

/// Takes bytes that are known to be there.
async fn take(tcp: &TcpStream, bytes: &mut [u8]) -> io::Result<()> {
    let mut taken = 0;
    while taken < bytes.len() {
        match tcp.try_read(&mut bytes[taken..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => taken += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => tcp.readable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn refused(error: &Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, *error)
}
