// SPDX-License-Identifier: Apache-2.0
//! A work tree with its git, as somebody has it who pushes.

use super::answer::{Said, said};
use super::environment;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) struct Repository {
    pub(crate) path: PathBuf,
    home: PathBuf,
}

impl Repository {
    /// On branch `main`, with a copy of that tree committed.
    pub(super) fn of(path: &Path, tree: &Path, home: PathBuf) -> Repository {
        copy(tree, path);
        let repository = Repository { path: path.to_owned(), home };
        repository.git(["init", "--quiet", "--initial-branch=main"]).expect_ok();
        repository.commit("first");
        repository
    }

    pub(crate) fn git<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut git = Command::new("git");
        git.args(arguments).envs(environment(&self.home)).current_dir(&self.path).stdin(Stdio::null());
        for (role, name) in [("AUTHOR", "Ada"), ("COMMITTER", "Ada")] {
            git.env(format!("GIT_{role}_NAME"), name).env(format!("GIT_{role}_EMAIL"), "ada@example.org");
        }
        git.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
        git
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Puts a copy of that tree in place of all files.
    pub(crate) fn replace_with(&self, tree: &Path) {
        self.git(["rm", "-r", "--quiet", "."]).expect_ok();
        copy(tree, &self.path);
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(["add", "--all"]).expect_ok();
        self.git(["commit", "--quiet", "--allow-empty", "--message", message]).expect_ok();
    }

    pub(crate) fn push(&self, remote: &str, refs: &str) -> Said {
        self.git(["push", remote, refs])
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() && entry.file_name() == "expected" => {}
            kind if kind.is_dir() => copy(&entry.path(), &target),
            kind if kind.is_symlink() => {
                std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), target).unwrap();
            }
            _ => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
