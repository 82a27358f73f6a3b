// SPDX-License-Identifier: Apache-2.0
//! Which versions of PostgreSQL this machine has, where Debian puts them and where people put what they bring along.

use hop3_core::{Kind, Problem};
use std::fs;
use std::path::PathBuf;

/// Each has a directory `<version>/bin` for every version.
const PLACES: [&str; 2] = ["/usr/lib/postgresql", "/opt/postgresql"];

pub(super) struct Install {
    programs: PathBuf,
}

impl Install {
    /// Newest first.
    pub(super) fn versions() -> Vec<String> {
        let directories = PLACES.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
        let mut versions: Vec<u32> = directories
            .filter(|entry| entry.path().join("bin/postgres").exists())
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        versions.sort_unstable();
        versions.dedup();
        versions.iter().rev().map(u32::to_string).collect()
    }

    pub(super) fn of(version: &str) -> Result<Install, Problem> {
        let places = PLACES.iter().map(|place| PathBuf::from(place).join(version).join("bin"));
        let found = places.into_iter().find(|programs| programs.join("postgres").exists());
        found.map(|programs| Install { programs }).ok_or_else(|| {
            Problem::new(
                Kind::Unavailable,
                "addon.not-installed",
                format!("PostgreSQL {version} is not installed on this machine"),
            )
            .detail(format!("looked for {version}/bin/postgres in {}", PLACES.join(" and ")))
            .hint(format!("apt-get install postgresql-{version}"))
        })
    }

    pub(super) fn program(&self, name: &str) -> String {
        self.programs.join(name).to_string_lossy().into_owned()
    }
}
