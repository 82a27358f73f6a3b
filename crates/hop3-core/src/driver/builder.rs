// SPDX-License-Identifier: Apache-2.0
//! `Builder`: recognises a source and says how to build it. Pure: reads the tree, runs nothing, writes nothing.

use crate::plan::BuildPlan;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::source::SourceTree;

/// Why a builder took a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// In words a user reads: `requirements.txt is there`.
    pub reason: String,
}

pub trait Builder: Send + Sync {
    /// Lower-case name: `python`. Unique, also the word for `[build] builder`.
    fn name(&self) -> &str;

    /// What is looked for, for the problem told when nobody recognised the source: `requirements.txt, pyproject.toml`.
    fn looks_for(&self) -> &str;

    /// Tells whether this source is for this builder. Cheap: a few file look-ups.
    fn detect(&self, source: &SourceTree, settings: &Settings) -> Option<Detected>;

    /// Makes the plan.
    ///
    /// # Errors
    /// What the author must mend before a build can work: a missing lock file entry, an impossible version.
    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem>;
}
