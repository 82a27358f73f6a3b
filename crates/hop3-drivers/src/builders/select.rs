// SPDX-License-Identifier: Apache-2.0
//! `plan`: finds the builder and completes its plan with what the author says for every language alike. The plan that
//! comes out is whole: all steps in order, every process, every static directory, every warning.

use hop3_core::driver::Builder;
use hop3_core::plan::{BuildPlan, StaticSite, Step};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use std::sync::Arc;

/// Makes the plan of a source.
///
/// # Errors
/// `build.nothing-recognised`, `build.unknown-builder`, or what the builder says.
pub fn plan(
    builders: &[Arc<dyn Builder>],
    source: &SourceTree,
    settings: &Settings,
) -> Result<BuildPlan, Problem> {
    let builder = match &settings.build.builder {
        Some(name) => builders.iter().find(|b| b.name() == name).ok_or_else(|| unknown(builders, name))?,
        None => builders
            .iter()
            .find(|builder| builder.detect(source, settings).is_some())
            .ok_or_else(|| nothing_recognised(builders, source))?,
    };
    let plan = builder.plan(source, settings)?;
    complete(plan, source, settings)
}

fn complete(mut plan: BuildPlan, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
    let own = std::mem::take(&mut plan.steps);
    plan.steps = [lines(&settings.build.before), own, lines(&settings.build.after)].concat();
    for (name, line) in &settings.run.processes {
        plan.processes.insert(name.clone(), Command::shell(line));
    }
    for (prefix, directory) in &settings.run.statics {
        if plan.steps.is_empty() && !source.has_dir(directory) {
            return Err(no_directory(directory));
        }
        plan.statics.retain(|site| site.prefix != *prefix);
        plan.statics.push(StaticSite { prefix: prefix.clone(), directory: directory.clone(), spa: false });
    }
    // A site made by a generator in any language.
    if let (Some(directory), true) = (&settings.build.static_dir, plan.processes.is_empty()) {
        let is_served = plan.statics.iter().any(|site| site.prefix == "/");
        let site = StaticSite { prefix: "/".into(), directory: directory.clone(), spa: false };
        plan.statics.extend((!is_served).then_some(site));
    }
    if plan.processes.is_empty() && plan.statics.is_empty() {
        return Err(nothing_to_run(&plan));
    }
    let said = std::mem::take(&mut plan.warnings);
    plan.warnings = [settings.warnings.clone(), said].concat();
    Ok(plan)
}

/// The author's own command lines as steps.
pub(super) fn lines(lines: &[String]) -> Vec<Step> {
    lines.iter().map(|line| Step::new(&format!("Running {line}"), Command::shell(line))).collect()
}

pub(super) fn no_directory(directory: &str) -> Problem {
    Problem::new(
        Kind::User,
        "static.no-directory",
        format!("the directory \"{directory}\" is to be served, but it is not there"),
    )
    .hint("commit it, or name the command that makes it as \"build\" in hop3.toml")
}

fn unknown(builders: &[Arc<dyn Builder>], name: &str) -> Problem {
    let names: Vec<&str> = builders.iter().map(|b| b.name()).collect();
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    Problem::new(Kind::Config, "build.unknown-builder", format!("there is no builder \"{shown}\""))
        .detail(format!("builders: {}", names.join(", ")))
        .hint("remove \"builder\" from hop3.toml to have it chosen by the files of the app")
}

fn nothing_recognised(builders: &[Arc<dyn Builder>], source: &SourceTree) -> Problem {
    let looked: Vec<String> = builders.iter().map(|b| format!("  {}: {}", b.name(), b.looks_for())).collect();
    Problem::new(Kind::User, "build.nothing-recognised", "Hop3 does not recognise what kind of app this is")
        .detail(format!("in the tree: {}\nlooked for:\n{}", contents(source), looked.join("\n")))
        .hint("add one of these files, or a Procfile with a line such as \"web: ./start\"")
}

/// The names at the top, a few of them.
fn contents(source: &SourceTree) -> String {
    const SHOWN: usize = 12;
    let names: Vec<String> = source.list("").into_iter().filter(|name| name != ".git").collect();
    if names.is_empty() {
        return "nothing".into();
    }
    let shown = |name: &String| name.chars().take(60).flat_map(char::escape_debug).collect::<String>();
    let list: Vec<String> = names.iter().take(SHOWN).map(shown).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => list.join(", "),
        more => format!("{} and {more} more", list.join(", ")),
    }
}

fn nothing_to_run(plan: &BuildPlan) -> Problem {
    Problem::new(Kind::User, "build.nothing-to-run", "nothing says how this app is started")
        .detail(format!("the builder is {} ({})", plan.builder, plan.reason))
        .hint("add a Procfile with a line such as \"web: ./start\"; the app must listen on $PORT")
}
