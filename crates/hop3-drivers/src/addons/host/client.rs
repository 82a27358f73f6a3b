// SPDX-License-Identifier: Apache-2.0
//! Clients of products that are run once: what they are given, what they print, what they said when they failed.

use super::Host;
use hop3_core::driver::{Exit, Stdio};
use hop3_core::sandbox::Job;
use hop3_core::{Kind, Problem};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// What a problem quotes of what a client said.
const SAID_BYTES: usize = 4096;

/// What is read of an answer that is no data.
pub(super) const ANSWER_BYTES: u64 = 16 * 1024 * 1024;

impl Host {
    /// Runs a client with this on its standard input and gives what it printed.
    ///
    /// # Errors
    /// `addon.client-failed` with what it said.
    pub(crate) fn ask(&self, job: &Job, input: &str) -> Result<String, Problem> {
        let answer = self.feed(job, &mut input.as_bytes())?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The same with data.
    pub(crate) fn feed(&self, job: &Job, from: &mut dyn Read) -> Result<Vec<u8>, Problem> {
        self.pass(job, from, |reader| {
            let mut answer = Vec::new();
            reader.take(ANSWER_BYTES).read_to_end(&mut answer).map(|_| answer)
        })
    }

    /// Runs a client that makes other data of what it is given, and closes what they go to.
    pub(crate) fn convert(
        &self,
        job: &Job,
        from: &mut dyn Read,
        mut to: impl Write + Send + 'static,
    ) -> Result<(), Problem> {
        self.pass(job, from, move |mut reader| {
            let copied = copy(&mut reader, &mut to);
            // Where nobody takes it any more, the client is not kept waiting.
            let _ = reader.shutdown(Shutdown::Both);
            copied
        })
    }

    /// Gives a client its input while something takes what it prints.
    fn pass<T: Send + 'static>(
        &self,
        job: &Job,
        from: &mut dyn Read,
        take: impl FnOnce(UnixStream) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let attached = self.runner.attach(job, Stdio::Data)?;
        let stream = UnixStream::from(attached.stream);
        let reader = stream.try_clone().map_err(|e| broken(job, &e))?;
        let answer = std::thread::spawn(move || take(reader));
        let said = said(attached.errors);
        // A client that ends early says why; that it no longer listens is not the news.
        let copied = copy(from, &mut &stream);
        let _ = stream.shutdown(Shutdown::Write);
        let exit = (attached.wait)()?;
        judge(job, exit, said)?;
        copied.map_err(|e| broken(job, &e))?;
        answer.join().expect("what takes an answer does not panic").map_err(|e| broken(job, &e))
    }

    /// Runs a client without input and writes what it prints.
    pub(crate) fn drain(&self, job: &Job, to: &mut dyn Write) -> Result<(), Problem> {
        let attached = self.runner.attach(job, Stdio::Data)?;
        let stream = UnixStream::from(attached.stream);
        let _ = stream.shutdown(Shutdown::Write);
        let said = said(attached.errors);
        io::copy(&mut &stream, to).map_err(|e| broken(job, &e))?;
        judge(job, (attached.wait)()?, said)
    }
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    match io::copy(from, to) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map(drop),
    }
}

pub(super) type Said = std::thread::JoinHandle<String>;

/// Reads what a client says beside its data; keeps the end of it.
pub(super) fn said(errors: Option<OwnedFd>) -> Said {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = [0; 1024];
        let Some(mut errors) = errors.map(File::from) else { return String::new() };
        while let Ok(length @ 1..) = errors.read(&mut buffer) {
            kept.extend_from_slice(&buffer[..length]);
            let surplus = kept.len().saturating_sub(SAID_BYTES);
            kept.drain(..surplus);
        }
        String::from_utf8_lossy(&kept).trim().to_owned()
    })
}

pub(super) fn judge(job: &Job, exit: Exit, said: Said) -> Result<(), Problem> {
    let said = said.join().unwrap_or_default();
    if exit.is_success() {
        return Ok(());
    }
    let program = program(job);
    Err(Problem::new(Kind::Unavailable, "addon.client-failed", format!("{program} failed: {exit}"))
        .detail(said))
}

pub(super) fn broken(job: &Job, error: &io::Error) -> Problem {
    let program = program(job);
    Problem::new(Kind::Unavailable, "addon.data-cut", format!("the data to or from {program} were cut"))
        .detail(error.to_string())
}

/// Its name without its directory: arguments may be long.
fn program(job: &Job) -> String {
    let argv = job.command.argv();
    argv.first().map_or("", |program| program.rsplit('/').next().unwrap_or(program)).to_owned()
}
