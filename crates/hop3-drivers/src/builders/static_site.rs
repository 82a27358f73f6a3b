// SPDX-License-Identifier: Apache-2.0
//! Static sites: a folder that the proxy serves itself; nothing runs. Needs nothing.

use super::{author, select};
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, StaticSite};
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

/// Files at the top that are for Hop3, not for visitors.
const CONFIG: &[&str] = &["hop3", "hop3.toml", "Procfile", "app.json"];

pub struct StaticFolder;

impl Builder for StaticFolder {
    fn name(&self) -> &'static str {
        "static"
    }

    fn looks_for(&self) -> &'static str {
        "index.html, public/index.html, static-dir in hop3.toml, \"static:\" in the Procfile"
    }

    fn detect(&self, source: &SourceTree, settings: &Settings) -> Option<Detected> {
        if !author::names_no_process(settings) {
            return None;
        }
        if let Some(directory) = asked(settings) {
            return Some(Detected { reason: format!("the author asks for {directory} to be served") });
        }
        author::detected_by(source, &["index.html", "public/index.html"])
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let default = if source.has("index.html") { "." } else { "public" };
        let directory = asked(settings).unwrap_or(default).to_owned();
        let steps = select::lines(&settings.build.command);
        if steps.is_empty() && settings.build.before.is_empty() && !source.has_dir(&directory) {
            return Err(select::no_directory(&directory));
        }
        let is_built =
            !steps.is_empty() || !settings.build.before.is_empty() || !settings.build.after.is_empty();
        Ok(BuildPlan {
            builder: "static".into(),
            reason: author::reason(self.detect(source, settings), "static"),
            steps,
            keep: if directory == "." && !is_built { for_visitors(source) } else { Vec::new() },
            statics: vec![StaticSite { prefix: "/".into(), directory, spa: false }],
            ..BuildPlan::default()
        })
    }
}

fn asked(settings: &Settings) -> Option<&str> {
    settings.build.static_dir.as_deref().or_else(|| settings.run.statics.get("/").map(String::as_str))
}

/// When the top itself is served, what is not for visitors stays out of the artifact.
fn for_visitors(source: &SourceTree) -> Vec<String> {
    let is_for_visitors = |name: &String| name == ".well-known" || !name.starts_with('.');
    let names = source.list("").into_iter().filter(is_for_visitors);
    names.filter(|name| !CONFIG.contains(&name.as_str())).collect()
}
