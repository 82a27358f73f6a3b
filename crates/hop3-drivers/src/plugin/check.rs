// SPDX-License-Identifier: Apache-2.0
//! Judges a plugin: the contract suites of drivers over what it provides, and a call of each kind that it wants.

mod addon;

pub(super) use addon::addon;

use super::builder::{Missed, PluginBuilder};
use super::program::Program;
use crate::contract;
use hop3_core::driver::Builder;
use hop3_core::event::{Event, EventRow};
use hop3_core::plugin::{
    BuilderOffer, EventCall, HookAnswer, HookCall, Panel, PanelCall, PluginReport, method,
};
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// Sources that nobody would write, in each file that a builder looks for.
const TEXTS: [&str; 4] = ["", "{", "[[[", "\u{202e}\n\r\n\t\"'#{:("];

pub(super) fn check(program: &Arc<Program>, scratch: &Path) -> Result<PluginReport, Problem> {
    let mut report = PluginReport { checked: vec!["hello".to_owned()], broken: Vec::new() };
    let introduction = &program.accepted.introduction;
    judge_words(program, &mut report);
    for offer in &introduction.provides.builders {
        report.checked.push(format!("builder {}", offer.name));
        let sources = Sources::make(scratch, program.folder(), offer);
        for folder in sources.map_err(not_made)?.0 {
            judge_builder(program, offer, &folder, &mut report)?;
        }
    }
    std::fs::remove_dir_all(scratch).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(not_made(error)),
    })?;
    if !introduction.permissions.events.is_empty() {
        report.checked.push("event".to_owned());
        let event = EventRow { id: 1, time_ms: 0, app: None, deployment: None, event: sample() };
        note(program.call::<Value>(method::EVENT, &EventCall { event }).map(drop), &mut report);
    }
    for hook in &introduction.permissions.hooks {
        report.checked.push(format!("hook {} {}", hook.when.as_str(), hook.step.as_str()));
        let call = HookCall {
            when: hook.when,
            step: hook.step,
            app: "check".to_owned(),
            url: "http://check.localhost".to_owned(),
            deployment: None,
            config: Default::default(),
        };
        note(program.call::<HookAnswer>(method::HOOK, &call).map(drop), &mut report);
    }
    for offer in &introduction.provides.panels {
        report.checked.push(format!("panel {}", offer.name));
        let call = PanelCall { panel: offer.name.clone(), app: None };
        note(program.call::<Panel>(method::PANEL, &call).and_then(|panel| table(&panel)), &mut report);
    }
    Ok(report)
}

/// A panel is a table.
fn table(panel: &Panel) -> Result<(), Problem> {
    match panel.rows.iter().all(|row| row.len() == panel.columns.len()) {
        true => Ok(()),
        false => {
            let title = "a row of a panel is longer or shorter than its head";
            Err(Problem::new(Kind::Plugin, "plugin.bad-panel", title))
        }
    }
}

fn sample() -> Event {
    Event::Warned { text: "this is a check".to_owned() }
}

fn note(outcome: Result<(), Problem>, report: &mut PluginReport) {
    report.broken.extend(outcome.err().map(|problem| problem.render()));
}

fn judge_words(program: &Program, report: &mut PluginReport) {
    let introduction = &program.accepted.introduction;
    let provides = &introduction.provides;
    let commands = provides.commands.iter().map(|offer| &offer.name);
    let names = commands.chain(provides.panels.iter().map(|offer| &offer.name));
    let is_word = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let bad = names.filter(|name| !is_word(name));
    report.broken.extend(bad.map(|name| format!("the name {name:?} is not a lower-case word")));
    if introduction.version.trim().is_empty() {
        report.broken.push("it does not say its version".to_owned());
    }
}

/// The contract of builders, for one source.
fn judge_builder(
    program: &Arc<Program>,
    offer: &BuilderOffer,
    folder: &Path,
    report: &mut PluginReport,
) -> Result<(), Problem> {
    let source = SourceTree::open(folder)?;
    let settings = hop3_core::config::load(&source).unwrap_or_else(|_| Settings::default());
    let missed = Missed::default();
    let builder =
        PluginBuilder { program: Arc::clone(program), offer: offer.clone(), missed: Arc::clone(&missed) };
    let detected = builder.detect(&source, &settings).is_some();
    let mut rules = Vec::new();
    if detected {
        rules.extend(contract::builder::broken_rules(&builder, &source, &settings));
        // A problem of the author's is an answer; one of the plugin's own is none.
        let plan = builder.plan(&source, &settings).err();
        rules.extend(plan.filter(|problem| problem.kind == Kind::Plugin).map(|problem| problem.render()));
    }
    let place = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let missed = std::mem::take(&mut *missed.lock().unwrap_or_else(PoisonError::into_inner));
    let told = rules.into_iter().chain(missed.iter().map(Problem::render));
    report.broken.extend(told.map(|rule| format!("builder {} on {place}: {rule}", offer.name)));
    Ok(())
}

/// Folders that a builder is judged by: its own examples, and sources that are odd in what it looks for.
struct Sources(Vec<PathBuf>);

impl Sources {
    fn make(scratch: &Path, plugin: &Path, offer: &BuilderOffer) -> std::io::Result<Sources> {
        let mut folders = Vec::new();
        for (number, text) in TEXTS.into_iter().enumerate() {
            let folder = scratch.join(format!("odd-{number}"));
            std::fs::create_dir_all(&folder)?;
            for name in offer.when.iter().map(|name| name.replace('*', "odd")) {
                // A name that leads elsewhere is none.
                if Path::new(&name).components().count() == 1 && !name.starts_with('.') {
                    std::fs::write(folder.join(name), text)?;
                }
            }
            folders.push(folder);
        }
        if let Ok(examples) = std::fs::read_dir(plugin.join("examples")) {
            folders
                .extend(examples.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()));
        }
        Ok(Sources(folders))
    }
}

fn not_made(error: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Bug, "plugin.not-checked", "the plugin cannot be judged here")
        .detail(error.to_string())
}
