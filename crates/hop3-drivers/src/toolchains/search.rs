// SPDX-License-Identifier: Apache-2.0
//! Where toolchains lie: the usual directories, the version managers of the user who runs Hop3, and Hop3's own.
//!
//! A prefix is made visible to apps, so that one that holds a whole home directory, or Hop3's root, is never taken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Directories of programs; a star stands for any name.
const MACHINE: &[&str] = &[
    "/usr/local/bin",
    "/usr/bin",
    "/usr/local/go/bin",
    "/usr/lib/go-*/bin",
    "/usr/lib/jvm/*/bin",
    "/opt/*/bin",
    "/opt/*/*/bin",
    "/opt/*/versions/*/bin",
];

/// The same beneath the home directory: each holds one version and nothing else.
const HOME: &[&str] = &[
    ".pyenv/versions/*/bin",
    ".local/share/uv/python/*/bin",
    ".nvm/versions/node/*/bin",
    ".rbenv/versions/*/bin",
    // No nightly: it would be the newest version of all.
    ".rustup/toolchains/stable-*/bin",
    ".rustup/toolchains/1.*/bin",
    ".asdf/installs/*/*/bin",
    ".local/share/mise/installs/*/*/bin",
];

/// The places of this machine.
pub(super) struct Places {
    /// Directories of programs that do not change.
    pub fixed: Vec<PathBuf>,
    pub home: Option<PathBuf>,
    /// Hop3's own.
    pub own: PathBuf,
    pub root: PathBuf,
}

impl Places {
    /// Every directory of programs there is now, Hop3's own last.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> =
            MACHINE.iter().flat_map(|pattern| expand(Path::new("/"), pattern)).collect();
        if let Some(home) = &self.home {
            found.extend(HOME.iter().flat_map(|pattern| expand(home, pattern)));
        }
        found.extend(self.fixed.iter().cloned());
        found.extend(expand(&self.own, "*/bin"));
        found
    }

    /// Prefixes in which `bin/PROGRAM` is there.
    pub(super) fn prefixes(&self, program: &str) -> BTreeSet<PathBuf> {
        self.directories().iter().filter_map(|directory| self.prefix(directory, program)).collect()
    }

    fn prefix(&self, directory: &Path, program: &str) -> Option<PathBuf> {
        let real = directory.join(program).canonicalize().ok()?;
        let canonical = directory.canonicalize().ok()?;
        // What npm installed has a `bin` that is a link to `node_modules/.bin`.
        let named = if canonical.ends_with("bin") { &canonical } else { directory };
        // The program's own home comes first: /usr/bin/java is a link into /usr/lib/jvm.
        let folders = [real.parent()?, named];
        folders.into_iter().filter(|folder| folder.ends_with("bin")).find_map(|folder| {
            let prefix = folder.parent()?;
            (prefix.join("bin").join(program).exists() && self.may_be_shown(prefix))
                .then(|| prefix.to_owned())
        })
    }

    fn may_be_shown(&self, prefix: &Path) -> bool {
        let holds = |inner: &Path| inner.starts_with(prefix);
        if holds(&self.root) || self.home.as_deref().is_some_and(holds) {
            return false;
        }
        // Beneath a home directory only places that hold one version of one thing.
        let inside = self.home.as_ref().and_then(|home| prefix.strip_prefix(home).ok());
        let is_own = prefix.starts_with(&self.own);
        is_own || inside.is_none_or(|inside| inside.components().count() >= 3)
    }
}

/// Directories that match a pattern of plain names and names with one star.
fn expand(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![base.to_owned()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = match part.split_once('*') {
            None => {
                found.into_iter().map(|folder| folder.join(part)).filter(|folder| folder.is_dir()).collect()
            }
            Some((before, after)) => {
                found.iter().flat_map(|folder| matching(folder, before, after)).collect()
            }
        };
    }
    found
}

fn matching(folder: &Path, before: &str, after: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_match = |entry: &std::fs::DirEntry| {
        entry
            .file_name()
            .to_str()
            .is_some_and(|n| n.starts_with(before) && n.ends_with(after) && !n.starts_with('.'))
    };
    let mut found: Vec<PathBuf> =
        entries.filter_map(Result::ok).filter(is_match).map(|entry| entry.path()).collect();
    found.sort();
    found
}
