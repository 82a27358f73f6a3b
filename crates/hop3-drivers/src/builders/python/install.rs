// SPDX-License-Identifier: Apache-2.0
//! The layer `python`: a virtual environment and what the manifest asks for, always installed by uv. Poetry, PDM and
//! Pipenv are asked for one thing only: to write their lock file down as requirements, hashes included.

use super::manifest::{Manager, Manifest};
use super::web::Server;
use crate::builders::author;
use hop3_core::plan::{Layer, Step};
use hop3_core::sandbox::Command;
use std::collections::BTreeMap;

pub(super) const CACHE: &str = "uv";
pub(super) const VENV: &str = "{layer:python}/venv";
pub(super) const UV: &str = "{toolchain:uv}/bin/uv";
const PYTHON: &str = "{toolchain:python}/bin/python3";
const EXPORTED: &str = "{layer:python}/requirements.txt";

/// The environment of every step in which uv runs.
pub(super) fn env() -> BTreeMap<String, String> {
    author::env(&[
        ("UV_CACHE_DIR", "{cache:uv}"),
        // A hard link would let a later build write into a finished layer.
        ("UV_LINK_MODE", "copy"),
        // The layer is read-only when the app runs.
        ("UV_COMPILE_BYTECODE", "1"),
        ("UV_NO_PROGRESS", "1"),
        // The interpreter is a toolchain of the plan.
        ("UV_PYTHON_DOWNLOADS", "never"),
        ("UV_SYSTEM_CERTS", "1"),
        ("VIRTUAL_ENV", VENV),
    ])
}

pub(super) fn layer(manifest: &Manifest, server: Option<Server>) -> Layer {
    let mut steps = vec![uv("Creating a virtual environment", &["venv", "--python", PYTHON, VENV])];
    steps.extend(install(manifest.manager));
    if let Some(server) = server {
        let title = format!("Adding {}, which nothing declares", server.package());
        steps.push(uv(&title, &["pip", "install", server.requirement()]));
    }
    for step in &mut steps {
        step.env.extend(env());
    }
    Layer { name: "python".into(), inputs: manifest.inputs.clone(), steps, links: BTreeMap::new() }
}

fn install(manager: Manager) -> Vec<Step> {
    match manager {
        Manager::Uv => vec![sync()],
        Manager::Poetry => {
            let plugin =
                ["--with", "poetry-plugin-export", "poetry", "export", "--format", "requirements.txt"];
            vec![export("Poetry", &[&plugin[..], &["--output", EXPORTED]].concat()), requirements(EXPORTED)]
        }
        Manager::Pdm => {
            let export_args = ["pdm", "export", "--prod", "--format", "requirements", "--output", EXPORTED];
            vec![export("PDM", &export_args), requirements(EXPORTED)]
        }
        Manager::Pipenv => vec![export_pipfile(), requirements(EXPORTED)],
        Manager::Requirements => vec![requirements("requirements.txt")],
        Manager::Unlocked(file) => vec![requirements(file)],
        Manager::Nothing => Vec::new(),
    }
}

fn uv(title: &str, arguments: &[&str]) -> Step {
    Step::new(title, Command::exec([UV].iter().chain(arguments).copied()))
}

fn requirements(file: &str) -> Step {
    let mut step = uv("Installing dependencies with uv", &["pip", "install", "-r", file]);
    step.hint = "the lines above name the package; check its name and version, then push again".into();
    step
}

/// Dependencies alone: the project and its neighbours in a workspace are code.
fn sync() -> Step {
    let arguments =
        ["sync", "--frozen", "--no-dev", "--no-editable", "--no-install-project", "--python", PYTHON];
    let mut step = uv("Installing dependencies from uv.lock", &arguments);
    step.env.insert("UV_PROJECT_ENVIRONMENT".into(), VENV.into());
    step.hint = "run \"uv lock\" and commit uv.lock".into();
    step
}

/// Runs a tool from uv's cache; it never enters the app's environment.
fn export(tool: &str, arguments: &[&str]) -> Step {
    let lock = tool.to_lowercase();
    let tool_run = [&["tool", "run", "--python", PYTHON], arguments].concat();
    let mut step = uv(&format!("Reading {lock}.lock with {tool}"), &tool_run);
    step.hint = format!("run \"{lock} lock\" and commit {lock}.lock");
    step
}

/// Pipenv writes to its output only.
fn export_pipfile() -> Step {
    let script = "exec \"$1\" tool run --python \"$2\" pipenv requirements --hash > \"$3\"";
    let mut step =
        Step::new("Reading Pipfile.lock with Pipenv", author::scripted(script, &[UV, PYTHON, EXPORTED]));
    // It would look for, and make, an environment of its own.
    step.env = author::env(&[("PIPENV_VERBOSITY", "-1"), ("PIPENV_IGNORE_VIRTUALENVS", "1")]);
    step.hint = "run \"pipenv lock\" and commit Pipfile.lock".into();
    step
}
