// SPDX-License-Identifier: Apache-2.0
//! One-off commands through the supervisor: the client makes the pipe or terminal and sends one end of it along.
//!
//! Output comes straight from the command. The connection is the command's life: when it closes, by whatever death of
//! the client, the supervisor kills the whole tree.

use super::{Client, Exchange, send};
use crate::line::Splitter;
use crate::problem::{bad_request, interrupted, launcher_failed};
use crate::protocol::{Answer, Control, Request};
use hop3_core::Problem;
use hop3_core::driver::{Attached, Exit, Output, Runner, Stdio};
use hop3_core::sandbox::Job;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// After the command and all it started have ended, the pipe is closed; only a process that hides from the
/// supervisor could hold it open.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

impl Runner for Client {
    fn run(&self, job: &Job, deadline: Duration, output: &mut dyn Output) -> Result<Exit, Problem> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(launcher_failed)?;
        let exchange = self.begin(job, false, vec![theirs])?;
        let watch = Watch { pipe: ours, exchange, splitter: Splitter::default() };
        watch.until_end(Instant::now() + deadline, output)
    }

    fn attach(&self, job: &Job, stdio: Stdio) -> Result<Attached, Problem> {
        let (ours, theirs) = match stdio {
            Stdio::Pty { rows, columns } => terminal(rows, columns),
            Stdio::Pipe | Stdio::Data => {
                UnixStream::pair().map(|(ours, theirs)| (ours.into(), theirs.into()))
            }
        }
        .map_err(launcher_failed)?;
        let mut descriptors = vec![theirs];
        let errors = match stdio {
            Stdio::Data => {
                let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(launcher_failed)?;
                descriptors.push(theirs);
                Some(ours)
            }
            Stdio::Pty { .. } | Stdio::Pipe => None,
        };
        let mut exchange = self.begin(job, true, descriptors)?;
        let control = exchange.reader.get_ref().try_clone().map_err(launcher_failed)?;
        let wait = move || loop {
            match exchange.receive() {
                Ok(Answer::Ended(ended)) => return Ok(ended.exit()),
                Ok(Answer::Problem(problem)) => return Err(problem),
                Ok(_) => {}
                Err(_) => return Err(interrupted()),
            }
        };
        let signal = move |number| {
            // The command may have ended already.
            let _ = send(&control, &Control::Signal(number));
        };
        Ok(Attached { stream: ours, errors, wait: Box::new(wait), signal: Box::new(signal) })
    }

    fn give(&self, directory: &Path, user: Option<u32>) -> Result<(), Problem> {
        self.done(&Request::Give { directory: directory.to_owned(), user })
    }

    fn remove(&self, directory: &Path) -> Result<(), Problem> {
        self.done(&Request::Remove { directory: directory.to_owned() })
    }

    fn is_privileged(&self) -> bool {
        if let Some(known) = self.is_privileged.get() {
            return *known;
        }
        let Ok(Answer::Hello { privileged, .. }) = self.call(&Request::Hello) else { return false };
        *self.is_privileged.get_or_init(|| privileged)
    }
}

impl Client {
    /// Starts the job on these descriptors: stdout, and stderr when it is apart. Returns when it runs.
    fn begin(&self, job: &Job, stdin: bool, descriptors: Vec<OwnedFd>) -> Result<Exchange, Problem> {
        let mut exchange = self.connect()?;
        let request = Request::Run { job: job.clone(), stdin };
        self.told(send_with_descriptors(exchange.reader.get_ref(), &request, &descriptors))?;
        drop(descriptors);
        match self.told(exchange.receive())? {
            Answer::Started => Ok(exchange),
            Answer::Problem(problem) => Err(problem),
            other => Err(bad_request(format!("unexpected answer {other:?} on {}", self.socket().display()))),
        }
    }
}

/// A running command whose lines are read here.
struct Watch {
    pipe: OwnedFd,
    exchange: Exchange,
    splitter: Splitter,
}

impl Watch {
    fn until_end(mut self, deadline: Instant, output: &mut dyn Output) -> Result<Exit, Problem> {
        let early = loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break Some(Exit::TimedOut);
            }
            let (has_output, has_ended) = self.poll(wait)?;
            if has_output && self.read(output) == Flow::Cancelled {
                break Some(Exit::Cancelled);
            }
            if has_ended {
                break None;
            }
        };
        if early.is_some() {
            let _ = self.exchange.send(&Control::Kill);
        }
        let ended = loop {
            match self.exchange.receive() {
                Ok(Answer::Ended(ended)) => break ended,
                Ok(Answer::Problem(problem)) => return Err(problem),
                Ok(_) => {}
                Err(_) => return Err(interrupted()),
            }
        };
        if early != Some(Exit::Cancelled) {
            self.read_rest(output);
        }
        Ok(early.unwrap_or_else(|| ended.exit()))
    }

    /// Waits for output or for the end.
    fn poll(&self, wait: Duration) -> Result<(bool, bool), Problem> {
        let control = self.exchange.reader.get_ref().as_fd();
        let mut descriptors =
            [PollFd::new(&self.pipe, PollFlags::IN), PollFd::from_borrowed_fd(control, PollFlags::IN)];
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(launcher_failed(error)),
        }
        let [pipe, control] = descriptors.map(|descriptor| descriptor.revents());
        // A closed pipe with a command that goes on silently: only the control connection tells more.
        if pipe == PollFlags::HUP && control.is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok((pipe.contains(PollFlags::IN), !control.is_empty()))
    }

    fn read(&mut self, output: &mut dyn Output) -> Flow {
        let mut buffer = [0; 16 * 1024];
        let length = match rustix::io::read(&self.pipe, &mut buffer) {
            Ok(0) | Err(_) => return Flow::Ended,
            Ok(length) => length,
        };
        let mut goes_on = true;
        self.splitter.feed(&buffer[..length], &mut |line| goes_on = goes_on && output.line(line));
        if goes_on { Flow::GoesOn } else { Flow::Cancelled }
    }

    fn read_rest(&mut self, output: &mut dyn Output) {
        let deadline = Instant::now() + LAST_OUTPUT;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            let mut descriptors = [PollFd::new(&self.pipe, PollFlags::IN)];
            let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
            let is_ready = poll(&mut descriptors, Some(&timeout)).is_ok_and(|ready| ready > 0);
            if !is_ready || self.read(output) != Flow::GoesOn {
                break;
            }
        }
        self.splitter.finish(&mut |line| {
            output.line(line);
        });
    }
}

#[derive(PartialEq, Eq)]
enum Flow {
    GoesOn,
    Ended,
    Cancelled,
}

/// A new pseudo-terminal: our end, and the command's.
fn terminal(rows: u16, columns: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    unlockpt(&ours)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    tcsetwinsize(&ours, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok((ours, theirs))
}

fn send_with_descriptors(stream: &UnixStream, request: &Request, descriptors: &[OwnedFd]) -> io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = sendmsg(stream, &[IoSlice::new(&line)], &mut ancillary, SendFlags::NOSIGNAL)?;
    // The descriptors went with the first byte; a large request may need more than one send.
    io::Write::write_all(&mut &*stream, &line[sent..])
}
