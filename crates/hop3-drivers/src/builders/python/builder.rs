// SPDX-License-Identifier: Apache-2.0
//! `Python`: puts the parts together. Each of them is decided in a file of its own.

use super::manifest::Manifest;
use super::{django, install, project, version, web};
use crate::builders::author;
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::name::ProcessName;
use hop3_core::plan::BuildPlan;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

/// Files that make a tree without a manifest a Python app.
const ENTRIES: &[&str] = &["manage.py", "wsgi.py", "asgi.py", "app.py", "main.py"];

/// Beside one of these, such a file is a script.
const OTHERS: &[&str] =
    &["package.json", "go.mod", "Cargo.toml", "Gemfile", "composer.json", "mix.exs", "pom.xml", "deno.json"];

pub struct Python;

impl Builder for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn looks_for(&self) -> &'static str {
        "requirements.txt, pyproject.toml, Pipfile, setup.py, manage.py, wsgi.py, asgi.py, app.py, main.py"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        if let Some(reason) = Manifest::file(source) {
            return Some(Detected { reason });
        }
        let is_script = OTHERS.iter().any(|file| source.has(file));
        author::detected_by(source, ENTRIES).filter(|_| !is_script)
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let manifest = Manifest::read(source)?;
        let found = web::find(source, settings)?;
        let django = django::find(source)?;
        let project = project::find(source)?;
        let server =
            found.as_ref().map(|web| web.server).filter(|server| !manifest.declares(server.package()));
        let own =
            django.iter().filter_map(|django| django.collect_static()).chain(project.install()).collect();
        let mut warnings = manifest.warnings.clone();
        warnings.extend(found.iter().filter_map(|web| web.warning.clone()));
        Ok(BuildPlan {
            builder: "python".into(),
            reason: author::reason(self.detect(source, settings), "python"),
            toolchains: vec![version::asked(source, settings)?, author::any("uv")],
            layers: vec![install::layer(&manifest, server)],
            caches: vec![install::CACHE.into()],
            steps: author::build_steps(settings, &install::env(), own),
            env: author::env(&[
                ("PATH", &project.path()),
                ("PYTHONPATH", &project.python_path()),
                ("PYTHONUNBUFFERED", "1"),
                ("VIRTUAL_ENV", install::VENV),
            ]),
            processes: found.iter().map(|web| (ProcessName::web(), web.command())).collect(),
            statics: django.iter().filter_map(|django| django.statics()).collect(),
            warnings,
            ..BuildPlan::default()
        })
    }
}
