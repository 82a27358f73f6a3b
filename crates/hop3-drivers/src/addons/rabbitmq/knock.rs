// SPDX-License-Identifier: Apache-2.0
//! Coming in as a client does: the first two frames of AMQP 0-9-1, and nothing else of it.

use super::super::door;
use hop3_core::addon::AddonServer;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Checking a password takes it a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a greeting may be long.
const MOST: u32 = 64 * 1024;

const START: [u8; 4] = [0, 10, 0, 10];
const TUNE: [u8; 4] = [0, 10, 0, 30];

/// Signs in; gives the server's version, where it says one.
pub(super) fn knock(server: &AddonServer, user: &str, password: &str) -> io::Result<Option<String>> {
    let mut stream = door::open(server, PATIENCE)?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    let greeting = frame(&mut stream)?;
    if !greeting.starts_with(&START) {
        return Err(io::Error::other("it does not speak AMQP"));
    }
    stream.write_all(&start_ok(user, password))?;
    match frame(&mut stream) {
        Ok(answer) if answer.starts_with(&TUNE) => Ok(version(&greeting)),
        Ok(_) => Err(io::Error::other("user or password are refused")),
        Err(e) => Err(e),
    }
}

/// The payload of the next frame: type, channel, length, payload, end.
fn frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    if length > MOST {
        return Err(io::Error::other("it does not speak AMQP"));
    }
    let mut payload = vec![0; length as usize + 1];
    stream.read_exact(&mut payload)?;
    payload.pop();
    Ok(payload)
}

/// Method, no properties, mechanism, what it says, locale.
fn start_ok(user: &str, password: &str) -> Vec<u8> {
    let says = format!("\0{user}\0{password}");
    let mut payload = vec![0, 10, 0, 11, 0, 0, 0, 0];
    payload.extend(b"\x05PLAIN");
    payload.extend((says.len() as u32).to_be_bytes());
    payload.extend(says.as_bytes());
    payload.extend(b"\x05en_US");
    let mut frame = vec![1, 0, 0];
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame.push(0xce);
    frame
}

/// A text among the server's properties.
fn version(greeting: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\x07versionS";
    let at = greeting.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let length = u32::from_be_bytes(greeting.get(at..at + 4)?.try_into().ok()?) as usize;
    String::from_utf8(greeting.get(at + 4..at + 4 + length)?.to_vec()).ok()
}
