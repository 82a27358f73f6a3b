// SPDX-License-Identifier: Apache-2.0
//! Where the proxy says which service it holds requests for: its name on a line, a `Woken` comes back. Each question has
//! a thread of its own, since an app may take its time; the proxy asks once for all requests of an app.

use super::wake;
use crate::server::Server;
use anyhow::{Context, Result};
use hop3_core::name::AppName;
use hop3_core::route::Woken;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// No name of a service is as long.
const MAX_LINE: u64 = 1024;

/// Listens for as long as the process lives.
pub(crate) fn listen(server: &Arc<Server>) -> Result<()> {
    let path = server.layout.wake_socket();
    // The lock of the role is held: a socket that is there belongs to a predecessor that died.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| format!("listening on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
    let server = Arc::clone(server);
    let accept = move || {
        for connection in listener.incoming() {
            let server = Arc::clone(&server);
            let answer = |connection| {
                thread::Builder::new().name("wake".into()).spawn(move || answer(&server, connection))
            };
            if let Err(error) = connection.and_then(answer) {
                tracing::warn!(%error, "wake socket");
                thread::sleep(Duration::from_millis(50));
            }
        }
    };
    thread::Builder::new().name("wakes".into()).spawn(accept)?;
    Ok(())
}

fn answer(server: &Arc<Server>, connection: UnixStream) {
    let answered = read_name(&connection).and_then(|name| {
        let woken = match wake(server, &name) {
            Ok(()) => Woken::Done,
            Err(problem) => {
                tracing::info!(app = %name, problem = problem.title, "not woken");
                Woken::Failed
            }
        };
        let line = serde_json::to_string(&woken)? + "\n";
        (&connection).write_all(line.as_bytes())
    });
    if let Err(error) = answered {
        tracing::debug!(%error, "wake connection");
    }
}

fn read_name(connection: &UnixStream) -> io::Result<AppName> {
    let mut line = String::new();
    BufReader::new(connection.take(MAX_LINE)).read_line(&mut line)?;
    line.trim_end().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}
