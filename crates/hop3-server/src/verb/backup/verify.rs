// SPDX-License-Identifier: Apache-2.0
//! `backup verify`: restores into a scratch place and compares with what was counted when the backup was made.
//!
//! Every byte is compared with its checksum on the way out and read again from the disk; the files are counted; the
//! digest of all of them is the same each time; a copy of the store opens; addons are restored into scratch ones, which
//! must hold what was counted. Last, where that is wanted, a copy of each app is started on all of it (`start`).

mod start;

use super::manifest::{self, Manifest, SavedBinding, Stream};
use super::restore::Work;
use super::scratch::Scratch;
use super::service::Way;
use super::{find, say, target};
use crate::server::{Server, internal};
use crate::store::{Backup, Store, now_ms};
use hop3_core::backup::{BackupInfo, Tell, VerifyBackupRequest};
use hop3_core::driver::Taken;
use hop3_core::event::Event;
use hop3_core::name::AddonName;
use hop3_core::problem::{Kind, Problem};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) fn verify(
    server: &Arc<Server>,
    request: &VerifyBackupRequest,
    tell: Tell<'_>,
) -> Result<Vec<BackupInfo>, Problem> {
    let chosen = match &request.backup {
        Some(id) => vec![find(server, id)?],
        None => newest(server)?,
    };
    let mut first = None;
    for backup in &chosen {
        if let Err(problem) = prove(server, backup, request.start, tell) {
            say(tell, format!("{}: {}", backup.info.id, problem.title));
            first = first.or(Some(problem));
        }
    }
    match first {
        Some(problem) => Err(problem),
        None => chosen.iter().map(|backup| find(server, &backup.info.id).map(|found| found.info)).collect(),
    }
}

/// The newest of each app, of each addon and of the server, in each target.
fn newest(server: &Server) -> Result<Vec<Backup>, Problem> {
    let mut seen = HashSet::new();
    let all = server.store.backups().map_err(internal)?.into_iter();
    Ok(all.filter(|backup| seen.insert((backup.info.target.clone(), backup.info.of()))).collect())
}

/// Proves one backup and keeps what was found. Apps are started as each of them says, unless it is said here.
pub(crate) fn prove(
    server: &Arc<Server>,
    backup: &Backup,
    start: Option<bool>,
    tell: Tell<'_>,
) -> Result<(), Problem> {
    say(tell, format!("restoring {} into a scratch place", backup.info.id));
    let found = examine(server, backup, start, tell);
    server.store.set_proven(&backup.info, found.as_deref()).map_err(internal)?;
    let of = match &backup.info.app {
        Some(name) => server.store.app(name).map_err(internal)?,
        None => None,
    };
    let id = backup.info.id.clone();
    let event = match &found {
        Ok(_) => Event::BackupProven { backup: id },
        Err(problem) => Event::BackupNotProven { backup: id, problem: problem.clone() },
    };
    server.record(of.as_ref(), None, event);
    found.map(drop)
}

fn examine(
    server: &Arc<Server>,
    backup: &Backup,
    start: Option<bool>,
    tell: Tell<'_>,
) -> Result<String, Problem> {
    let place = target::place(server, Some(&backup.info.target))?.1;
    let manifest = manifest::read(server, backup)?;
    let staging = server.layout.backup_staging(&format!("verify-{}-{}", backup.info.id, now_ms()));
    let work = Work { server, backup: backup.clone(), place, manifest, staging, tell };
    let mut scratch = Scratch::new(server)?;
    let found = work.files().and_then(|digest| {
        work.prove_services(&mut scratch, start)?;
        Ok(digest)
    });
    let cleared = scratch.clear(&work.way());
    server.drivers.runner.remove(&work.staging)?;
    found.and_then(|digest| cleared.map(|()| digest))
}

impl Work<'_> {
    fn way(&self) -> Way<'_> {
        Way { server: self.server, place: &self.place, tell: self.tell }
    }

    /// Restores all files and compares them; gives their digest.
    fn files(&self) -> Result<String, Problem> {
        if self.manifest.files.paths.is_empty() {
            return Ok(Tree::default().digest());
        }
        let taken = Taken { snapshot: &self.manifest.files.snapshot, paths: &[], twice: true };
        self.server.drivers.backups.restore(&self.place, taken, &self.staging)?;
        self.give(&self.staging, rustix::process::getuid().as_raw())?;
        compare(&self.backup, &self.manifest, &self.staging)
    }

    /// Restores each addon into a scratch one and compares; then starts the apps that are to be started on those. What no
    /// app needs any more goes at once: all of them at the same time may be more than the disk has room for.
    fn prove_services(&self, scratch: &mut Scratch<'_>, start: Option<bool>) -> Result<(), Problem> {
        let way = self.way();
        let apps = self.started(start);
        for stream in &self.manifest.streams {
            let name = scratch.addon(&stream.name)?;
            way.create_scratch(stream, &name)?;
            way.restore(stream, &name)?;
            recount(&way, stream, &name)?;
            let is_needed = |binding: &SavedBinding| binding.addon == stream.name;
            if !apps.iter().any(|app| app.bindings.iter().any(is_needed)) {
                scratch.forget_addon(&way, &stream.name)?;
            }
        }
        apps.iter().try_for_each(|app| self.start_copy(app, scratch))
    }
}

/// Compares what a scratch addon holds with what was counted when it was saved.
fn recount(way: &Way<'_>, stream: &Stream, scratch: &AddonName) -> Result<(), Problem> {
    let Some(saved) = &stream.held else { return Ok(()) };
    let Some(restored) = way.count(scratch)? else { return Ok(()) };
    let wrong = saved.differences(&restored);
    if wrong.is_empty() {
        say(way.tell, format!("{}: {saved}, as saved", stream.name));
        return Ok(());
    }
    Err(differs(format!("the addon {} held {saved}; {}", stream.name, wrong.join("; "))))
}

/// Compares what was restored with what the manifest says; gives its digest.
fn compare(backup: &Backup, manifest: &Manifest, staging: &Path) -> Result<String, Problem> {
    let mut tree = Tree::default();
    tree.add(staging, staging).map_err(internal)?;
    let wanted = (manifest.files.files, manifest.files.bytes);
    if (tree.files, tree.bytes) != wanted {
        return Err(differs(format!(
            "{} files of {} bytes were saved, {} files of {} bytes were restored",
            wanted.0, wanted.1, tree.files, tree.bytes
        )));
    }
    let digest = tree.digest();
    if backup.info.digest.as_ref().is_some_and(|before| *before != digest) {
        return Err(differs("its files are others than when it was proven before".to_owned()));
    }
    let copy = staging.join("backups/server/hop3.db");
    if manifest.server {
        Store::check_copy(&copy)
            .map_err(|error| differs(format!("the copy of the store does not open: {error:#}")))?;
    }
    Ok(digest)
}

fn differs(how: String) -> Problem {
    Problem::new(Kind::Conflict, "backup.differs", "what was restored is not what was saved")
        .detail(how)
        .hint("make a new backup now: hop3 backup create; then look at the disk of the target")
}

/// What lies beneath a directory.
#[derive(Default)]
struct Tree {
    /// Those with contents; links and pipes are in the lines alone.
    files: u64,
    bytes: u64,
    lines: Vec<Vec<u8>>,
}

impl Tree {
    fn add(&mut self, root: &Path, directory: &Path) -> io::Result<()> {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(directory)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
        entries.sort();
        for path in entries {
            let kind = fs::symlink_metadata(&path)?;
            let what = if kind.is_dir() {
                self.add(root, &path)?;
                "directory".to_owned()
            } else if kind.is_symlink() {
                format!("link {}", fs::read_link(&path)?.display())
            } else if kind.is_file() {
                self.files += 1;
                self.bytes += kind.len();
                format!("file {} {}", kind.len(), content(&path)?)
            } else {
                "other".to_owned()
            };
            let name = path.strip_prefix(root).unwrap_or(&path).as_os_str().as_bytes();
            self.lines.push([name, b"\0", what.as_bytes(), b"\n"].concat());
        }
        Ok(())
    }

    /// Of the sorted list.
    fn digest(mut self) -> String {
        self.lines.sort();
        hex(&self.lines.iter().fold(Sha256::new(), |hash, line| hash.chain_update(line)).finalize())
    }
}

fn content(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
