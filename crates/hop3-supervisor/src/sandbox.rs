// SPDX-License-Identifier: Apache-2.0
//! The view and identity of a sandboxed process: its own mount namespace, in which Hop3's root and other people's
//! directories are empty but for what it is given, and a user without any privilege.
//!
//! Order matters: what is given is opened before it is hidden, and mounted where nothing but this code has written,
//! so no path here can lead through a link that the process made.

use crate::problem::sandbox_failed;
use crate::top;
use hop3_core::Problem;
use hop3_core::sandbox::{Mount, Sandbox};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change, mount_remount,
    move_mount, open_tree,
};
use rustix::process::{Gid, Uid};
use rustix::thread::{self, CapabilitySet, CapabilitySets};
use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Places every process has to itself, writable.
const PRIVATE: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

const SHARED_FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Makes the view. Needs root and a single thread.
pub(crate) fn enter(sandbox: &Sandbox, cwd: &Path) -> Result<(), Problem> {
    crate::kernel::unshare_mounts().map_err(|error| sandbox_failed("own mount namespace", error))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| sandbox_failed("private mounts", error))?;

    let missing: Vec<_> = sandbox.hide.iter().filter_map(|place| missing_at_top(place)).collect();
    if !missing.is_empty() {
        top::add(&missing).map_err(|error| sandbox_failed("a root of its own", error))?;
    }
    let hidden = hidden(sandbox, cwd);
    let is_hidden = |path: &Path| hidden.iter().any(|h| path.starts_with(h));
    // What lies outside the hidden places under its own path is visible already.
    let mut given: Vec<&Mount> =
        sandbox.mounts.iter().filter(|m| is_hidden(&m.target) || m.source != m.target).collect();
    given.sort_by_key(|mount| mount.target.components().count());
    let opened: Vec<(&Mount, OwnedFd)> = given
        .into_iter()
        .map(|mount| Ok((mount, open_source(&mount.source)?)))
        .collect::<Result<_, Problem>>()?;

    for place in &hidden {
        hide(place).map_err(|error| sandbox_failed(&format!("hide {}", place.display()), error))?;
    }
    for (mount, source) in &opened {
        give(mount, source)
            .map_err(|error| sandbox_failed(&format!("show {}", mount.target.display()), error))?;
    }
    name_user(sandbox).map_err(|error| sandbox_failed("user names", error))?;
    hide_processes();
    Ok(())
}

/// Its name when it is a directory at the top that the machine has not.
fn missing_at_top(place: &Path) -> Option<&std::ffi::OsStr> {
    place.file_name().filter(|_| place.parent() == Some(Path::new("/")) && !place.exists())
}

/// From here on there is no network. Needs root and a single thread.
pub(crate) fn leave_network() -> Result<(), Problem> {
    crate::kernel::unshare_network().map_err(|error| sandbox_failed("no network", error))
}

/// Becomes the sandbox's user for good: no group, no way back, and no capability but to read, where that is asked for.
pub(crate) fn become_user(user: u32, sandbox: &Sandbox) -> Result<(), Problem> {
    let kept = match sandbox.reads_all {
        true => CapabilitySet::DAC_READ_SEARCH,
        false => CapabilitySet::empty(),
    };
    change_user(user, kept).map_err(|error| sandbox_failed("change of user", error))
}

fn change_user(user: u32, kept: CapabilitySet) -> rustix::io::Result<()> {
    // Without the bounding set not even a file capability gives anything back. The kernel ends the list.
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if kept.contains(capability) {
            continue;
        }
        match thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    thread::set_thread_groups(&[])?;
    thread::set_thread_res_gid(gid, gid, gid)?;
    thread::set_keep_capabilities(!kept.is_empty())?;
    thread::set_thread_res_uid(uid, uid, uid)?;
    thread::clear_ambient_capability_set()?;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: kept };
    thread::set_capabilities(None, sets)?;
    if !kept.is_empty() {
        // What is ambient is still there after execve(2).
        thread::configure_capability_in_ambient_set(kept, true)?;
    }
    thread::set_keep_capabilities(false)
}

/// The places to replace by empty ones, each outside the others.
fn hidden(sandbox: &Sandbox, cwd: &Path) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = PRIVATE.iter().map(PathBuf::from).collect();
    places.push(PathBuf::from("/root"));
    places.extend(sandbox.hide.iter().cloned());
    let user = sandbox.user.unwrap_or_default();
    let needed = sandbox.mounts.iter().map(|mount| mount.target.as_path()).chain([cwd, &sandbox.home]);
    places.extend(needed.filter_map(|path| closed_ancestor(path, user)));
    places.retain(|place| place.is_dir() && place.parent().is_some());
    places.sort();
    places.dedup_by(|deeper, place| deeper.starts_with(place));
    places
}

/// The topmost directory above `path` through which the user cannot go: what is given below it could not be reached.
fn closed_ancestor(path: &Path, user: u32) -> Option<PathBuf> {
    let is_closed = |directory: &&Path| {
        fs::metadata(directory).is_ok_and(|m| {
            let bit = if m.uid() == user {
                0o100
            } else if m.gid() == user {
                0o010
            } else {
                0o001
            };
            m.mode() & bit == 0
        })
    };
    path.ancestors().skip(1).filter(is_closed).last().map(Path::to_path_buf)
}

fn open_source(source: &Path) -> Result<OwnedFd, Problem> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, source, flags)
        .map_err(|error| sandbox_failed(&format!("open {}", source.display()), error))
}

/// Replaces a directory by an empty one.
fn hide(place: &Path) -> rustix::io::Result<()> {
    let is_private = PRIVATE.iter().any(|private| place == Path::new(private));
    let options: &CStr = if is_private { c"mode=1777" } else { c"mode=0755,size=1m" };
    mount("tmpfs", place, "tmpfs", SHARED_FLAGS, options)
}

/// Mounts what was opened at its target, making the way there when it lies in a hidden place.
fn give(mount: &Mount, source: &OwnedFd) -> rustix::io::Result<()> {
    let stat = rustix::fs::fstat(source)?;
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let target = make_target(&mount.target, is_directory)?;
    let whole = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(source, c"", target.as_fd(), c"", whole)?;
    let access = if mount.writable { MountFlags::empty() } else { MountFlags::RDONLY };
    mount_remount(&mount.target, MountFlags::BIND | SHARED_FLAGS | access, c"")
}

/// Opens the target, making what is missing of it; no component may be a link.
fn make_target(target: &Path, is_directory: bool) -> rustix::io::Result<OwnedFd> {
    let open = |path: &Path| {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
    };
    match open(target) {
        Err(Errno::NOENT) => {}
        found => return found,
    }
    let parent = target.parent().ok_or(Errno::INVAL)?;
    let name = target.file_name().ok_or(Errno::INVAL)?;
    let parent = make_target(parent, true)?;
    if is_directory {
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
    } else {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
    }
    open(target)
}

/// Puts the user into the sandbox's own /etc/passwd and /etc/group: many programs insist on a name and a home.
fn name_user(sandbox: &Sandbox) -> std::io::Result<()> {
    let (Some(user), name) = (sandbox.user, &sandbox.user_name) else { return Ok(()) };
    let home = sandbox.home.to_str().unwrap_or("");
    let is_safe = |text: &str| !text.is_empty() && !text.contains([':', '\n', '\0']);
    if !is_safe(name) || !is_safe(home) {
        return Err(std::io::Error::other("the user's name or home cannot stand in /etc/passwd"));
    }
    replace_file("/etc/passwd", name, user, &format!("{name}:x:{user}:{user}::{home}:/bin/sh\n"))?;
    replace_file("/etc/group", name, user, &format!("{name}:x:{user}:\n"))
}

fn replace_file(path: &str, name: &str, number: u32, line: &str) -> std::io::Result<()> {
    let number = number.to_string();
    let is_other = |line: &&str| {
        let mut fields = line.split(':');
        fields.next() != Some(name) && fields.nth(1) != Some(&number)
    };
    let mut text: String =
        fs::read_to_string(path)?.lines().filter(is_other).flat_map(|line| [line, "\n"]).collect();
    text.push_str(line);
    // The private /tmp is memory that lives as long as the namespace; the name is only needed for the mount.
    let draft = Path::new("/tmp").join(Path::new(path).file_name().unwrap_or_default());
    fs::write(&draft, text)?;
    rustix::mount::mount_bind(&draft, path)?;
    mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | SHARED_FLAGS, c"")?;
    fs::remove_file(draft)
}

/// Shows only the user's own processes. Some containers forbid it; environments stay unreadable by their owner then.
fn hide_processes() {
    let flags = SHARED_FLAGS | MountFlags::NOEXEC;
    let _ = mount("proc", "/proc", "proc", flags, c"hidepid=invisible");
}
