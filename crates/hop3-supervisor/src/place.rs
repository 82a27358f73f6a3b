// SPDX-License-Identifier: Apache-2.0
//! Makes, gives away and removes directories beneath the root, on behalf of a client that is not privileged.
//!
//! Every step goes from an open directory to one of its own entries and never through a link: whoever writes in
//! these trees while we walk them can lead us nowhere else.

use crate::problem::{outside_root, place_failed};
use hop3_core::Problem;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::path::{Component, Path, PathBuf};

/// Deeper trees than this are nobody's honest work; each level holds a descriptor.
const DEPTH_MAX: usize = 256;

/// Whose directories become.
#[derive(Clone, Copy)]
pub(crate) struct Owners {
    /// The directory and all it holds; as they are when `None`.
    pub user: Option<u32>,
    /// Directories that had to be made on the way there.
    pub between: Option<u32>,
}

/// Makes the directory and gives it with all it holds to the user.
pub(crate) fn give(root: &Path, directory: &Path, owners: Owners) -> Result<(), Problem> {
    let names = names_beneath(root, directory)?;
    let failed = |error: Errno| place_failed(directory, error);
    let mut place = open_root(root).map_err(failed)?;
    let (last, between) = names.split_last().ok_or_else(|| outside_root(directory))?;
    for name in between {
        place = make(&place, name, owners.between).map_err(failed)?;
    }
    place = make(&place, last, owners.user.or(owners.between)).map_err(failed)?;
    match owners.user {
        Some(user) => give_all(&place, user, 0).map_err(failed),
        None => Ok(()),
    }
}

/// Removes the tree. Absent is fine.
pub(crate) fn remove(root: &Path, directory: &Path) -> Result<(), Problem> {
    let names = names_beneath(root, directory)?;
    let parent: PathBuf = names[..names.len() - 1].iter().collect();
    let outcome = open_beneath(root, &parent).and_then(|parent| {
        let name = c_string(&names[names.len() - 1])?;
        remove_entry(&parent, &name)
    });
    match outcome {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(place_failed(directory, error)),
    }
}

/// The path's names after the root's, at least one.
fn names_beneath(root: &Path, path: &Path) -> Result<Vec<PathBuf>, Problem> {
    let rest = path.strip_prefix(root).map_err(|_| outside_root(path))?;
    let names: Option<Vec<PathBuf>> = rest
        .components()
        .map(|component| match component {
            Component::Normal(name) => Some(PathBuf::from(name)),
            _ => None,
        })
        .collect();
    names.filter(|names| !names.is_empty()).ok_or_else(|| outside_root(path))
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn open_root(root: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn open_beneath(root: &Path, path: &Path) -> rustix::io::Result<OwnedFd> {
    let root = open_root(root)?;
    if path.as_os_str().is_empty() {
        return Ok(root);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(root, path, DIRECTORY, Mode::empty(), resolve)
}

/// Opens a directory's entry, making it when it is absent.
fn make(place: &OwnedFd, name: &Path, owner: Option<u32>) -> rustix::io::Result<OwnedFd> {
    let is_new = match rustix::fs::mkdirat(place, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error),
    };
    let made = rustix::fs::openat(place, name, DIRECTORY, Mode::empty())?;
    if let Some(owner) = owner.filter(|_| is_new) {
        rustix::fs::fchown(&made, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))?;
    }
    Ok(made)
}

fn give_all(directory: &OwnedFd, user: u32, depth: usize) -> rustix::io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    let (uid, gid) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(user)));
    for (name, kind) in entries(directory)? {
        if kind == FileType::Directory {
            give_all(&rustix::fs::openat(directory, &name, DIRECTORY, Mode::empty())?, user, depth + 1)?;
        } else {
            match rustix::fs::chownat(directory, &name, uid, gid, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
    }
    rustix::fs::fchown(directory, uid, gid)
}

/// Removes whatever the name stands for. Depth costs neither stack nor descriptors: what lies deeper than one level
/// is moved up beside its parent first.
fn remove_entry(place: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(place, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        outcome => return outcome,
    }
    unlock(place, name);
    let top = rustix::fs::openat(place, name, DIRECTORY, Mode::empty())?;
    let mut moved = 0_u64;
    loop {
        let inner: Vec<(CString, FileType)> = entries(&top)?;
        if inner.is_empty() {
            break;
        }
        for (entry, _) in inner {
            remove_or_flatten(&top, &entry, &mut moved)?;
        }
    }
    rustix::fs::unlinkat(place, name, AtFlags::REMOVEDIR)
}

fn remove_or_flatten(top: &OwnedFd, entry: &CStr, moved: &mut u64) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(top, entry, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error),
    }
    unlock(top, entry);
    let directory = rustix::fs::openat(top, entry, DIRECTORY, Mode::empty())?;
    for (inner, kind) in entries(&directory)? {
        if kind != FileType::Directory {
            rustix::fs::unlinkat(&directory, &inner, AtFlags::empty())?;
            continue;
        }
        match rustix::fs::unlinkat(&directory, &inner, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => move_up(&directory, &inner, top, moved)?,
            outcome => outcome?,
        }
    }
    rustix::fs::unlinkat(top, entry, AtFlags::REMOVEDIR)
}

/// Opens a directory that its owner closed to himself (a Go module cache is such), when we are no more than he.
/// Root needs no permission, and must not be led by a link that took the directory's place.
fn unlock(place: &OwnedFd, name: &CStr) {
    if !rustix::process::geteuid().is_root() {
        let _ = rustix::fs::chmodat(place, name, Mode::RWXU, AtFlags::empty());
    }
}

fn move_up(from: &OwnedFd, name: &CStr, top: &OwnedFd, moved: &mut u64) -> rustix::io::Result<()> {
    unlock(from, name);
    loop {
        *moved += 1;
        let free = format!(".removed-{moved}");
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(from, name, top, free, flags) {
            Err(Errno::EXIST) => {}
            outcome => return outcome,
        }
    }
}

fn entries(directory: impl AsFd) -> rustix::io::Result<Vec<(CString, FileType)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        found.push((name.to_owned(), kind));
    }
    Ok(found)
}

fn c_string(name: &Path) -> rustix::io::Result<CString> {
    CString::new(name.as_os_str().as_encoded_bytes()).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests;
