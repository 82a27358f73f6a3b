// SPDX-License-Identifier: Apache-2.0
//! Deno: modules into a layer, the `start` task or the main file run from it.
//!
//! Upstream: the Deno manual (`deno install`, `DENO_DIR`). Needs `deno`. An app may do everything: its limits are
//! those of its sandbox.

use super::author;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Layer, Step, Toolchain};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use serde_json::Value;
use std::collections::BTreeMap;

const CONFIGS: [&str; 2] = ["deno.json", "deno.jsonc"];
const MAIN_FILES: [&str; 6] = ["main.ts", "main.js", "server.ts", "server.js", "index.ts", "mod.ts"];

pub struct Deno;

impl Builder for Deno {
    fn name(&self) -> &'static str {
        "deno"
    }

    fn looks_for(&self) -> &'static str {
        "deno.json, deno.jsonc, deno.lock"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["deno.json", "deno.jsonc", "deno.lock"])
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let config = read_config(source)?;
        let main = MAIN_FILES.into_iter().find(|file| source.has(file));
        let has_task = |name: &str| config.pointer(&format!("/tasks/{name}")).is_some();
        let web = if has_task("start") {
            Some(Command::exec(["deno", "task", "start"]))
        } else {
            main.map(|main| Command::exec(["deno", "run", "--allow-all", "--cached-only", main]))
        };
        if web.is_none() && author::names_no_process(settings) {
            return Err(no_start(source));
        }
        let toolchains = vec![toolchain(source, settings)?];
        let build = Step::new("Running the build task", Command::exec(["deno", "task", "build"]));
        let mut own = Vec::new();
        if source.has("package.json") || config.get("nodeModulesDir").is_some() {
            // node_modules belongs to the app's directory, which is new at every build while the layer may be old.
            own.push(Step { title: "Linking node_modules".into(), ..install(source, main) });
        }
        own.extend(has_task("build").then_some(build));
        Ok(BuildPlan {
            builder: "deno".into(),
            reason: author::reason(self.detect(source, settings), "deno"),
            env: author::env(&[
                ("DENO_DIR", "{layer:deno}"),
                ("DENO_NO_UPDATE_CHECK", "1"),
                // What the machine trusts, as every other program on it does.
                ("DENO_TLS_CA_STORE", "system,mozilla"),
                ("PATH", &author::path_of(&toolchains)),
            ]),
            toolchains,
            layers: vec![modules(source, main)],
            steps: author::build_steps(settings, &BTreeMap::new(), own),
            processes: author::web(settings, web),
            warnings: warnings(source, &config),
            ..BuildPlan::default()
        })
    }
}

/// deno.json may hold comments; one that does is read as far as the few keys needed here go.
fn read_config(source: &SourceTree) -> Result<Value, Problem> {
    for file in CONFIGS {
        let Some(text) = source.read(file)? else { continue };
        return author::json(file, &without_comments(&text));
    }
    Ok(Value::Null)
}

/// Blanks comments and the commas before a closing bracket, so that places stay where they are.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (length, is_kept) = match c {
            '"' => (string_length(rest), true),
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (rest.find("*/").map_or(rest.len(), |end| end + 2), false),
            ',' => (1, !rest[1..].trim_start().starts_with(['}', ']'])),
            _ => (c.len_utf8(), true),
        };
        let (piece, after) = rest.split_at(length);
        match is_kept {
            true => out.push_str(piece),
            false => out.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
        }
        rest = after;
    }
    out
}

fn string_length(from_quote: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in from_quote.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    from_quote.len()
}

fn toolchain(source: &SourceTree, settings: &Settings) -> Result<Toolchain, Problem> {
    let pin = author::pinned(source, settings, "deno", ".deno-version", "deno")?;
    Ok(match pin {
        Some(pin) => pin,
        None => {
            author::pinned(source, settings, "deno", ".dvmrc", "deno")?.unwrap_or_else(|| author::any("deno"))
        }
    })
}

fn modules(source: &SourceTree, main: Option<&str>) -> Layer {
    // Without a lock file only the code names all modules.
    let code = main.filter(|_| !source.has("deno.lock"));
    let inputs = CONFIGS.into_iter().chain(["deno.lock", "package.json"]).chain(code);
    Layer {
        name: "deno".into(),
        inputs: inputs.filter(|file| source.has(file)).map(str::to_owned).collect(),
        steps: vec![install(source, main)],
        links: BTreeMap::new(),
    }
}

fn install(source: &SourceTree, main: Option<&str>) -> Step {
    let mut argv = vec!["deno", "install"];
    argv.extend(source.has("deno.lock").then_some("--frozen"));
    // Modules that only the code names, not deno.json.
    argv.extend(main.map(|_| "--entrypoint"));
    argv.extend(main);
    let mut step = Step::new("Installing modules with Deno", Command::exec(argv));
    step.hint = "run \"deno install\" on your machine and commit deno.lock".into();
    step
}

fn no_start(source: &SourceTree) -> Problem {
    let file = CONFIGS.into_iter().find(|file| source.has(file)).unwrap_or("deno.json");
    Problem::new(Kind::User, "build.no-start", "nothing says how the app is started")
        .detail(format!("there is no task \"start\" in {file}, and none of {}", MAIN_FILES.join(", ")))
        .hint(format!("add to {file}: \"tasks\": {{ \"start\": \"deno run --allow-all app.ts\" }}"))
}

fn warnings(source: &SourceTree, config: &Value) -> Vec<String> {
    let has_imports = config.get("imports").is_some() || source.has("package.json");
    let text = "there is no deno.lock: run \"deno install\" and commit it, so that every build uses the same modules";
    if has_imports && !source.has("deno.lock") { vec![text.into()] } else { Vec::new() }
}

#[cfg(test)]
mod tests;
