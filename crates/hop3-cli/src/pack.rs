// SPDX-License-Identifier: Apache-2.0
//! A directory as a tar: what `git push` would bring, for a directory that need not be a repository.
//!
//! The same tree gives the same bytes: sorted, owner and times left out, modes reduced to executable or not.
//! `.gitignore` and `.hop3ignore` are honoured; what builds produce and version control keeps is never sent. Links
//! stay links; sockets, pipes and devices are left out. Written while walking, so that nothing is whole in memory.

use crate::problem;
use hop3_core::Problem;
use ignore::{DirEntry, WalkBuilder};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// 2000-01-01: archives and wheels cannot hold times before 1980.
const MTIME: u64 = 946_684_800;

/// Never part of a source, whatever the ignore files say.
const SKIPPED: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    ".jj",
    "node_modules",
    ".venv",
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".direnv",
    ".DS_Store",
];

/// `target` is a build's output beside one of these, and an ordinary name elsewhere.
const TARGET_MAKERS: &[&str] = &["Cargo.toml", "pom.xml", "project.clj", "build.sbt"];

/// Writes the tar of a directory.
pub(crate) fn pack(directory: &Path, out: impl Write) -> Result<(), Problem> {
    if !directory.is_dir() {
        return Err(problem::not_a_directory(directory));
    }
    let mut tar = Builder::new(out);
    for entry in walk(directory) {
        let entry = entry.map_err(|e| problem::system("reading the directory", e))?;
        add(&mut tar, directory, &entry)?;
    }
    tar.finish().and_then(|()| tar.get_mut().flush()).map_err(sending)
}

/// Writes a tar of one file, under that name.
pub(crate) fn pack_file(path: &Path, name: &str, out: impl Write) -> Result<(), Problem> {
    let mut tar = Builder::new(out);
    append(&mut tar, path, Path::new(name))?;
    tar.finish().and_then(|()| tar.get_mut().flush()).map_err(sending)
}

fn walk(directory: &Path) -> ignore::Walk {
    // Inside a repository its own rules count, those of the directories above included; elsewhere a lone .gitignore
    // still says what its author does not want to send.
    let is_repository = fs::canonicalize(directory)
        .is_ok_and(|path| path.ancestors().any(|above| above.join(".git").exists()));
    WalkBuilder::new(directory)
        .hidden(false)
        .ignore(false)
        .git_ignore(true)
        .git_global(false)
        .git_exclude(false)
        .require_git(is_repository)
        .parents(is_repository)
        .add_custom_ignore_filename(".hop3ignore")
        .follow_links(false)
        .sort_by_file_name(|a, b| a.cmp(b))
        .filter_entry(|entry| entry.depth() == 0 || !is_skipped(entry))
        .build()
}

fn is_skipped(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    if SKIPPED.iter().any(|skipped| name == *skipped) {
        return true;
    }
    if !entry.file_type().is_some_and(|t| t.is_dir()) {
        return false;
    }
    let is_environment = entry.path().join("pyvenv.cfg").exists();
    let is_target = name == "target"
        && entry.path().parent().is_some_and(|p| TARGET_MAKERS.iter().any(|maker| p.join(maker).exists()));
    is_environment || is_target
}

fn add<W: Write>(tar: &mut Builder<W>, directory: &Path, entry: &DirEntry) -> Result<(), Problem> {
    let path = entry.path();
    // Directories come with their files, as in git; the walk's own root has no name.
    let Ok(name) = path.strip_prefix(directory) else { return Ok(()) };
    let Some(kind) = entry.file_type() else { return Ok(()) };
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(|e| problem::unreadable(path, &e))?;
        let mut header = header(EntryType::Symlink, 0o777, 0);
        return tar.append_link(&mut header, name, target).map_err(sending);
    }
    if !kind.is_file() {
        return Ok(());
    }
    append(tar, path, name)
}

fn append<W: Write>(tar: &mut Builder<W>, path: &Path, name: &Path) -> Result<(), Problem> {
    let file = File::open(path).map_err(|e| problem::unreadable(path, &e))?;
    let metadata = file.metadata().map_err(|e| problem::unreadable(path, &e))?;
    let mode = if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
    let mut header = header(EntryType::Regular, mode, metadata.len());
    let mut content = Exactly { file, left: metadata.len() };
    tar.append_data(&mut header, name, &mut content).map_err(|e| match e.kind() {
        io::ErrorKind::BrokenPipe => sending(e),
        _ => problem::unreadable(path, &e),
    })
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header.set_size(size);
    header
}

fn sending(error: io::Error) -> Problem {
    problem::system("sending the directory", error)
}

/// The bytes the header announced: a file that grows meanwhile is cut, one that shrinks is an error, since either
/// would shift every later entry of the archive.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read(&mut buffer[..want])?;
        if count == 0 && want > 0 {
            return Err(io::Error::other("it became shorter while it was being read"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
