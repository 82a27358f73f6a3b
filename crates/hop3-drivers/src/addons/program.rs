// SPDX-License-Identifier: Apache-2.0
//! Where the programs of products lie that have no versions side by side: where Debian puts them, and where people put
//! what they bring along.

use hop3_core::{Kind, Problem};
use std::path::PathBuf;

pub(super) struct Product {
    pub title: &'static str,
    pub program: &'static str,
    /// Directories, the first one that has the program wins.
    pub places: &'static [&'static str],
    pub install: &'static str,
}

impl Product {
    pub(super) fn find(&self) -> Result<String, Problem> {
        let paths = self.places.iter().map(|place| PathBuf::from(place).join(self.program));
        let found = paths.into_iter().find(|path| path.exists());
        found.map(|path| path.to_string_lossy().into_owned()).ok_or_else(|| {
            let title = format!("{} is not installed on this machine", self.title);
            Problem::new(Kind::Unavailable, "addon.not-installed", title)
                .detail(format!("looked for {} in {}", self.program, self.places.join(" and ")))
                .hint(self.install)
        })
    }

    /// The same, and then the directories of this server's own `PATH`.
    pub(super) fn find_on_path(&self) -> Result<String, Problem> {
        self.find().or_else(|problem| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let places = std::env::split_paths(&path).filter(|place| place.is_absolute());
            let found = places.map(|place| place.join(self.program)).find(|path| path.exists());
            found.map(|path| path.to_string_lossy().into_owned()).ok_or(problem)
        })
    }

    /// As `KindFacts` has them: there is one, or none.
    pub(super) fn versions(&self) -> Vec<String> {
        if self.find().is_ok() { vec!["installed".to_owned()] } else { Vec::new() }
    }
}
