// SPDX-License-Identifier: Apache-2.0
//! The supervisor's client: blocking, one connection per request.
//!
//! While the supervisor is being started again requests wait for it. All but one-off commands mean the same when
//! they are asked twice, so those that were cut off are asked again.

mod runner;

use crate::problem::{bad_request, unreachable};
use crate::protocol::{Answer, Change, LogRequest, Request, Spec, Status};
use hop3_core::Problem;
use hop3_core::driver::LogLine;
use serde::Serialize;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const RESTART_PATIENCE: Duration = Duration::from_secs(5);
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Followers are sent something every second: a longer silence is a dead supervisor.
const SILENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    /// Asked once: a supervisor does not change its user, and a wrong "no" would start a job without its own user.
    is_privileged: Arc<OnceLock<bool>>,
}

impl Client {
    pub fn new(socket: impl Into<PathBuf>) -> Client {
        Client { socket: socket.into(), is_privileged: Arc::default() }
    }

    /// Tells whether a supervisor answers now.
    pub fn is_alive(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok_and(|stream| {
            let timeout = stream.set_read_timeout(Some(SILENCE));
            let mut exchange = Exchange { reader: BufReader::new(stream) };
            timeout.is_ok() && exchange.send(&Request::Hello).is_ok() && exchange.receive().is_ok()
        })
    }

    /// Starts what does not run yet. Returns when all have been started once.
    ///
    /// # Errors
    /// `run.not-started` for the first that cannot be; the others run.
    pub fn start(&self, specs: Vec<Spec>) -> Result<(), Problem> {
        self.done(&Request::Start { specs })
    }

    /// Stops and forgets these. Absent is fine.
    pub fn stop(&self, ids: Vec<String>) -> Result<(), Problem> {
        self.done(&Request::Stop { ids })
    }

    pub fn restart(&self, id: &str) -> Result<(), Problem> {
        self.done(&Request::Restart { id: id.to_owned() })
    }

    /// Takes the CPU from every process of an instance. One that is frozen already stays so.
    ///
    /// # Errors
    /// That it does not run.
    pub fn freeze(&self, id: &str) -> Result<(), Problem> {
        self.done(&Request::Freeze { id: id.to_owned() })
    }

    /// Lets these go on. Those that are not frozen, or not there, are left as they are.
    pub fn thaw(&self, ids: Vec<String>) -> Result<(), Problem> {
        self.done(&Request::Thaw { ids })
    }

    /// The instances of a group, or all.
    pub fn status(&self, group: Option<&str>) -> Result<Vec<Status>, Problem> {
        match self.call(&Request::Status { group: group.map(str::to_owned) })? {
            Answer::Instances(instances) => Ok(instances),
            other => Err(unexpected(&other)),
        }
    }

    pub fn logs(&self, request: &LogRequest) -> Result<Vec<LogLine>, Problem> {
        let mut exchange = self.connect()?;
        self.told(exchange.send(&Request::Logs(request.clone())))?;
        let mut lines = Vec::new();
        loop {
            match self.told(exchange.receive())? {
                Answer::Line(line) => lines.push(line),
                Answer::Done => return Ok(lines),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Gives lines as they come, and an empty one at least every second, until `session` returns false.
    pub fn follow(&self, group: &str, session: &mut dyn FnMut(LogLine) -> bool) -> Result<(), Problem> {
        let request = Request::Follow { group: group.to_owned() };
        self.stream(&request, &mut |answer| match answer {
            Answer::Line(line) => session(line),
            _ => true,
        })
    }

    /// Gives changes as they happen, and `None` at least every second (then and at first, what was missed is only
    /// in the status), until `session` returns false.
    pub fn events(&self, session: &mut dyn FnMut(Option<Change>) -> bool) -> Result<(), Problem> {
        self.stream(&Request::Events, &mut |answer| match answer {
            Answer::Change(change) => session(Some(change)),
            _ => session(None),
        })
    }

    /// Appends a line to a group's log.
    pub fn note(&self, group: &str, name: &str, text: &str) -> Result<(), Problem> {
        self.done(&Request::Note { group: group.into(), name: name.into(), text: text.into() })
    }

    /// Removes a group's log.
    pub fn forget(&self, group: &str) -> Result<(), Problem> {
        self.done(&Request::Forget { group: group.to_owned() })
    }

    /// Stops every instance and ends the supervisor.
    pub fn shutdown(&self) -> Result<(), Problem> {
        self.done(&Request::Shutdown)
    }

    fn done(&self, request: &Request) -> Result<(), Problem> {
        match self.call(request)? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// One request, one answer; asked again when the supervisor goes away before it answers.
    fn call(&self, request: &Request) -> Result<Answer, Problem> {
        let deadline = Instant::now() + RESTART_PATIENCE;
        loop {
            let mut exchange = self.connect()?;
            match exchange.send(request).and_then(|()| exchange.receive()) {
                Ok(Answer::Problem(problem)) => return Err(problem),
                Ok(answer) => return Ok(answer),
                Err(_) if Instant::now() < deadline => std::thread::sleep(RETRY_PAUSE),
                Err(error) => return Err(unreachable(&self.socket, error)),
            }
        }
    }

    fn stream(&self, request: &Request, each: &mut dyn FnMut(Answer) -> bool) -> Result<(), Problem> {
        let mut exchange = self.connect()?;
        self.told(exchange.reader.get_ref().set_read_timeout(Some(SILENCE)))?;
        self.told(exchange.send(request))?;
        loop {
            match self.told(exchange.receive())? {
                Answer::Problem(problem) => return Err(problem),
                Answer::Done => return Ok(()),
                answer => {
                    if !each(answer) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn connect(&self) -> Result<Exchange, Problem> {
        let deadline = Instant::now() + RESTART_PATIENCE;
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => return Ok(Exchange { reader: BufReader::new(stream) }),
                Err(error) if is_passing(&error) && Instant::now() < deadline => {
                    std::thread::sleep(RETRY_PAUSE);
                }
                Err(error) => return Err(unreachable(&self.socket, error)),
            }
        }
    }

    fn told<T>(&self, outcome: io::Result<T>) -> Result<T, Problem> {
        outcome.map_err(|error| unreachable(&self.socket, error))
    }

    fn socket(&self) -> &Path {
        &self.socket
    }
}

/// What a supervisor that is being started again looks like.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
    matches!(error.kind(), ConnectionRefused | NotFound | WouldBlock)
}

fn unexpected(answer: &Answer) -> Problem {
    match answer {
        Answer::Problem(problem) => problem.clone(),
        other => bad_request(format!("unexpected answer {other:?}")),
    }
}

/// One connection.
struct Exchange {
    reader: BufReader<UnixStream>,
}

impl Exchange {
    fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        send(self.reader.get_ref(), message)
    }

    fn receive(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

fn send(mut stream: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)
}
