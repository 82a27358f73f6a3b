// SPDX-License-Identifier: Apache-2.0
//! Writes beneath one directory and nowhere else.
//!
//! Invariant: every folder is opened with openat2(RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS) from the tree's own
//! descriptor, every file is created new (O_EXCL) by a single name in such a folder; no link is ever followed.

use super::path::EntryPath;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Neither user nor group of the uploader means anything here; the executable bit is all that is kept.
const FILE_MODE: u32 = 0o644;
const PROGRAM_MODE: u32 = 0o755;
const FOLDER_MODE: u32 = 0o755;

pub(super) struct Tree {
    root: OwnedFd,
    /// The folder written to last: archives come folder by folder.
    current: Option<(EntryPath, OwnedFd)>,
}

impl Tree {
    pub(super) fn open(root: &Path) -> Result<Tree, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty())?;
        Ok(Tree { root, current: None })
    }

    /// Creates a file whose folder is there. An older file or link of that name is removed first.
    pub(super) fn create_file(&mut self, path: &EntryPath, executable: bool) -> Result<File, Errno> {
        let (folder, name) = self.place(path)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || openat2(folder, name, flags, Mode::from_raw_mode(0o600), beneath());
        let fd = match open() {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
                open()?
            }
            other => other?,
        };
        let mode = if executable { PROGRAM_MODE } else { FILE_MODE };
        // After creation, so that the umask has no say.
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))?;
        Ok(File::from(fd))
    }

    /// Creates a link whose folder is there and whose target was checked.
    pub(super) fn create_link(&mut self, path: &EntryPath, target: &str) -> Result<(), Errno> {
        let (folder, name) = self.place(path)?;
        match rustix::fs::symlinkat(target, folder, name) {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
                rustix::fs::symlinkat(target, folder, name)
            }
            other => other,
        }
    }

    /// Creates a folder whose own folder is there. It may be there already.
    pub(super) fn create_folder(&mut self, path: &EntryPath) -> Result<(), Errno> {
        let (folder, name) = self.place(path)?;
        match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let made = self.folder(path)?;
        rustix::fs::fchmod(made, Mode::from_raw_mode(FOLDER_MODE))
    }

    /// The opened folder of a path, and its name in it.
    fn place<'a>(&'a mut self, path: &'a EntryPath) -> Result<(&'a OwnedFd, &'a str), Errno> {
        // Never the tree itself: the caller leaves that alone.
        let (folder, name) = path.split().ok_or(Errno::INVAL)?;
        Ok((self.folder(&folder)?, name))
    }

    fn folder(&mut self, path: &EntryPath) -> Result<&OwnedFd, Errno> {
        if path.is_root() {
            return Ok(&self.root);
        }
        if self.current.as_ref().is_none_or(|(open, _)| open != path) {
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = openat2(&self.root, path.as_str(), flags, Mode::empty(), beneath())?;
            self.current = Some((path.clone(), fd));
        }
        self.current.as_ref().map(|(_, fd)| fd).ok_or(Errno::NOENT)
    }
}

fn beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
}
