// SPDX-License-Identifier: Apache-2.0
//! `load`: finds the files and joins what they say. `hop3/` is looked into before the top; `hop3.toml` wins over the
//! `Procfile`, process by process; `app.json` counts only where there is no `hop3.toml`.

use super::process::{Entry, assign, role};
use super::{app_json, procfile, raw, resolve};
use crate::problem::Problem;
use crate::settings::Settings;
use crate::source::SourceTree;
use std::collections::BTreeSet;

/// Reads the files of an app. An app without any gets the defaults.
///
/// # Errors
/// The first thing in the files that cannot be meant, with file, line and column.
pub fn load(tree: &SourceTree) -> Result<Settings, Problem> {
    let mut settings = Settings::default();
    let mut entries = Vec::new();
    if let Some((file, text)) = find(tree, "hop3.toml")? {
        let document = raw::parse(&file, &text)?;
        entries = resolve::apply(document, &file, &text, &mut settings)?;
    } else if let Some(text) = tree.read("app.json")? {
        entries = app_json::apply(&text, &mut settings)?;
    }
    if let Some((file, text)) = find(tree, "Procfile")? {
        let taken: BTreeSet<String> = entries.iter().map(|e: &Entry| role(&e.name).to_owned()).collect();
        let lines = procfile::parse(&file, &text)?;
        entries.extend(lines.into_iter().filter(|line| !taken.contains(role(&line.name))));
    }
    assign(entries, &mut settings)?;
    Ok(settings)
}

fn find(tree: &SourceTree, name: &str) -> Result<Option<(String, String)>, Problem> {
    for path in [format!("hop3/{name}"), name.to_owned()] {
        if let Some(text) = tree.read(&path)? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}
