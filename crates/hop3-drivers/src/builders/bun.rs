// SPDX-License-Identifier: Apache-2.0
//! Bun: packages into a layer, scripts of package.json, run by Bun. Chosen by Bun's own lock file or settings.
//!
//! Upstream: the Bun documentation (`bun install`). Needs `bun`.

use super::author;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Layer, Step, Toolchain};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use serde_json::Value;

const LOCKS: [&str; 2] = ["bun.lock", "bun.lockb"];
const MAIN_FILES: [&str; 6] =
    ["index.ts", "index.js", "server.ts", "server.js", "src/index.ts", "src/index.js"];

pub struct Bun;

impl Builder for Bun {
    fn name(&self) -> &'static str {
        "bun"
    }

    fn looks_for(&self) -> &'static str {
        "bun.lock, bun.lockb, bunfig.toml"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["bun.lock", "bun.lockb", "bunfig.toml"])
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let package = read_package(source)?;
        let web = server(source, &package);
        if web.is_none() && author::names_no_process(settings) {
            return Err(no_start());
        }
        let toolchains = vec![toolchain(source, settings, &package)?];
        let needs_packages = has_dependencies(&package);
        let is_layered = needs_packages && is_self_contained(&package);
        let mut own = Vec::new();
        if needs_packages && !is_layered {
            own.push(install(source));
        }
        if package.pointer("/scripts/build").is_some() {
            own.push(Step::new("Running the build script", Command::exec(["bun", "run", "build"])));
        }
        let step_env = author::env(&[("BUN_INSTALL_CACHE_DIR", "{cache:bun}")]);
        let mut layers = Vec::new();
        if is_layered {
            layers.push(modules(source));
        }
        Ok(BuildPlan {
            builder: "bun".into(),
            reason: author::reason(self.detect(source, settings), "bun"),
            env: author::env(&[("NODE_ENV", "production"), ("PATH", &author::path_of(&toolchains))]),
            toolchains,
            layers,
            caches: vec!["bun".into()],
            steps: author::build_steps(settings, &step_env, own),
            processes: author::web(settings, web),
            warnings: warnings(source, needs_packages),
            ..BuildPlan::default()
        })
    }
}

fn read_package(source: &SourceTree) -> Result<Value, Problem> {
    let Some(text) = source.read("package.json")? else { return Ok(Value::Null) };
    author::json("package.json", &text)
}

fn has_dependencies(package: &Value) -> bool {
    let groups = ["dependencies", "devDependencies", "optionalDependencies", "workspaces"];
    groups.iter().any(|group| package.get(group).is_some())
}

/// Tells that packages can be installed away from the app: nothing in package.json refers to other files of it.
fn is_self_contained(package: &Value) -> bool {
    let scripts = ["preinstall", "install", "postinstall", "prepare"];
    let runs_own_code = scripts.iter().any(|name| package.pointer(&format!("/scripts/{name}")).is_some());
    let is_many = ["workspaces", "patchedDependencies"].iter().any(|key| package.get(key).is_some());
    let groups = ["dependencies", "devDependencies", "optionalDependencies"];
    let versions = groups.iter().filter_map(|group| package.get(group)?.as_object()).flat_map(|g| g.values());
    let is_near = |v: &Value| v.as_str().is_some_and(|v| v.starts_with("file:") || v.starts_with("link:"));
    !runs_own_code && !is_many && !versions.into_iter().any(is_near)
}

fn toolchain(source: &SourceTree, settings: &Settings, package: &Value) -> Result<Toolchain, Problem> {
    if let Some(pin) = author::pinned(source, settings, "bun", ".bun-version", "bun")? {
        return Ok(pin);
    }
    let text = |pointer: &str| package.pointer(pointer).and_then(Value::as_str);
    let version =
        text("/packageManager").and_then(|pm| pm.strip_prefix("bun@")).or_else(|| text("/engines/bun"));
    Ok(version.map_or_else(|| author::any("bun"), |version| author::wanted("bun", version, "package.json")))
}

fn install(source: &SourceTree) -> Step {
    let is_locked = LOCKS.iter().any(|lock| source.has(lock));
    // Copies, since with hard links into the cache a later build could write into a finished layer.
    let mut argv = vec!["bun", "install", "--no-progress", "--backend=copyfile"];
    argv.extend(is_locked.then_some("--frozen-lockfile"));
    let mut step = Step::new("Installing packages with Bun", Command::exec(argv));
    // Build scripts need the development packages too, which NODE_ENV=production leaves out.
    step.env = author::env(&[("BUN_INSTALL_CACHE_DIR", "{cache:bun}"), ("NODE_ENV", "development")]);
    step.hint = "run \"bun install\" on your machine and commit bun.lock".into();
    step
}

fn modules(source: &SourceTree) -> Layer {
    let files = ["package.json", "bun.lock", "bun.lockb", "bunfig.toml", ".npmrc"];
    let inputs: Vec<String> = files.into_iter().filter(|file| source.has(file)).map(str::to_owned).collect();
    let copied = ["cp"].into_iter().chain(inputs.iter().map(String::as_str)).chain(["{layer:modules}/"]);
    let copy = Step::new("Copying package.json", Command::exec(copied));
    let mut install = install(source);
    install.cwd = "{layer:modules}".into();
    Layer {
        name: "modules".into(),
        steps: vec![copy, install],
        links: author::env(&[("node_modules", "node_modules")]),
        inputs,
    }
}

fn server(source: &SourceTree, package: &Value) -> Option<Command> {
    if package.pointer("/scripts/start").is_some() {
        return Some(Command::exec(["bun", "run", "start"]));
    }
    let named = ["/module", "/main"].iter().find_map(|pointer| package.pointer(pointer)?.as_str());
    let named = named.filter(|file| source.has(file));
    let main = named.or_else(|| MAIN_FILES.into_iter().find(|file| source.has(file)))?;
    Some(Command::exec(["bun", main]))
}

fn no_start() -> Problem {
    Problem::new(Kind::User, "build.no-start", "nothing says how the app is started")
        .detail(format!(
            "there is no script \"start\" in package.json, and none of {}",
            MAIN_FILES.join(", ")
        ))
        .hint("add to package.json: \"scripts\": { \"start\": \"bun app.ts\" }")
}

fn warnings(source: &SourceTree, needs_packages: bool) -> Vec<String> {
    let is_locked = LOCKS.iter().any(|lock| source.has(lock));
    let text =
        "there is no bun.lock: run \"bun install\" and commit it, so that every build uses the same packages";
    if needs_packages && !is_locked { vec![text.into()] } else { Vec::new() }
}
