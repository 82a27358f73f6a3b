// SPDX-License-Identifier: Apache-2.0
//! Which versions of PostgreSQL there are: where Debian puts them, and beneath `toolchains/postgresql`, where people put
//! what they bring along. Both have a directory `<version>/bin` for every version.

use hop3_core::sandbox::{Job, Mount};
use hop3_core::{Kind, Problem};
use std::fs;
use std::path::{Path, PathBuf};

const DEBIAN: &str = "/usr/lib/postgresql";

pub(super) struct Install {
    prefix: PathBuf,
}

fn places(toolchains: &Path) -> [PathBuf; 2] {
    [PathBuf::from(DEBIAN), toolchains.join("postgresql")]
}

impl Install {
    /// Newest first.
    pub(super) fn versions(toolchains: &Path) -> Vec<String> {
        let directories = places(toolchains).into_iter().filter_map(|place| fs::read_dir(place).ok());
        let mut versions: Vec<u32> = directories
            .flatten()
            .flatten()
            .filter(|entry| entry.path().join("bin/postgres").exists())
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        versions.sort_unstable();
        versions.dedup();
        versions.iter().rev().map(u32::to_string).collect()
    }

    pub(super) fn of(toolchains: &Path, version: &str) -> Result<Install, Problem> {
        let prefixes = places(toolchains).map(|place| place.join(version));
        let found = prefixes.into_iter().find(|prefix| prefix.join("bin/postgres").exists());
        found.map(|prefix| Install { prefix }).ok_or_else(|| {
            let title = format!("PostgreSQL {version} is not installed on this machine");
            Problem::new(Kind::Unavailable, "addon.not-installed", title)
                .detail(format!(
                    "looked for {version}/bin/postgres in {DEBIAN} and {}",
                    toolchains.join("postgresql").display()
                ))
                .hint(format!("apt-get install postgresql-{version}"))
        })
    }

    pub(super) fn program(&self, name: &str) -> String {
        self.prefix.join("bin").join(name).to_string_lossy().into_owned()
    }

    /// Lets a job see what was brought along, with its libraries beside it.
    pub(super) fn show(&self, job: &mut Job) {
        if self.prefix.starts_with(DEBIAN) {
            return;
        }
        let (source, target) = (self.prefix.clone(), self.prefix.clone());
        job.sandbox.mounts.push(Mount { source, target, writable: false });
        job.env.insert("LD_LIBRARY_PATH".into(), self.prefix.join("lib").to_string_lossy().into_owned());
    }
}
