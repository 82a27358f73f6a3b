// SPDX-License-Identifier: Apache-2.0
//! Brings what an instance writes into its group's log.
//!
//! The pipe has a name and the instance holds both its ends: it never meets a closed reader when the supervisor is
//! away, and the next supervisor opens it again. A flooding writer is slowed down, so it starves nobody.

use crate::line::Splitter;
use crate::log::{GroupLog, Logs};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

const READ_BYTES: usize = 64 * 1024;

/// A writer that fills whole reads is read at most this often: about 12 MB/s.
const FLOOD_PAUSE: Duration = Duration::from_millis(5);

/// What the instance may write while no supervisor reads.
const PIPE_BYTES: usize = 256 * 1024;

thread_local! {
    /// One buffer for all instances: reading never waits half-way.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// The reading end of an instance's output.
pub(crate) struct Output {
    path: PathBuf,
    pipe: AsyncFd<OwnedFd>,
    splitter: RefCell<Splitter>,
    logs: Rc<Logs>,
    log: Rc<RefCell<GroupLog>>,
    group: String,
    name: String,
}

impl Output {
    pub(crate) fn open(path: PathBuf, logs: Rc<Logs>, group: &str, name: &str) -> io::Result<Rc<Output>> {
        match rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
            Err(error) if error != rustix::io::Errno::EXIST => return Err(error.into()),
            _ => {}
        }
        let pipe = open(&path, OFlags::NONBLOCK)?;
        // Refused when the user has many pipes already; the default size works too.
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_BYTES);
        let pipe = crate::kernel::watch(pipe)?;
        let (log, group, name) = (logs.open(group), group.to_owned(), name.to_owned());
        Ok(Rc::new(Output { path, pipe, splitter: RefCell::default(), logs, log, group, name }))
    }

    /// A writing end, owned by the user, so that `/dev/stdout` can be opened too.
    pub(crate) fn writer(&self, user: Option<u32>) -> io::Result<OwnedFd> {
        let pipe = open(&self.path, OFlags::empty())?;
        if let Some(user) = user {
            rustix::fs::fchown(&pipe, Some(rustix::fs::Uid::from_raw(user)), None)?;
        }
        Ok(pipe)
    }

    /// Reads for ever.
    pub(crate) async fn pump(self: Rc<Output>) {
        loop {
            let Ok(mut ready) = self.pipe.readable().await else { return };
            match ready.try_io(|pipe| self.read(pipe.get_ref())) {
                Ok(Ok(READ_BYTES)) => tokio::time::sleep(FLOOD_PAUSE).await,
                // One read, then the others have their turn.
                Ok(Ok(_)) => tokio::task::yield_now().await,
                Ok(Err(error)) => tracing::warn!(%error, name = self.name, "output cannot be read"),
                Err(_would_block) => {}
            }
        }
    }

    /// Takes what is left after the last writer ended.
    pub(crate) fn drain(&self) {
        for _ in 0..=PIPE_BYTES / READ_BYTES {
            if self.read(self.pipe.get_ref()).is_err() {
                break;
            }
        }
        let mut lines = Vec::new();
        self.splitter.borrow_mut().finish(&mut |line| lines.push(line.to_owned()));
        self.append(lines);
    }

    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn read(&self, pipe: &OwnedFd) -> io::Result<usize> {
        BUFFER.with_borrow_mut(|buffer| {
            let length = rustix::io::read(pipe, buffer.as_mut_slice())?;
            let mut lines = Vec::new();
            self.splitter.borrow_mut().feed(&buffer[..length], &mut |line| lines.push(line.to_owned()));
            self.append(lines);
            Ok(length)
        })
    }

    fn append(&self, lines: Vec<String>) {
        if !lines.is_empty() {
            self.logs.append(&self.group, &self.log, &self.name, lines);
        }
    }
}

/// Opens for reading and writing, so that no end is ever the only one.
fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | flags;
    let pipe = rustix::fs::open(path, flags, Mode::empty())?;
    // It is about to be given away: nothing that took the pipe's place may be.
    match FileType::from_raw_mode(rustix::fs::fstat(&pipe)?.st_mode) {
        FileType::Fifo => Ok(pipe),
        _ => Err(io::Error::other(format!("{} is no pipe", path.display()))),
    }
}
