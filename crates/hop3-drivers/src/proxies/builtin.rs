// SPDX-License-Identifier: Apache-2.0
//! `Builtin`: Hop3's own proxy, told over its control socket. One JSON request and one answer per line.
//!
//! Invariant: a call that returns well was answered by the proxy. While the proxy is being restarted, calls wait for
//! it; every call may be repeated, so one that broke off half-way is simply made again.

mod authorities;
mod certificates;

use hop3_core::driver::{Drained, Proxy, ProxyStatus};
use hop3_core::layout::Layout;
use hop3_core::observe::RouteFigures;
use hop3_core::route::{RouteTable, Service};
use hop3_core::{Kind, Problem};
use hop3_proxy::control::{Answer, Request};
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// How long a proxy that is being restarted is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// A proxy that took a request and says nothing is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Builtin {
    socket: PathBuf,
    /// Connections nobody uses at the moment. Drains take minutes, so each call has a connection of its own.
    idle: Mutex<Vec<BufReader<UnixStream>>>,
}

impl Builtin {
    pub fn new(layout: &Layout) -> Builtin {
        Builtin { socket: layout.proxy_socket(), idle: Mutex::default() }
    }

    /// Asks until there is an answer. `wait` is how long the proxy may think.
    fn ask(&self, request: &Request<'_>, wait: Duration) -> Result<Answer, Problem> {
        let line = serde_json::to_string(request).map_err(|error| malformed(&error.to_string()))? + "\n";
        let begun = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            let error = match self.ask_once(&line, wait) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let is_stuck = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
            if error.kind() == io::ErrorKind::InvalidData {
                return Err(malformed(&error.to_string()));
            }
            if is_stuck || begun.elapsed() >= PATIENCE + wait.saturating_sub(ANSWER_TIMEOUT) {
                return Err(self.away(&error));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn ask_once(&self, line: &str, wait: Duration) -> io::Result<Answer> {
        let kept = self.idle().pop();
        let mut connection = match kept {
            Some(kept) => kept,
            None => BufReader::new(UnixStream::connect(&self.socket)?),
        };
        connection.get_ref().set_read_timeout(Some(wait))?;
        connection.get_mut().write_all(line.as_bytes())?;
        let mut answer = String::new();
        if connection.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let answer = serde_json::from_str(&answer)?;
        self.idle().push(connection);
        Ok(answer)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<BufReader<UnixStream>>> {
        self.idle.lock().expect("no code that holds this lock panics")
    }

    fn change(&self, request: &Request<'_>) -> Result<(), Problem> {
        match self.ask(request, ANSWER_TIMEOUT)? {
            Answer::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    fn away(&self, error: &io::Error) -> Problem {
        Problem::new(Kind::Unavailable, "proxy.away", "the proxy does not answer")
            .detail(format!("{}: {error}", self.socket.display()))
            .hint("see whether it runs with: hop3 doctor")
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Kind::Bug, "proxy.protocol", "the proxy and its client do not understand each other")
        .detail(detail)
        .hint("restart the proxy, it may be of another version: hop3 proxy")
}

fn unexpected(answer: Answer) -> Problem {
    match answer {
        Answer::Problem(problem) => problem,
        Answer::Refused(why) => {
            Problem::new(Kind::Conflict, "proxy.refused", "the proxy refuses the change").detail(why)
        }
        other => malformed(&format!("{other:?}")),
    }
}

impl Proxy for Builtin {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn apply(&self, table: &RouteTable) -> Result<(), Problem> {
        self.change(&Request::Replace { table: Cow::Borrowed(table) })
    }

    fn put(&self, service: &Service) -> Result<(), Problem> {
        self.change(&Request::Put { service: Cow::Borrowed(service) })
    }

    fn remove(&self, service: &str) -> Result<(), Problem> {
        self.change(&Request::Remove { name: service.to_owned() })
    }

    fn drain(&self, upstreams: &[String], deadline: Duration) -> Result<Drained, Problem> {
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let request = Request::Drain { upstreams: upstreams.to_vec(), deadline_ms };
        match self.ask(&request, deadline + ANSWER_TIMEOUT)? {
            Answer::Drained(drained) => Ok(drained),
            other => Err(unexpected(other)),
        }
    }

    fn figures(&self) -> Result<Vec<RouteFigures>, Problem> {
        match self.ask(&Request::Figures, ANSWER_TIMEOUT)? {
            Answer::Figures(figures) => Ok(figures),
            other => Err(unexpected(other)),
        }
    }

    fn status(&self) -> Result<ProxyStatus, Problem> {
        match self.ask(&Request::Status, ANSWER_TIMEOUT)? {
            Answer::Status(status) => Ok(status),
            other => Err(unexpected(other)),
        }
    }
}

#[cfg(test)]
mod tests;
