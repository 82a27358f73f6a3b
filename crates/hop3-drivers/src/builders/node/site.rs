// SPDX-License-Identifier: Apache-2.0
//! Front ends whose build leaves files and no server: which framework, which output folder, and whether it routes in
//! the browser.

use super::package::Package;
use super::start;
use crate::builders::select;
use hop3_core::Problem;
use hop3_core::plan::StaticSite;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use serde_json::Value;

struct Framework {
    /// The package that shows it is used.
    package: &'static str,
    output: &'static str,
    /// Routes in the browser: unknown paths answer `index.html`.
    spa: bool,
}

/// In the order in which they are looked for: those that use others come first.
const FRAMEWORKS: &[Framework] = &[
    Framework { package: "next", output: "out", spa: false },
    Framework { package: "astro", output: "dist", spa: false },
    Framework { package: "gatsby", output: "public", spa: false },
    Framework { package: "@docusaurus/core", output: "build", spa: false },
    Framework { package: "@11ty/eleventy", output: "_site", spa: false },
    Framework { package: "@sveltejs/adapter-static", output: "build", spa: false },
    Framework { package: "@angular/cli", output: "dist", spa: true },
    Framework { package: "react-scripts", output: "build", spa: true },
    Framework { package: "@vue/cli-service", output: "dist", spa: true },
    Framework { package: "parcel", output: "dist", spa: true },
    Framework { package: "vite", output: "dist", spa: true },
];

/// The folder to serve, for an app that has a build and no server of its own.
pub(super) fn find(
    source: &SourceTree,
    package: &Package,
    settings: &Settings,
) -> Result<Option<StaticSite>, Problem> {
    let is_built = package.build_script().is_some() || !settings.build.command.is_empty();
    let framework = FRAMEWORKS.iter().find(|framework| package.uses(framework.package));
    if let Some(directory) =
        settings.build.static_dir.clone().or_else(|| settings.run.statics.get("/").cloned())
    {
        if !is_built && !source.has_dir(&directory) {
            return Err(select::no_directory(&directory));
        }
        return Ok(Some(site(directory, framework.is_none_or(|framework| framework.spa))));
    }
    let Some(framework) = framework.filter(|_| is_built) else { return Ok(None) };
    let has_server = match framework.package {
        "next" => !exports_files(source)?,
        _ => start::has_server(source, package),
    };
    if has_server {
        return Ok(None);
    }
    Ok(Some(site(output(source, framework)?, framework.spa)))
}

fn site(directory: String, spa: bool) -> StaticSite {
    StaticSite { prefix: "/".into(), directory, spa }
}

/// Next.js has a server unless its settings say `output: 'export'`.
fn exports_files(source: &SourceTree) -> Result<bool, Problem> {
    for file in ["next.config.js", "next.config.mjs", "next.config.ts"] {
        let text = source.read(file)?.unwrap_or_default();
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if plain.contains("output:'export'") || plain.contains("output:\"export\"") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn output(source: &SourceTree, framework: &Framework) -> Result<String, Problem> {
    let named = match framework.package {
        "vite" => out_dir(source, &["vite.config.js", "vite.config.ts", "vite.config.mjs"])?,
        "@angular/cli" => angular(source)?,
        _ => None,
    };
    Ok(named.unwrap_or_else(|| framework.output.to_owned()))
}

/// `outDir: 'build'` in the configuration, when it is plain text beneath the app.
fn out_dir(source: &SourceTree, files: &[&str]) -> Result<Option<String>, Problem> {
    for file in files {
        let text = source.read(file)?.unwrap_or_default();
        let Some((_, rest)) = text.split_once("outDir:") else { continue };
        let mut parts = rest.trim_start().split(['\'', '"']);
        if let (Some(""), Some(folder)) = (parts.next(), parts.next()) {
            let folder = folder.trim_start_matches("./").trim_end_matches('/');
            return Ok((!folder.is_empty() && !folder.contains("..") && !folder.starts_with('/'))
                .then(|| folder.into()));
        }
    }
    Ok(None)
}

/// `outputPath` of the only project, `browser/` beneath it since Angular 17.
fn angular(source: &SourceTree) -> Result<Option<String>, Problem> {
    let text = source.read("angular.json")?.unwrap_or_default();
    let Ok(workspace) = serde_json::from_str::<Value>(&text) else { return Ok(None) };
    let Some((name, project)) = workspace["projects"].as_object().and_then(|projects| projects.iter().next())
    else {
        return Ok(None);
    };
    let build = &project["architect"]["build"];
    let path = build["options"]["outputPath"].as_str().map_or_else(|| format!("dist/{name}"), str::to_owned);
    let has_browser_folder =
        build["builder"].as_str().is_some_and(|builder| builder.ends_with(":application"));
    Ok(Some(if has_browser_folder { format!("{path}/browser") } else { path }))
}
