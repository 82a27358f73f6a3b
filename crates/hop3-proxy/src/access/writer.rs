// SPDX-License-Identifier: Apache-2.0
//! The one thread that writes the access log, and puts a new file in place of one that is large enough.
//!
//! Invariant: a disk that is full or gone costs lines, and nothing else. A file that somebody moved away is not
//! written to any longer than one batch.

use super::json::{self, key};
use super::sink::Outlet;
use crate::limit::Limits;
use jiff::Timestamp;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

/// Batches that may wait for the disk, of some 96 KiB each.
const WAITING: usize = 20;

pub(crate) struct Writer {
    path: PathBuf,
    file_bytes: u64,
    old_files: u32,
    file: Option<File>,
    written: u64,
    lost: Arc<AtomicU64>,
    /// The last write failed, which has been told.
    is_failing: bool,
}

impl Writer {
    /// The thread ends with the last copy of the outlet.
    pub(crate) fn start(path: PathBuf, limits: &Limits) -> io::Result<(Outlet, JoinHandle<()>)> {
        let (batches, received) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let mut writer = Writer {
            path,
            file_bytes: limits.log_file_bytes,
            old_files: limits.log_old_files,
            file: None,
            written: 0,
            lost: lost.clone(),
            is_failing: false,
        };
        let thread = thread::Builder::new().name("log".into()).spawn(move || writer.run(&received))?;
        Ok((Outlet { batches, lost }, thread))
    }

    fn run(&mut self, batches: &Receiver<Vec<u8>>) {
        while let Ok(mut batch) = batches.recv() {
            let lost = self.lost.swap(0, Relaxed);
            if lost > 0 {
                tell_lost(&mut batch, lost);
            }
            let result = self.write(&batch);
            if let Err(error) = &result {
                let lines = batch.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.lost.fetch_add(lines + lost - u64::from(lost > 0), Relaxed);
                self.file = None;
                if !self.is_failing {
                    tracing::warn!(path = %self.path.display(), %error, "the access log cannot be written");
                }
            }
            self.is_failing = result.is_err();
        }
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        if self.written >= self.file_bytes {
            self.file = None;
            rotate(&self.path, self.old_files)?;
        }
        if let Some(file) = &self.file
            && !is_at(file, &self.path)
        {
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            empty => {
                let file = open(&self.path)?;
                self.written = file.metadata()?.len();
                empty.insert(file)
            }
        };
        file.write_all(batch)?;
        self.written += batch.len() as u64;
        Ok(())
    }
}

fn tell_lost(batch: &mut Vec<u8>, lost: u64) {
    json::begin(batch, Timestamp::now().to_string().as_bytes());
    json::number(batch, key!("lost"), lost);
    json::end(batch);
    tracing::warn!(lost, "lines of the access log were lost: the disk did not keep up");
}

/// Opens the file, in a folder of a folder that are made when they are not there. What they lie in is not: a root that
/// was removed does not come back.
fn open(path: &Path) -> io::Result<File> {
    let folder = path.parent();
    for folder in [folder.and_then(Path::parent), folder].into_iter().flatten() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// False when the file was renamed or removed: another proxy rotates too while one takes over from the other.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// `requests.jsonl` becomes `requests.jsonl.1`, and so on; the oldest goes.
fn rotate(path: &Path, old_files: u32) -> io::Result<()> {
    let old = |age: u32| if age == 0 { path.to_owned() } else { path.with_extension(format!("jsonl.{age}")) };
    for age in (0..old_files).rev() {
        match fs::rename(old(age), old(age + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
