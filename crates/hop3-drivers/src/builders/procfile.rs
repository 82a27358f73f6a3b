// SPDX-License-Identifier: Apache-2.0
//! Apps that say themselves how they are built and run: a `build:` line, processes, and toolchains by name in
//! `[build.versions]`. Asked last, since every app may have a Procfile.

use super::{author, select};
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Toolchain};
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

pub struct ProcfileOnly;

impl Builder for ProcfileOnly {
    fn name(&self) -> &'static str {
        "procfile"
    }

    fn looks_for(&self) -> &'static str {
        "processes in a Procfile or hop3.toml"
    }

    fn detect(&self, _source: &SourceTree, settings: &Settings) -> Option<Detected> {
        let name = settings.run.processes.keys().next()?;
        Some(Detected { reason: format!("the author says how \"{name}\" is run") })
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let versions = settings.build.versions.iter();
        let toolchains: Vec<Toolchain> =
            versions.map(|(name, version)| author::wanted(name, version, "hop3.toml")).collect();
        let path = author::path_of(&toolchains);
        Ok(BuildPlan {
            builder: "procfile".into(),
            reason: author::reason(self.detect(source, settings), "procfile"),
            env: if path.is_empty() { Default::default() } else { author::env(&[("PATH", &path)]) },
            steps: select::lines(&settings.build.command),
            toolchains,
            ..BuildPlan::default()
        })
    }
}
