// SPDX-License-Identifier: Apache-2.0
//! `Node`: puts the parts together. A site needs its output alone; a server needs everything.

use super::install::{Install, Place};
use super::package::Package;
use super::{site, start};
use crate::builders::author;
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::name::ProcessName;
use hop3_core::plan::{BuildPlan, Step, Toolchain};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

pub struct Node;

impl Builder for Node {
    fn name(&self) -> &'static str {
        "node"
    }

    fn looks_for(&self) -> &'static str {
        "package.json"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["package.json"])
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let package = Package::read(source)?;
        let mut plan = front_end(source, settings, &package)?;
        if !author::names_no_process(settings) {
            return Ok(plan);
        }
        match site::find(source, &package, settings)? {
            Some(site) => {
                // The root of the app may hold anything; only the output is for visitors.
                plan.keep = vec![site.directory.clone()];
                plan.statics = vec![site];
            }
            None => {
                let web = start::command(source, &package);
                plan.processes = web.map(|command| (ProcessName::web(), command)).into_iter().collect();
            }
        }
        Ok(plan)
    }
}

/// Tells whether a tree of another language has a front end that is built by Node.
pub(in crate::builders) fn has_front_end(source: &SourceTree) -> bool {
    Package::read(source).is_ok_and(|package| package.build_script().is_some())
}

/// The plan of a front end beside an app of another language.
pub(in crate::builders) fn front_end_of(
    source: &SourceTree,
    settings: &Settings,
) -> Result<BuildPlan, Problem> {
    front_end(source, settings, &Package::read(source)?)
}

/// Everything but what runs: toolchains, layer, steps, environment.
fn front_end(source: &SourceTree, settings: &Settings, package: &Package) -> Result<BuildPlan, Problem> {
    let install = Install::find(source, package)?;
    let mut toolchains = vec![node(source, settings, package)?];
    toolchains.extend(install.toolchain());
    let build = package.build_script().map(|script| build_step(&install, script));
    let (layers, mut steps) = match install.place() {
        Place::Layer => (vec![install.layer(build.is_none())], Vec::new()),
        Place::App => (Vec::new(), install.steps()),
    };
    if install.place() == Place::Layer && build.is_some() {
        steps.push(install.link());
    }
    let env = install.env();
    let own: Vec<Step> = author::build_steps(settings, &env, build.into_iter().collect());
    steps.extend(own);
    let path = format!("{{app}}/node_modules/.bin:{}", author::path_of(&toolchains));
    Ok(BuildPlan {
        builder: "node".into(),
        reason: author::reason(Node.detect(source, settings), "node"),
        toolchains,
        layers,
        caches: vec![install.cache().into()],
        steps,
        env: author::env(&[("PATH", &path), ("NODE_ENV", "production")]),
        warnings: install.warnings(),
        ..BuildPlan::default()
    })
}

/// Always npm, which comes with node: pnpm would install once more before it runs a script.
fn build_step(install: &Install, script: &str) -> Step {
    let mut step = Step::new(
        &format!("Running the script \"{script}\" of package.json"),
        Command::exec(["npm", "run", script]),
    );
    step.hint =
        format!("run \"{} run {script}\" on your own machine to see the same failure", install.program());
    step
}

/// Versions such as `lts/*` name no number: any will do.
fn node(source: &SourceTree, settings: &Settings, package: &Package) -> Result<Toolchain, Problem> {
    let pinned = match author::pinned(source, settings, "node", ".nvmrc", "nodejs")? {
        Some(pinned) if pinned.source != ".tool-versions" => Some(pinned),
        other => author::pinned(source, settings, "node", ".node-version", "nodejs")?.or(other),
    };
    let asked = pinned.or_else(|| {
        let version = package.engines.node.as_deref()?;
        Some(author::wanted("node", version, "package.json"))
    });
    Ok(match asked {
        Some(asked) if asked.version.starts_with(|c: char| c.is_ascii_alphabetic() && c != 'v') => {
            author::any("node")
        }
        Some(asked) => asked,
        None => author::any("node"),
    })
}
