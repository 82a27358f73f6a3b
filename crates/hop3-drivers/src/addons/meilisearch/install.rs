// SPDX-License-Identifier: Apache-2.0
//! Which versions of Meilisearch there are: `toolchains/meilisearch/<version>/meilisearch`, where people put what they
//! bring along. A server's data are read by the version that wrote them alone, so versions stand side by side.

use hop3_core::sandbox::{Job, Mount};
use hop3_core::{Kind, Problem};
use std::fs;
use std::path::{Path, PathBuf};

const PROGRAM: &str = "meilisearch";

pub(super) struct Install {
    prefix: PathBuf,
}

fn place(toolchains: &Path) -> PathBuf {
    toolchains.join("meilisearch")
}

/// `1.21.0` as numbers.
fn parts(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split('.').map(str::parse);
    let three = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
    parts.next().is_none().then_some(three)
}

impl Install {
    /// Newest first.
    pub(super) fn versions(toolchains: &Path) -> Vec<String> {
        let entries = fs::read_dir(place(toolchains)).into_iter().flatten().flatten();
        let there = entries.filter(|entry| entry.path().join(PROGRAM).exists());
        let mut versions: Vec<[u32; 3]> =
            there.filter_map(|entry| parts(entry.file_name().to_str()?)).collect();
        versions.sort_unstable();
        versions.iter().rev().map(|[major, minor, patch]| format!("{major}.{minor}.{patch}")).collect()
    }

    pub(super) fn hint(toolchains: &Path) -> String {
        format!(
            "Debian has no package: put the program of a release (github.com/meilisearch/meilisearch) at \
             {}/VERSION/{PROGRAM}, executable",
            place(toolchains).display()
        )
    }

    pub(super) fn of(toolchains: &Path, version: &str) -> Result<Install, Problem> {
        let prefix = place(toolchains).join(version);
        if prefix.join(PROGRAM).exists() {
            return Ok(Install { prefix });
        }
        let title = format!("Meilisearch {version} is not installed on this machine");
        Err(Problem::new(Kind::Unavailable, "addon.not-installed", title)
            .detail(format!("looked for {}", prefix.join(PROGRAM).display()))
            .hint(Install::hint(toolchains)))
    }

    pub(super) fn program(&self) -> String {
        self.prefix.join(PROGRAM).to_string_lossy().into_owned()
    }

    /// Lets a job see it: it lies beneath Hop3's root.
    pub(super) fn show(&self, job: &mut Job) {
        let (source, target) = (self.prefix.clone(), self.prefix.clone());
        job.sandbox.mounts.push(Mount { source, target, writable: false });
    }
}
