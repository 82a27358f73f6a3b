// SPDX-License-Identifier: Apache-2.0
//! Elixir: dependencies by Hex, compiled for production, run by Mix or Phoenix.
//!
//! Upstream: the Mix and Phoenix deployment guides. Needs `elixir` (with Erlang).

use super::author;
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Step, Toolchain};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

pub struct Elixir;

impl Builder for Elixir {
    fn name(&self) -> &'static str {
        "elixir"
    }

    fn looks_for(&self) -> &'static str {
        "mix.exs"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["mix.exs"])
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let project = Project::parse(&source.read("mix.exs")?.unwrap_or_default());
        let toolchains = vec![toolchain(source, settings, &project)?];
        let mut env = author::env(&[
            ("MIX_ENV", "prod"),
            // Erlang reads file names by the locale and warns at every start without one.
            ("LANG", "C.UTF-8"),
            ("PATH", &author::path_of(&toolchains)),
        ]);
        if project.is_phoenix {
            env.insert("PHX_SERVER".into(), "true".into());
        }
        let step_env = author::env(&[("HEX_HOME", "{cache:hex}"), ("MIX_HOME", "{cache:mix}")]);
        Ok(BuildPlan {
            builder: "elixir".into(),
            reason: author::reason(self.detect(source, settings), "elixir"),
            toolchains,
            caches: vec!["hex".into(), "mix".into()],
            steps: author::build_steps(settings, &step_env, build_steps(source, &project)),
            env,
            processes: author::web(settings, Some(server(&project))),
            warnings: warnings(source, &project),
            ..BuildPlan::default()
        })
    }
}

/// What mix.exs says.
#[derive(Debug, Default, PartialEq)]
struct Project {
    /// `~> 1.14`
    elixir: Option<String>,
    has_dependencies: bool,
    is_phoenix: bool,
    has_assets: bool,
    /// The only release of the project.
    release: Option<String>,
}

impl Project {
    /// Looks at words, since mix.exs is a program: a dependency is a tuple that begins with an atom.
    fn parse(text: &str) -> Project {
        let lines = || text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
        let elixir = lines().find_map(|line| {
            let value = line.split_once("elixir:")?.1;
            value.split('"').nth(1).map(str::to_owned)
        });
        Project {
            elixir,
            has_dependencies: lines().any(|line| line.contains("{:")),
            is_phoenix: lines().any(|line| line.contains("{:phoenix,")),
            has_assets: lines().any(|line| line.contains("\"assets.deploy\"")),
            release: release(text),
        }
    }
}

/// `releases: [shop: [...]]` names the release `shop`; two of them leave the choice to the author.
fn release(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("releases: [")?;
    let (name, options) = rest.split_once(':')?;
    let name = name.trim();
    let is_atom = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_good = !name.is_empty() && name.chars().all(is_atom);
    let is_alone = after_list(options.trim_start())?.trim_start().starts_with(']');
    (is_good && is_alone).then(|| name.to_owned())
}

/// What follows the list that `text` begins with.
fn after_list(text: &str) -> Option<&str> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (at > 0).then(|| &text[at + 1..]);
        }
    }
    None
}

fn toolchain(source: &SourceTree, settings: &Settings, project: &Project) -> Result<Toolchain, Problem> {
    if let Some(pin) = author::pinned(source, settings, "elixir", ".elixir-version", "elixir")? {
        return Ok(pin);
    }
    Ok(match &project.elixir {
        Some(version) => author::wanted("elixir", version, "mix.exs"),
        None => author::any("elixir"),
    })
}

fn build_steps(source: &SourceTree, project: &Project) -> Vec<Step> {
    let mix = |title: &str, arguments: &[&str]| {
        Step::new(title, Command::exec(["mix"].iter().chain(arguments).copied()))
    };
    let mut steps = Vec::new();
    if project.has_dependencies {
        steps.push(mix("Installing Hex", &["local.hex", "--force", "--if-missing"]));
        steps.push(mix("Installing Rebar", &["local.rebar", "--force", "--if-missing"]));
        let mut get = mix("Fetching dependencies with Hex", &["deps.get", "--only", "prod"]);
        get.hint = "run \"mix deps.get\" on your machine and commit mix.lock".into();
        // Refuses a lock file that does not fit instead of writing another.
        if source.has("mix.lock") {
            get.command = Command::exec(["mix", "deps.get", "--only", "prod", "--check-locked"]);
        }
        steps.push(get);
        steps.push(mix("Compiling dependencies", &["deps.compile"]));
    }
    if project.has_assets {
        steps.push(mix("Building assets", &["assets.deploy"]));
    }
    let mut compile = mix("Compiling", &["compile"]);
    compile.hint = "run \"MIX_ENV=prod mix compile\" on your machine to see the same message".into();
    steps.push(compile);
    if project.release.is_some() {
        steps.push(mix("Making the release", &["release", "--overwrite"]));
    }
    steps
}

fn server(project: &Project) -> Command {
    match (&project.release, project.is_phoenix) {
        (Some(name), _) => Command::exec([format!("_build/prod/rel/{name}/bin/{name}"), "start".into()]),
        // Neither may compile nor look at dependencies: the artifact is read-only and complete.
        (None, true) => Command::exec(["mix", "phx.server", "--no-compile", "--no-deps-check"]),
        (None, false) => Command::exec(["mix", "run", "--no-halt", "--no-compile", "--no-deps-check"]),
    }
}

fn warnings(source: &SourceTree, project: &Project) -> Vec<String> {
    let is_missing = project.has_dependencies && !source.has("mix.lock");
    let text = "there is no mix.lock: run \"mix deps.get\" and commit it, so that every build uses the same packages";
    if is_missing { vec![text.into()] } else { Vec::new() }
}

#[cfg(test)]
mod tests;
