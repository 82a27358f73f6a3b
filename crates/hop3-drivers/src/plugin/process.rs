// SPDX-License-Identifier: Apache-2.0
//! `Process`: a running program and the lines to and from it. Every wait has a deadline, every answer a bound.
//!
//! Dropping it ends the program with everything it started.

use super::problem::Failure;
use hop3_core::driver::{Attached, Exit};
use hop3_core::plugin::{Answer, MAX_LINE_BYTES, Request};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use serde_json::Value;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Lines that are no answers, in one call.
const MAX_OTHER_LINES: usize = 1_000;
/// Before an end is told the supervisor is given this time to say how it was.
const LAST_WORD: Duration = Duration::from_secs(1);
const KILL: i32 = 9;
/// What is read of stderr at once, and how often at most: about 3 MB/s.
const ERROR_BYTES: usize = 64 << 10;
const ERROR_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Process {
    stream: UnixStream,
    signal: Box<dyn Fn(i32) + Send + Sync>,
    ended: Receiver<String>,
    received: Vec<u8>,
    next: u64,
}

impl Process {
    /// Takes over a program that was just started; `note` gets what it writes to stderr.
    pub(super) fn new(attached: Attached, note: impl Fn(&str) + Send + 'static) -> Process {
        let Attached { stream, errors, wait, signal } = attached;
        let (end, ended) = channel();
        std::thread::spawn(move || {
            if let Some(errors) = errors {
                pump(errors, &note);
            }
            let how = wait().as_ref().map_or_else(|problem| problem.title.clone(), Exit::to_string);
            // Nobody may be waiting for it.
            let _ = end.send(how);
        });
        Process { stream: stream.into(), signal, ended, received: Vec::new(), next: 1 }
    }

    /// Tells whether it is there still: one that ended while nobody asked it has failed nobody.
    pub(super) fn is_alive(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(&self.stream, &mut [0; 1][..], flags) {
            Ok((length, _)) => length > 0,
            Err(error) => error == Errno::AGAIN,
        }
    }

    /// Asks, and waits for the answer.
    pub(super) fn call(&mut self, method: &str, params: Value, within: Duration) -> Result<Value, Failure> {
        let deadline = Instant::now() + within;
        let id = self.next;
        self.next += 1;
        let mut line = serde_json::to_vec(&Request::new(id, method, params)).unwrap_or_default();
        line.push(b'\n');
        self.send(&line, deadline, within)?;
        for _ in 0..MAX_OTHER_LINES {
            let line = self.line(deadline, within)?;
            let answer: Answer = serde_json::from_slice(&line).map_err(|error| bad(&error, &line))?;
            match answer.id {
                // A notification: nothing that we would have to know.
                None if answer.error.is_none() => {}
                Some(answered) if answered == id && answer.jsonrpc == "2.0" => {
                    return answer.error.map_or(Ok(answer.result), |error| Err(Failure::Refused(error)));
                }
                _ => return Err(bad(&format!("it is no answer to the request {id}"), &line)),
            }
        }
        Err(Failure::Flooded(format!("{MAX_OTHER_LINES} lines, and no answer among them")))
    }

    fn send(&mut self, line: &[u8], deadline: Instant, within: Duration) -> Result<(), Failure> {
        let mut rest = line;
        while !rest.is_empty() {
            let left = left(deadline, within)?;
            self.stream.set_write_timeout(Some(left)).map_err(|error| Failure::Ended(error.to_string()))?;
            match self.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if is_wait(&error) => {}
                Err(_) => return Err(self.end()),
            }
        }
        Ok(())
    }

    fn line(&mut self, deadline: Instant, within: Duration) -> Result<Vec<u8>, Failure> {
        let mut searched = 0;
        let mut buffer = [0; 16 << 10];
        loop {
            if let Some(end) = self.received[searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.received.split_off(searched + end + 1);
                return Ok(std::mem::replace(&mut self.received, rest));
            }
            searched = self.received.len();
            if searched > MAX_LINE_BYTES {
                return Err(Failure::Flooded(format!("a line of more than {MAX_LINE_BYTES} bytes")));
            }
            let left = left(deadline, within)?;
            self.stream.set_read_timeout(Some(left)).map_err(|error| Failure::Ended(error.to_string()))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(self.end()),
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if is_wait(&error) => {}
                Err(_) => return Err(self.end()),
            }
        }
    }

    /// The stream is closed: says how it ended.
    fn end(&self) -> Failure {
        let how = self.ended.recv_timeout(LAST_WORD);
        Failure::Ended(how.unwrap_or_else(|_| "it closed its standard streams".to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        (self.signal)(KILL);
    }
}

fn left(deadline: Instant, within: Duration) -> Result<Duration, Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Failure::TimedOut(within)) } else { Ok(left) }
}

fn is_wait(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn bad(why: &dyn std::fmt::Display, line: &[u8]) -> Failure {
    let shown: String = String::from_utf8_lossy(line).trim_end().chars().take(200).collect();
    Failure::BadAnswer(format!("{why}\nthe answer: {shown}"))
}

/// Notes whole chunks, so that a flood is one note for many lines, and slows it down.
fn pump(errors: OwnedFd, note: &dyn Fn(&str)) {
    let mut errors = File::from(errors);
    let mut buffer = vec![0; ERROR_BYTES];
    let mut kept = Vec::new();
    while let Ok(length @ 1..) = errors.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..length]);
        let whole = kept.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let whole = if kept.len() >= ERROR_BYTES { kept.len() } else { whole };
        if whole > 0 {
            note(&String::from_utf8_lossy(&kept[..whole]));
            kept.drain(..whole);
        }
        if length == ERROR_BYTES {
            std::thread::sleep(ERROR_PAUSE);
        }
    }
    if !kept.is_empty() {
        note(&String::from_utf8_lossy(&kept));
    }
}
