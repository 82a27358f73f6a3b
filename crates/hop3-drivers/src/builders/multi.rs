// SPDX-License-Identifier: Apache-2.0
//! Python with a front end that Node builds: the front end first, since the Python side collects or serves its output.

use super::node;
use super::python::Python;
use super::{author, select};
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::BuildPlan;
use hop3_core::settings::{BuildSettings, Settings};
use hop3_core::source::SourceTree;

/// Files that mean Python beyond doubt; `app.py` beside a `package.json` may be a script.
const MANIFESTS: &[&str] =
    &["requirements.txt", "pyproject.toml", "Pipfile", "Pipfile.lock", "uv.lock", "poetry.lock", "manage.py"];

pub struct Multi;

impl Builder for Multi {
    fn name(&self) -> &'static str {
        "multi"
    }

    fn looks_for(&self) -> &'static str {
        "a Python manifest beside a package.json with a \"build\" script"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        let python = author::detected_by(source, MANIFESTS)?;
        node::has_front_end(source)
            .then(|| Detected { reason: format!("{}, beside package.json", python.reason) })
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        // The author's own build command replaces the steps of both, once.
        let quiet = Settings {
            build: BuildSettings { command: Vec::new(), ..settings.build.clone() },
            ..settings.clone()
        };
        let front = node::front_end_of(source, &quiet)?;
        let back = Python.plan(source, &quiet)?;
        let own = [front.steps, back.steps].concat();
        let mut env = front.env;
        let path = [back.env["PATH"].clone(), env["PATH"].clone()].join(":");
        env.extend(back.env);
        env.insert("PATH".into(), path);
        Ok(BuildPlan {
            builder: "multi".into(),
            reason: author::reason(self.detect(source, settings), "multi"),
            toolchains: [front.toolchains, back.toolchains].concat(),
            layers: [front.layers, back.layers].concat(),
            caches: [front.caches, back.caches].concat(),
            steps: if settings.build.command.is_empty() {
                own
            } else {
                select::lines(&settings.build.command)
            },
            env,
            processes: back.processes,
            statics: back.statics,
            warnings: [front.warnings, back.warnings].concat(),
            ..BuildPlan::default()
        })
    }
}
