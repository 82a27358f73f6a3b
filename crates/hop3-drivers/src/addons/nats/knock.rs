// SPDX-License-Identifier: Apache-2.0
//! Coming in as a client does: the greeting of NATS' protocol, and nothing else of it.

use super::super::door;
use hop3_core::addon::AddonServer;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::time::Duration;

/// It is on this machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// Signs in; gives the server's version.
pub(super) fn knock(server: &AddonServer, user: &str, password: &str) -> io::Result<String> {
    let stream = door::open(server, PATIENCE)?;
    let mut lines = BufReader::new(&stream).lines();
    let mut next = || lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
    let greeting = next()?;
    let info = greeting.strip_prefix("INFO ").ok_or_else(|| io::Error::other("it does not speak NATS"))?;
    let info: Value = serde_json::from_str(info).map_err(io::Error::other)?;
    let connect = json!({ "user": user, "pass": password, "verbose": false, "lang": "hop3", "version": "1" });
    (&stream).write_all(format!("CONNECT {connect}\r\nPING\r\n").as_bytes())?;
    match next()? {
        answer if answer == "PONG" => Ok(info["version"].as_str().unwrap_or_default().to_owned()),
        answer => Err(io::Error::other(answer)),
    }
}

pub(super) fn comes_in(server: &AddonServer, user: &str, password: &str) -> bool {
    knock(server, user, password).is_ok()
}
