// SPDX-License-Identifier: Apache-2.0
//! The house rules that a machine can check. Every rule names all offenders at once, and what to do about them.

mod code;
mod crates;
mod docs;
mod files;
pub(crate) mod lexer;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the repository: committed, or about to be.
pub(crate) struct RepoFile {
    /// From the top, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

impl RepoFile {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or("")
    }

    /// A source file of ours; examples are other people's programs.
    fn is_rust(&self) -> bool {
        self.path.starts_with("crates/") && self.path.ends_with(".rs")
    }

    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

/// The top of the repository.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Everything git tracks or would track, but for what is deleted.
pub(crate) fn files() -> Vec<RepoFile> {
    let listed = Command::new("git")
        .args(["-c", "core.quotepath=off", "ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(top())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let read =
        |path: &str| Some(RepoFile { path: path.to_owned(), bytes: std::fs::read(top().join(path)).ok()? });
    let files: Vec<_> = listed.lines().filter_map(read).collect();
    assert!(files.len() > 100, "only {} files found", files.len());
    files
}

/// The source files of our crates.
pub(crate) fn rust() -> Vec<RepoFile> {
    files().into_iter().filter(RepoFile::is_rust).collect()
}

/// Fails with the whole list of offenders.
#[track_caller]
pub(crate) fn none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}
