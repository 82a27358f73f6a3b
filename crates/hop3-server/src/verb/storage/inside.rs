// SPDX-License-Identifier: Apache-2.0
//! Programs that look at or change what a volume holds. They run as the user whose files these are and see nothing
//! else of Hop3: names and contents are an app's, and may be hostile.

use super::user;
use crate::server::{Server, internal};
use crate::store::Volume;
use hop3_core::driver::{Exit, Output, Stdio};
use hop3_core::problem::{Kind, Problem};
use hop3_core::sandbox::{Command, Job, Limits, Mount, Sandbox};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A large volume on a slow disk.
const DEADLINE: Duration = Duration::from_secs(60 * 60);

/// What a problem quotes of what a program said.
const SAID_BYTES: u64 = 4096;

/// A command in the directory that holds a volume's `data`.
pub(super) fn job(server: &Server, volume: &Volume, argv: &[&str]) -> Job {
    let directory = server.layout.volume(&volume.name);
    let env = [("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("HOME", "/tmp")];
    Job {
        command: Command::exec(argv.iter().copied()),
        cwd: directory.clone(),
        env: env.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        sandbox: Sandbox {
            user: user(server, volume.uid),
            user_name: "volume".to_owned(),
            home: "/tmp".into(),
            hide: vec![server.layout.root().to_owned()],
            mounts: vec![Mount { source: directory.clone(), target: directory, writable: true }],
            ..Sandbox::default()
        },
        limits: Limits::default(),
    }
}

/// Runs one to its end; gives what it printed.
pub(super) fn run(server: &Server, volume: &Volume, argv: &[&str]) -> Result<String, Problem> {
    let mut printed = Printed(String::new());
    let exit = server.drivers.runner.run(&job(server, volume, argv), DEADLINE, &mut printed)?;
    match exit.is_success() {
        true => Ok(printed.0),
        false => Err(failed(argv, exit, &printed.0)),
    }
}

struct Printed(String);

impl Output for Printed {
    fn line(&mut self, text: &str) -> bool {
        if self.0.len() < SAID_BYTES as usize {
            self.0.push_str(text);
            self.0.push('\n');
        }
        true
    }
}

/// Writes what one prints. `forgives` is an exit status that is as good as 0.
pub(super) fn drain(
    server: &Server,
    volume: &Volume,
    argv: &[&str],
    forgives: Option<u8>,
    to: &mut dyn Write,
) -> Result<(), Problem> {
    let attached = server.drivers.runner.attach(&job(server, volume, argv), Stdio::Data)?;
    let stream = UnixStream::from(attached.stream);
    stream.shutdown(Shutdown::Write).map_err(internal)?;
    let said = said(attached.errors.map(File::from));
    io::copy(&mut &stream, to).map_err(|e| cut(&e))?;
    judge(argv, (attached.wait)()?, forgives, said)
}

/// Gives one this to read.
pub(super) fn feed(
    server: &Server,
    volume: &Volume,
    argv: &[&str],
    from: &mut dyn Read,
) -> Result<(), Problem> {
    let attached = server.drivers.runner.attach(&job(server, volume, argv), Stdio::Data)?;
    let stream = UnixStream::from(attached.stream);
    let said = said(attached.errors.map(File::from));
    let copied = io::copy(from, &mut &stream);
    if copied.is_err() {
        // What was cut must not be taken for the whole.
        (attached.signal)(9);
    }
    let _ = stream.shutdown(Shutdown::Write);
    let exit = (attached.wait)()?;
    match copied {
        // A program that ends early says why.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(cut(&e)),
        _ => judge(argv, exit, None, said),
    }
}

type Said = std::thread::JoinHandle<String>;

fn said(errors: Option<File>) -> Said {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut errors) = errors {
            let _ = (&mut errors).take(SAID_BYTES).read_to_end(&mut kept);
            // It must not wait for somebody who reads no more.
            let _ = io::copy(&mut errors, &mut io::sink());
        }
        String::from_utf8_lossy(&kept).trim().to_owned()
    })
}

fn judge(argv: &[&str], exit: Exit, forgives: Option<u8>, said: Said) -> Result<(), Problem> {
    let said = said.join().unwrap_or_default();
    if exit.is_success() || forgives.is_some_and(|status| exit == Exit::Status(status)) {
        return Ok(());
    }
    Err(failed(argv, exit, &said))
}

fn failed(argv: &[&str], exit: Exit, said: &str) -> Problem {
    let program = argv.first().copied().unwrap_or_default();
    Problem::new(Kind::Unavailable, "storage.program-failed", format!("{program} failed: {exit}"))
        .detail(said.trim())
}

fn cut(error: &io::Error) -> Problem {
    Problem::new(Kind::Unavailable, "storage.data-cut", "the data were cut").detail(error.to_string())
}
