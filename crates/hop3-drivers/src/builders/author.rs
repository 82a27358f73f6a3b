// SPDX-License-Identifier: Apache-2.0
//! What the author of an app may say in the same way for every language: which toolchain version, which build
//! command, which processes. The author's word always wins over what a builder would do.

use hop3_core::driver::Detected;
use hop3_core::name::ProcessName;
use hop3_core::plan::{Step, Toolchain};
use hop3_core::problem::Span;
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use serde_json::Value;
use std::collections::BTreeMap;

/// Tells that one of these files is there.
pub(crate) fn detected_by(source: &SourceTree, files: &[&str]) -> Option<Detected> {
    let file = files.iter().find(|file| source.has(file))?;
    Some(Detected { reason: format!("{file} is there") })
}

/// The reason of a plan, also for an app whose author forced the builder.
pub(crate) fn reason(detected: Option<Detected>, builder: &str) -> String {
    detected.map_or_else(|| format!("hop3.toml asks for the builder {builder}"), |detected| detected.reason)
}

/// A toolchain of any version.
pub(crate) fn any(name: &str) -> Toolchain {
    Toolchain { name: name.into(), version: String::new(), source: String::new() }
}

pub(crate) fn wanted(name: &str, version: impl Into<String>, file: &str) -> Toolchain {
    Toolchain { name: name.into(), version: version.into(), source: file.into() }
}

/// The version asked for in hop3.toml, in `version_file` (`.ruby-version`) or in `.tool-versions`, where the language
/// may go by another name; in this order.
pub(crate) fn pinned(
    source: &SourceTree,
    settings: &Settings,
    name: &str,
    version_file: &str,
    alias: &str,
) -> Result<Option<Toolchain>, Problem> {
    if let Some(version) = settings.build.versions.get(name) {
        return Ok(Some(wanted(name, version, "hop3.toml")));
    }
    if !version_file.is_empty()
        && let Some(version) = source.read(version_file)?.as_deref().and_then(first_word)
    {
        return Ok(Some(wanted(name, bare_version(version), version_file)));
    }
    let listed = source.read(".tool-versions")?.unwrap_or_default();
    let version = listed.lines().filter_map(without_comment).find_map(|line| {
        let mut words = line.split_whitespace();
        let tool = words.next()?;
        (tool == name || tool == alias).then(|| words.next())?
    });
    Ok(version.map(|version| wanted(name, bare_version(version), ".tool-versions")))
}

/// The steps of a build: the author's own command lines, else the builder's.
pub(crate) fn build_steps(settings: &Settings, env: &BTreeMap<String, String>, own: Vec<Step>) -> Vec<Step> {
    let with_env = |step: Step| Step { env: env.clone().into_iter().chain(step.env).collect(), ..step };
    if settings.build.command.is_empty() {
        return own.into_iter().map(with_env).collect();
    }
    let lines = settings.build.command.iter();
    lines.map(|line| with_env(Step::new(&format!("Running {line}"), Command::shell(line)))).collect()
}

/// Tells that the author named no process, so that the builder's default is wanted.
pub(crate) fn names_no_process(settings: &Settings) -> bool {
    settings.run.processes.is_empty()
}

/// A process table with `web` alone, for an author who named none.
pub(crate) fn web(settings: &Settings, command: Option<Command>) -> BTreeMap<ProcessName, Command> {
    let command = command.filter(|_| names_no_process(settings));
    command.map(|command| (ProcessName::web(), command)).into_iter().collect()
}

/// Runs a fixed script by the shell, which alone knows `$PORT`; what comes from the app goes in as `$1`, `$2`, …,
/// never into the script.
pub(crate) fn scripted(script: &str, arguments: &[&str]) -> Command {
    // The shell takes the first word after a script for its own name.
    let name = (!arguments.is_empty()).then_some("sh");
    let fixed = ["/bin/sh", "-c", script];
    Command::exec(fixed.into_iter().chain(name).chain(arguments.iter().copied()))
}

pub(crate) fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The `PATH` of a plan: the programs of these toolchains first.
pub(crate) fn path_of(toolchains: &[Toolchain]) -> String {
    let folders: Vec<String> = toolchains.iter().map(|t| format!("{{toolchain:{}}}/bin", t.name)).collect();
    folders.join(":")
}

/// Reads a JSON file that the author wrote.
pub(crate) fn json(file: &str, text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
        let offset = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
        Problem::new(Kind::Config, "source.bad-json", format!("{file} is not valid JSON"))
            .detail(error.to_string())
            .span(Span::at(file, text, offset))
    })
}

fn first_word(text: &str) -> Option<&str> {
    text.lines().find_map(without_comment)?.split_whitespace().next()
}

fn without_comment(line: &str) -> Option<&str> {
    let line = line.split('#').next()?.trim();
    (!line.is_empty()).then_some(line)
}

/// Version files name vendors and products too: `ruby-3.1.2`, `v1.2.0`, `temurin-17.0.9+9`, `1.14.2-otp-25`.
fn bare_version(text: &str) -> &str {
    let start = text.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let version = &text[start..];
    version.split(['-', '+']).next().unwrap_or(version)
}

#[cfg(test)]
mod tests;
