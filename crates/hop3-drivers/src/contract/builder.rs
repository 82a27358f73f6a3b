// SPDX-License-Identifier: Apache-2.0
//! The contract of `Builder`: judges a builder by what it says about one source. An answer is a list of broken rules
//! in words; a builder that keeps them all gets an empty one.

use hop3_core::driver::Builder;
use hop3_core::name::EnvKey;
use hop3_core::plan::{BuildPlan, Step};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

/// Judges a builder by one source, which it may or may not recognise.
pub fn broken_rules(builder: &dyn Builder, source: &SourceTree, settings: &Settings) -> Vec<String> {
    let mut broken = Broken::default();
    let name = builder.name();
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    broken.unless(!name.is_empty() && name.chars().all(is_word), "its name is not a lower-case word");
    broken.unless(!builder.looks_for().is_empty(), "it does not say what it looks for");
    let detected = builder.detect(source, settings);
    broken.unless(builder.detect(source, settings) == detected, "a second look detects something else");
    if let Some(detected) = &detected {
        broken.unless(!detected.reason.is_empty(), "it does not say why it takes the source");
    }
    let plan = builder.plan(source, settings);
    broken.unless(builder.plan(source, settings) == plan, "a second plan differs");
    match plan {
        Ok(plan) => judge_plan(&plan, name, source, settings, &mut broken),
        Err(problem) => {
            broken.unless(problem.code.contains('.'), "its problem has no dotted code");
            broken.unless(!problem.title.is_empty(), "its problem has no title");
        }
    }
    broken.0
}

/// Judges a plan alone.
pub fn broken_in_plan(plan: &BuildPlan, name: &str, source: &SourceTree, settings: &Settings) -> Vec<String> {
    let mut broken = Broken::default();
    judge_plan(plan, name, source, settings, &mut broken);
    broken.0
}

#[derive(Default)]
struct Broken(Vec<String>);

impl Broken {
    fn unless(&mut self, is_kept: bool, rule: impl Into<String>) {
        if !is_kept {
            self.0.push(rule.into());
        }
    }
}

fn judge_plan(plan: &BuildPlan, name: &str, source: &SourceTree, settings: &Settings, broken: &mut Broken) {
    broken.unless(plan.builder == name, "the plan is signed by another builder");
    broken.unless(!plan.reason.is_empty(), "the plan gives no reason");
    let text = serde_json::to_string(plan).unwrap_or_default();
    let read = serde_json::from_str::<BuildPlan>(&text).ok();
    broken.unless(read.as_ref() == Some(plan), "the plan changes when written and read again");
    let names_processes = !settings.run.processes.is_empty();
    broken.unless(plan.processes.is_empty() || !names_processes, "it adds processes to those of the author");
    judge_names(plan, broken);
    judge_paths(plan, source, broken);
    for step in all_steps(plan) {
        judge_step(step, broken);
    }
    for (process, command) in &plan.processes {
        broken.unless(is_runnable(command), format!("the process {process} has no command"));
    }
    judge_placeholders(plan, broken);
}

fn all_steps(plan: &BuildPlan) -> impl Iterator<Item = &Step> {
    plan.layers.iter().flat_map(|layer| &layer.steps).chain(&plan.steps)
}

fn judge_step(step: &Step, broken: &mut Broken) {
    let title = &step.title;
    broken.unless(!title.trim().is_empty() && !title.contains('\n'), "a step's title is not one line");
    broken.unless(is_runnable(&step.command), format!("the step \"{title}\" has no command"));
    let goes_inside = is_inside(&step.cwd) || step.cwd.starts_with('{') || step.cwd.is_empty();
    broken.unless(goes_inside, format!("the step \"{title}\" works outside the app"));
    for key in step.env.keys() {
        broken.unless(is_key(key), format!("the step \"{title}\" sets the impossible variable {key:?}"));
    }
}

fn is_runnable(command: &Command) -> bool {
    let argv = command.argv();
    let has_program = argv.first().is_some_and(|program| !program.is_empty());
    let has_line = !matches!(command, Command::Shell(line) if line.trim().is_empty());
    has_program && has_line && !argv.iter().any(|word| word.contains('\0'))
}

fn is_key(text: &str) -> bool {
    text.parse::<EnvKey>().is_ok()
}

/// Names that lead to a directory or to a line of the deploy log must lead to one only.
fn judge_names(plan: &BuildPlan, broken: &mut Broken) {
    let toolchains: Vec<&str> = plan.toolchains.iter().map(|t| t.name.as_str()).collect();
    let layers: Vec<&str> = plan.layers.iter().map(|l| l.name.as_str()).collect();
    let caches: Vec<&str> = plan.caches.iter().map(String::as_str).collect();
    let titles: Vec<&str> = all_steps(plan).map(|s| s.title.as_str()).collect();
    let lists = [("toolchain", &toolchains), ("layer", &layers), ("cache", &caches), ("step", &titles)];
    for (kind, names) in lists {
        let mut seen = BTreeSet::new();
        for name in names {
            broken.unless(seen.insert(name), format!("the {kind} \"{name}\" is there twice"));
        }
    }
    for name in toolchains.iter().chain(&layers).chain(&caches) {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        broken.unless(
            !name.is_empty() && name.chars().all(is_word),
            format!("{name:?} is not a lower-case word"),
        );
    }
    for key in plan.env.keys() {
        broken.unless(is_key(key), format!("the plan sets the impossible variable {key:?}"));
    }
}

fn judge_paths(plan: &BuildPlan, source: &SourceTree, broken: &mut Broken) {
    for layer in &plan.layers {
        broken.unless(!layer.steps.is_empty(), format!("the layer \"{}\" has no steps", layer.name));
        for input in &layer.inputs {
            broken.unless(is_inside(input), format!("the input {input:?} is outside the app"));
            broken.unless(source.has(input), format!("the input {input:?} is not there"));
        }
        for path in layer.links.iter().flat_map(|(link, target)| [link, target]) {
            broken.unless(is_inside(path), format!("the link {path:?} is outside the app or the layer"));
        }
    }
    for path in &plan.keep {
        broken.unless(is_inside(path), format!("it keeps {path:?}, which is outside the app"));
    }
    for site in &plan.statics {
        broken.unless(site.prefix.starts_with('/'), format!("the prefix {:?} has no slash", site.prefix));
        let directory = &site.directory;
        let goes_inside = is_inside(directory) || directory.starts_with('{');
        broken.unless(goes_inside, format!("it serves {directory:?}, which is outside the app"));
    }
}

fn is_inside(path: &str) -> bool {
    let goes_down = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    !path.is_empty() && Path::new(path).components().all(goes_down)
}

/// Every placeholder must be one that the executor can fill in where it stands.
fn judge_placeholders(plan: &BuildPlan, broken: &mut Broken) {
    let mut known: BTreeSet<String> = ["{app}".into(), "{data}".into()].into();
    known.extend(plan.toolchains.iter().map(|t| format!("{{toolchain:{}}}", t.name)));
    let at_runtime = known.clone();
    known.extend(plan.caches.iter().map(|name| format!("{{cache:{name}}}")));
    let mut layered = BTreeSet::new();
    for layer in &plan.layers {
        layered.insert(format!("{{layer:{}}}", layer.name));
        for step in &layer.steps {
            // A later layer is not there yet.
            judge_texts(texts_of_step(step), &[&known, &layered], &step.title, broken);
        }
    }
    for step in &plan.steps {
        judge_texts(texts_of_step(step), &[&known, &layered], &step.title, broken);
    }
    // Caches stay behind when the app runs.
    let running = [&at_runtime, &layered];
    judge_texts(plan.env.values().cloned().collect(), &running, "env", broken);
    let commands = plan.processes.values().flat_map(Command::argv);
    judge_texts(commands.collect(), &running, "processes", broken);
    judge_texts(plan.statics.iter().map(|s| s.directory.clone()).collect(), &running, "statics", broken);
}

fn texts_of_step(step: &Step) -> Vec<String> {
    let env = step.env.values().cloned();
    step.command.argv().into_iter().chain(env).chain([step.cwd.clone()]).collect()
}

fn judge_texts(texts: Vec<String>, known: &[&BTreeSet<String>], place: &str, broken: &mut Broken) {
    for placeholder in texts.iter().flat_map(|text| placeholders(text)) {
        let is_known = known.iter().any(|set| set.contains(&placeholder));
        broken.unless(is_known, format!("nothing fills in {placeholder} in \"{place}\""));
    }
}

/// `{word}` and `{word:name}`; braces of the shell (`${word}`) and of other languages are not meant.
fn placeholders(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == ':';
    let pieces = text.match_indices('{').filter(|(at, _)| !text[..*at].ends_with('$'));
    let inner = pieces.filter_map(|(at, _)| text[at + 1..].split_once('}').map(|(inner, _)| inner));
    let meant = inner.filter(|inner| !inner.is_empty() && inner.chars().all(is_part));
    meant.map(|inner| format!("{{{inner}}}")).collect()
}

/// Names and contents of a folder, to see that judging left it alone.
pub fn contents(folder: &Path) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            let kind = path.symlink_metadata()?.file_type();
            if kind.is_dir() {
                waiting.push(path);
                found.insert(name, Vec::new());
            } else if kind.is_file() {
                found.insert(name, std::fs::read(path)?);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
