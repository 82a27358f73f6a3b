// SPDX-License-Identifier: Apache-2.0
//! How a Node server is started. A plain command line is run without a shell or npm in between, so that signals
//! reach the server itself.

use super::package::Package;
use crate::builders::author;
use hop3_core::sandbox::Command;
use hop3_core::source::SourceTree;

/// Programs that serve a front end during development.
const DEVELOPMENT: &[&str] = &[
    "vite",
    "react-scripts",
    "ng",
    "vue-cli-service",
    "parcel",
    "astro",
    "gatsby",
    "docusaurus",
    "eleventy",
];

/// Files that are servers by custom.
const ENTRIES: &[&str] = &["server.js", "server.mjs", "index.js", "index.mjs", "app.js", "main.js"];

const NEXT: &str = "exec next start --hostname \"$BIND_ADDRESS\" --port \"$PORT\"";

/// Tells whether the app says how its server is started.
pub(super) fn has_server(source: &SourceTree, package: &Package) -> bool {
    match package.scripts.get("start") {
        Some(line) => !is_development(line),
        None => package.main.as_ref().is_some_and(|main| source.has(main)) || source.has("server.js"),
    }
}

pub(super) fn command(source: &SourceTree, package: &Package) -> Option<Command> {
    let start = package.scripts.get("start").map(|line| line.trim());
    if package.uses("next") && start.is_none_or(|line| line == "next start") {
        return Some(author::scripted(NEXT, &[]));
    }
    if let Some(line) = start {
        let has_hooks = package.scripts.contains_key("prestart") || package.scripts.contains_key("poststart");
        return Some(match plain_words(line).filter(|_| !has_hooks) {
            Some(words) => Command::exec(words),
            None => Command::exec(["npm", "run", "start"]),
        });
    }
    let main = package.main.as_deref().filter(|main| source.has(main) || source.has(&format!("{main}.js")));
    let entry = main.or_else(|| ENTRIES.iter().copied().find(|file| source.has(file)))?;
    Some(Command::exec(["node", entry]))
}

fn is_development(line: &str) -> bool {
    line.split_whitespace().next().is_some_and(|program| DEVELOPMENT.contains(&program))
}

/// The words of a command line in which the shell would change nothing.
fn plain_words(line: &str) -> Option<Vec<&str>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " ./_-:@,+".contains(c);
    (!line.is_empty() && line.chars().all(is_plain)).then(|| line.split_whitespace().collect())
}
