// SPDX-License-Identifier: Apache-2.0
//! Directories at the top that the machine has not, such as `/data`: a process sees a root directory of its own, in
//! memory, that shows all the machine's has and these beside it. Nothing is made on the machine's disk.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount,
};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the new root is put together. Every process has it to itself; what lies there is hidden anyway.
const DRAFT: &str = "/tmp";

enum Shown {
    Directory(OwnedFd),
    Link(PathBuf),
}

/// Adds empty directories at the top. The caller has a mount namespace of its own, whose mounts are private.
pub(crate) fn add(names: &[&std::ffi::OsStr]) -> rustix::io::Result<()> {
    let shown = top()?;
    mount("tmpfs", DRAFT, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755,size=1m")?;
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let draft = rustix::fs::openat(CWD, DRAFT, flags, Mode::empty())?;
    for (name, what) in &shown {
        match what {
            Shown::Link(target) => rustix::fs::symlinkat(target, &draft, name.as_os_str())?,
            Shown::Directory(tree) => {
                rustix::fs::mkdirat(&draft, name.as_os_str(), Mode::from_raw_mode(0o755))?;
                let place = rustix::fs::openat(&draft, name.as_os_str(), flags, Mode::empty())?;
                let whole = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
                move_mount(tree, c"", place.as_fd(), c"", whole)?;
            }
        }
    }
    for name in names {
        rustix::fs::mkdirat(&draft, *name, Mode::from_raw_mode(0o755))?;
    }
    // The old root lies on the new one for a moment (pivot_root(2), "pivot_root(".", ".")").
    rustix::process::fchdir(&draft)?;
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

/// What the machine has there. Files are left out: no program looks for one.
fn top() -> rustix::io::Result<Vec<(OsString, Shown)>> {
    let entries = fs::read_dir("/").map_err(|error| errno(&error))?;
    let mut shown = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| errno(&error))?;
        if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(|error| errno(&error))?;
            shown.push((entry.file_name(), Shown::Link(target)));
        } else if kind.is_dir() {
            shown.push((entry.file_name(), Shown::Directory(opened(&path)?)));
        }
    }
    Ok(shown)
}

fn opened(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags)
}

fn errno(error: &std::io::Error) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO)
}
