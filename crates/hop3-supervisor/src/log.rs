// SPDX-License-Identifier: Apache-2.0
//! The logs of groups: `logs/<group>/current.log`, one record a line: `<unix_ms> <name> <text>`.
//!
//! Bounded on disk (5 files of 10 MiB) and in memory (a slow follower is told how much it missed). A full disk loses
//! lines, never blocks or ends a process.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod read;

use crate::protocol::LogRequest;
use hop3_core::driver::LogLine;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast;

const FILE_MAX_BYTES: u64 = 10 * 1024 * 1024;
const OLD_FILES: u32 = 4;
const FOLLOWER_LINES: usize = 1024;

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// All logs. Lives on the one thread of the role.
pub(crate) struct Logs {
    directory: PathBuf,
    open: RefCell<HashMap<String, Weak<RefCell<GroupLog>>>>,
    followers: RefCell<HashMap<String, broadcast::Sender<LogLine>>>,
}

impl Logs {
    pub(crate) fn new(directory: PathBuf) -> Logs {
        Logs { directory, open: RefCell::default(), followers: RefCell::default() }
    }

    /// The log of a group; shared while anybody holds it.
    pub(crate) fn open(&self, group: &str) -> Rc<RefCell<GroupLog>> {
        let mut open = self.open.borrow_mut();
        if let Some(log) = open.get(group).and_then(Weak::upgrade) {
            return log;
        }
        open.retain(|_, log| log.strong_count() > 0);
        let log = Rc::new(RefCell::new(GroupLog::new(self.directory.join(group))));
        open.insert(group.to_owned(), Rc::downgrade(&log));
        log
    }

    /// Writes the lines and gives them to whoever follows.
    pub(crate) fn append(&self, group: &str, log: &RefCell<GroupLog>, name: &str, lines: Vec<String>) {
        let time_ms = now_ms();
        let mut records = String::new();
        for text in &lines {
            let _ = writeln!(records, "{time_ms} {name} {text}");
        }
        if let Err(error) = log.borrow_mut().write(&records) {
            tracing::debug!(%error, group, "log lines lost");
        }
        let mut followers = self.followers.borrow_mut();
        let Some(sender) = followers.get(group) else { return };
        for text in lines {
            let line = LogLine { time_ms, instance: name.to_owned(), text };
            if sender.send(line).is_err() {
                followers.remove(group);
                return;
            }
        }
    }

    pub(crate) fn follow(&self, group: &str) -> broadcast::Receiver<LogLine> {
        let mut followers = self.followers.borrow_mut();
        let sender =
            followers.entry(group.to_owned()).or_insert_with(|| broadcast::channel(FOLLOWER_LINES).0);
        sender.subscribe()
    }

    /// Reads back on a thread of its own, since files may be large and disks slow.
    pub(crate) async fn read(&self, request: LogRequest) -> io::Result<Vec<LogLine>> {
        let directory = self.directory.join(&request.group);
        tokio::task::spawn_blocking(move || read::newest(&directory, &request))
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }

    /// Lets go of the group's file: it is about to be removed.
    pub(crate) fn close(&self, group: &str) {
        if let Some(log) = self.open.borrow().get(group).and_then(Weak::upgrade) {
            log.borrow_mut().file = None;
        }
    }
}

/// The open log of one group.
pub(crate) struct GroupLog {
    directory: PathBuf,
    file: Option<(File, u64)>,
}

impl GroupLog {
    fn new(directory: PathBuf) -> GroupLog {
        GroupLog { directory, file: None }
    }

    fn write(&mut self, records: &str) -> io::Result<()> {
        if self.file.as_ref().is_some_and(|(_, size)| *size >= FILE_MAX_BYTES) {
            self.file = None;
            rotate(&self.directory)?;
        }
        if self.file.is_none() {
            self.file = Some(open(&self.directory)?);
        }
        let (file, size) = self.file.as_mut().expect("opened above");
        file.write_all(records.as_bytes())?;
        *size += records.len() as u64;
        Ok(())
    }
}

fn open(directory: &Path) -> io::Result<(File, u64)> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path(directory, 0))?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn rotate(directory: &Path) -> io::Result<()> {
    for age in (0..OLD_FILES).rev() {
        match fs::rename(path(directory, age), path(directory, age + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The file that was current `age` rotations ago.
fn path(directory: &Path, age: u32) -> PathBuf {
    directory.join(if age == 0 { "current.log".to_owned() } else { format!("{age}.log") })
}

#[cfg(test)]
mod tests;
