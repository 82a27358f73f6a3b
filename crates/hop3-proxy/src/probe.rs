// SPDX-License-Identifier: Apache-2.0
//! Active health: one thread asks every upstream of a pool with a health path, every few seconds. What does not
//! answer below 500 is left out of the balance until it does.

use crate::Shared;
use crate::http2;
use crate::limit::Limits;
use crate::upstream::Upstream;
use hop3_core::route::{Address, Speaks};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Weak;
use std::thread;
use std::time::Duration;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(2);

/// Asks until the proxy is gone.
pub(crate) fn start(shared: Weak<Shared>, limits: &Limits) -> io::Result<()> {
    let interval = limits.probe_interval;
    let rounds = move || {
        loop {
            thread::sleep(interval);
            let Some(shared) = shared.upgrade() else { return };
            let pools = shared.registry.probed();
            drop(shared);
            for pool in pools {
                let path = pool.health_path.as_deref().unwrap_or("/");
                for upstream in &pool.upstreams {
                    let status = match pool.speaks {
                        Speaks::Http1 => ask_http1(upstream, path),
                        Speaks::H2c => ask_h2c(upstream, path),
                    };
                    upstream.probed(status.is_ok_and(|status| (100..500).contains(&status)));
                }
            }
        }
    };
    thread::Builder::new().name("probe".into()).spawn(rounds).map(|_| ())
}

fn ask_h2c(upstream: &Upstream, path: &str) -> io::Result<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async { timeout(PATIENCE, http2::ask(&upstream.address, path)).await? })
}

fn ask_http1(upstream: &Upstream, path: &str) -> io::Result<u16> {
    match &upstream.address {
        Address::Tcp(address) => TcpStream::connect_timeout(address, PATIENCE).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            ask(stream, path)
        }),
        Address::Unix(socket) => UnixStream::connect(socket).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            ask(stream, path)
        }),
    }
}

/// The status of a GET, read from the first line alone.
fn ask(mut stream: impl Read + Write, path: &str) -> io::Result<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: hop3-health\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut line = [0; 12];
    stream.read_exact(&mut line)?;
    let status = line.strip_prefix(b"HTTP/1.").and_then(|rest| std::str::from_utf8(&rest[2..]).ok());
    status.and_then(|digits| digits.parse().ok()).ok_or(io::ErrorKind::InvalidData.into())
}
