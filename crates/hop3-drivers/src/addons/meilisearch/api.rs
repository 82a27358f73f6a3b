// SPDX-License-Identifier: Apache-2.0
//! What the server's administrator asks it: requests of HTTP/1.0 with JSON, each on a connection of its own.

use super::super::door;
use hop3_core::addon::AddonServer;
use hop3_core::{Kind, Problem};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// It is on this machine, but may be at work with all it has.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at what it does: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];

/// What is read of an answer.
const ANSWER_BYTES: u64 = 16 * 1024 * 1024;

pub(super) struct Answer {
    pub(super) is_success: bool,
    pub(super) body: Value,
}

/// Asks; a refusal is an answer.
pub(super) fn ask(
    server: &AddonServer,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, Problem> {
    exchange(server, method, path, body).map_err(|error| {
        let title = format!("{} does not answer", server.name);
        Problem::new(Kind::Unavailable, "addon.no-answer", title).detail(error.to_string())
    })
}

/// Asks for something that must be done.
///
/// # Errors
/// `addon.client-failed` with what the server said.
pub(super) fn order(
    server: &AddonServer,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Problem> {
    let answer = ask(server, method, path, body)?;
    if answer.is_success { Ok(answer.body) } else { Err(refused(&answer.body)) }
}

/// The server is there and takes its master key.
pub(super) fn answers(server: &AddonServer) -> bool {
    exchange(server, "GET", "/version", None).is_ok_and(|answer| answer.is_success)
}

/// Twice as long each time: short work is seen at once, and long work is not asked without end.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Pause {
        Pause(PAUSES[0])
    }
}

impl Pause {
    fn take(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(PAUSES[1]);
    }
}

/// Waits until a task is over, and gives what came of it. As long as the server answers, it is at work.
pub(super) fn until_done(server: &AddonServer, number: u64) -> Result<Value, Problem> {
    let mut pause = Pause::default();
    loop {
        let task = order(server, "GET", &format!("/tasks/{number}"), None)?;
        match task["status"].as_str() {
            Some("enqueued" | "processing") => pause.take(),
            Some("succeeded") => return Ok(task),
            _ => return Err(refused(&task["error"])),
        }
    }
}

/// Waits until no task is left.
pub(super) fn until_idle(server: &AddonServer) -> Result<(), Problem> {
    let left = "/tasks?statuses=enqueued,processing&limit=1";
    let mut pause = Pause::default();
    while order(server, "GET", left, None)?["total"].as_u64() != Some(0) {
        pause.take();
    }
    Ok(())
}

fn refused(body: &Value) -> Problem {
    Problem::new(Kind::Unavailable, "addon.client-failed", "the server refuses")
        .detail(body["message"].as_str().unwrap_or("it does not say why").to_owned())
}

fn exchange(server: &AddonServer, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
    let mut stream = door::open(server, PATIENCE)?;
    let (key, body) = (server.password.expose(), body.map(Value::to_string).unwrap_or_default());
    let told = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n{told}\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    read(&answer)
}

fn read(answer: &[u8]) -> io::Result<Answer> {
    let cut = || io::Error::other("it gave no answer that Meilisearch would give");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(cut)?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let status = head.split(|byte| *byte == b' ').nth(1).ok_or_else(cut)?;
    // An order to remove something is answered by nothing.
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).map_err(|_| cut())? };
    Ok(Answer { is_success: status.starts_with(b"2"), body })
}
