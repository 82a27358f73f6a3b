// SPDX-License-Identifier: Apache-2.0
//! How large the tree of a commit is, read as a stream. A dozen objects can unfold to a thousand million files, and
//! `git archive` would hold every path of them in memory before it writes the first.

use super::Repository;
use super::hook::Quarantine;
use super::repository::git_missing;
use crate::checkout::{Limits, Size};
use hop3_core::{Kind, Problem};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Refuses a commit whose tree is beyond the limits of what is unpacked.
pub(crate) fn check(repository: &Repository, commit: &str, quarantine: &Quarantine) -> Result<(), Problem> {
    let mut git = repository
        .command(["ls-tree", "-r", "-t", "-z", "--long", "--full-tree", commit])
        .envs(quarantine.variables())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(git_missing)?;
    let output = git.stdout.take().expect("its output is a pipe");
    let counted = count(BufReader::new(output));
    if counted.is_err() {
        // It is not asked for the rest, and may have ended by itself.
        let _ = git.kill();
    }
    let status = git.wait().map_err(git_missing)?;
    counted?;
    match status.success() {
        true => Ok(()),
        false => Err(Problem::new(Kind::User, "git.bad-tree", "git cannot read the tree of that commit")
            .hint("see what is wrong with it: git fsck")),
    }
}

/// Entries are `MODE TYPE OBJECT SIZE TAB PATH NUL`; folders and submodules have `-` for a size.
fn count(mut output: impl BufRead) -> Result<(), Problem> {
    let mut size = Size::new(Limits::default());
    let mut entry = Vec::new();
    while output.read_until(0, &mut entry).map_err(git_missing)? > 0 {
        let head = entry.split(|byte| *byte == b'\t').next().unwrap_or_default();
        let bytes = head.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        size.add(std::str::from_utf8(bytes).ok().and_then(|bytes| bytes.parse().ok()).unwrap_or(0))?;
        entry.clear();
    }
    Ok(())
}
