// SPDX-License-Identifier: Apache-2.0
//! PHP: packages by Composer, pages by PHP's own server with several workers.
//!
//! Upstream: "Built-in web server" of the PHP manual, the Composer documentation. Needs `php` and, for a
//! composer.json, `composer`. Packages are installed into the app's own directory and not into a layer: Composer's
//! autoloader finds the app's classes relative to where `vendor` really lies.

use super::author;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Step, Toolchain};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use serde_json::Value;
use std::collections::BTreeMap;

const DOCUMENT_ROOTS: [&str; 4] = ["public", "web", "htdocs", "www"];

/// Sessions go to the private `/tmp`, since the machine's own place for them belongs to another user.
const SERVER: &str =
    r#"exec php -d session.save_path=/tmp -d display_errors=stderr -S "$BIND_ADDRESS:$PORT" -t "$@""#;

pub struct Php;

impl Builder for Php {
    fn name(&self) -> &'static str {
        "php"
    }

    fn looks_for(&self) -> &'static str {
        "composer.json, index.php, public/index.php"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["composer.json", "index.php"]).or_else(|| {
            let pages = DOCUMENT_ROOTS.map(|root| format!("{root}/index.php"));
            author::detected_by(source, &pages.each_ref().map(String::as_str))
        })
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let composer = read_composer(source)?;
        let needs_install = composer.is_some() && !source.has("vendor/autoload.php");
        let mut toolchains = vec![toolchain(source, settings, composer.as_ref())?];
        if needs_install {
            toolchains.push(author::any("composer"));
        }
        let root = document_root(source, settings)?;
        let own = if needs_install { vec![install()] } else { Vec::new() };
        Ok(BuildPlan {
            builder: "php".into(),
            reason: author::reason(self.detect(source, settings), "php"),
            env: author::env(&[("PATH", &author::path_of(&toolchains)), ("PHP_CLI_SERVER_WORKERS", "4")]),
            toolchains,
            caches: vec!["composer".into()],
            steps: author::build_steps(settings, &composer_env(), own),
            processes: author::web(settings, Some(server(source, &root))),
            warnings: warnings(source, composer.as_ref(), needs_install),
            ..BuildPlan::default()
        })
    }
}

fn read_composer(source: &SourceTree) -> Result<Option<Value>, Problem> {
    let Some(text) = source.read("composer.json")? else { return Ok(None) };
    author::json("composer.json", &text).map(Some)
}

fn toolchain(
    source: &SourceTree,
    settings: &Settings,
    composer: Option<&Value>,
) -> Result<Toolchain, Problem> {
    if let Some(pin) = author::pinned(source, settings, "php", ".php-version", "php")? {
        return Ok(pin);
    }
    let wanted = composer.and_then(|c| c.pointer("/require/php")).and_then(Value::as_str);
    Ok(wanted.map_or_else(|| author::any("php"), |version| author::wanted("php", version, "composer.json")))
}

fn composer_env() -> BTreeMap<String, String> {
    author::env(&[
        ("COMPOSER_CACHE_DIR", "{cache:composer}"),
        // Builds have a user of their own, and where the machine has none, Composer's warning helps nobody.
        ("COMPOSER_ALLOW_SUPERUSER", "1"),
    ])
}

fn install() -> Step {
    let argv = [
        "composer",
        "install",
        "--no-dev",
        "--no-interaction",
        "--no-progress",
        "--prefer-dist",
        "--optimize-autoloader",
    ];
    let mut step = Step::new("Installing packages with Composer", Command::exec(argv));
    step.hint = "run \"composer update --lock\" on your machine and commit composer.lock; a missing ext-NAME is the system package php-NAME".into();
    step
}

/// The folder whose files answer; everything outside stays private.
fn document_root(source: &SourceTree, settings: &Settings) -> Result<String, Problem> {
    if let Some(root) = &settings.build.document_root {
        if source.has_dir(root) {
            return Ok(root.clone());
        }
        return Err(Problem::new(
            Kind::Config,
            "build.no-document-root",
            format!("the document root {root} is not a folder of the app"),
        )
        .hint("write it relative to the top of the app, for example: document-root = \"public\""));
    }
    let usual = DOCUMENT_ROOTS.into_iter().find(|root| source.has(&format!("{root}/index.php")));
    Ok(usual.unwrap_or(".").to_owned())
}

/// A `router.php` at the top decides for each request, as the manual describes.
fn server(source: &SourceTree, root: &str) -> Command {
    let router = source.has("router.php").then_some("router.php");
    let arguments: Vec<&str> = [root].into_iter().chain(router).collect();
    author::scripted(SERVER, &arguments)
}

fn warnings(source: &SourceTree, composer: Option<&Value>, needs_install: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    let requires = composer.and_then(|c| c.get("require")).and_then(Value::as_object);
    let has_packages = requires.is_some_and(|r| r.keys().any(|name| name.contains('/')));
    if needs_install && has_packages && !source.has("composer.lock") {
        warnings.push("there is no composer.lock: run \"composer update\" and commit it, so that every build uses the same packages".into());
    }
    warnings
}

#[cfg(test)]
mod tests;
