// SPDX-License-Identifier: Apache-2.0
//! The app's own package. Most apps run from their folder; one that declares commands is installed beside its code,
//! in `.hop3/python`, so that the commands are there.

use super::install::{UV, VENV};
use hop3_core::Problem;
use hop3_core::plan::Step;
use hop3_core::sandbox::Command;
use hop3_core::source::SourceTree;

/// Inside the artifact, since it changes with the code.
const TARGET: &str = ".hop3/python";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Project {
    /// Modules lie at the top.
    Flat,
    /// Modules lie in `src/`.
    Src,
    /// It has commands of its own.
    Installed,
}

pub(super) fn find(source: &SourceTree) -> Result<Project, Problem> {
    let text = source.read("pyproject.toml")?.unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    let of = |outer: &str, inner: &str| table.get(outer).and_then(|t| t.get(inner));
    let has_commands =
        ["scripts", "gui-scripts", "entry-points"].iter().any(|key| of("project", key).is_some());
    let has_poetry_commands = of("tool", "poetry").is_some_and(|poetry| poetry.get("scripts").is_some());
    Ok(match table.contains_key("build-system") && (has_commands || has_poetry_commands) {
        true => Project::Installed,
        false if source.has_dir("src") => Project::Src,
        false => Project::Flat,
    })
}

impl Project {
    pub(super) fn path(self) -> String {
        match self {
            Project::Installed => format!("{{app}}/{TARGET}/bin:{VENV}/bin"),
            _ => format!("{VENV}/bin"),
        }
    }

    /// The app's folder too: a console script starts with its own folder at the front of `sys.path`, not this one.
    pub(super) fn python_path(self) -> String {
        match self {
            Project::Flat => "{app}".into(),
            Project::Src => "{app}/src:{app}".into(),
            Project::Installed => format!("{{app}}/{TARGET}:{{app}}"),
        }
    }

    pub(super) fn install(self) -> Option<Step> {
        let python = format!("{VENV}/bin/python");
        let arguments = [UV, "pip", "install", "--no-deps", "--python", &python, "--target", TARGET, "."];
        (self == Project::Installed)
            .then(|| Step::new("Installing the app's own commands", Command::exec(arguments)))
    }
}
