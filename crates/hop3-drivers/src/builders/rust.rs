// SPDX-License-Identifier: Apache-2.0
//! Rust: `cargo build --release`, programs copied into `bin/`.
//!
//! Upstream: the Cargo book. Needs `cargo` and a linker. Downloads and compiled crates stay in caches between builds,
//! so that only the app's own crates are compiled again.

use super::author;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Step, Toolchain};
use hop3_core::problem::Span;
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use toml::Table;

const TARGET: &str = "{cache:cargo-target}";

pub struct Rust;

impl Builder for Rust {
    fn name(&self) -> &'static str {
        "rust"
    }

    fn looks_for(&self) -> &'static str {
        "Cargo.toml"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["Cargo.toml"])
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let manifest = read_toml(source, "Cargo.toml")?.unwrap_or_default();
        let programs = Programs::find(source, &manifest)?;
        let is_locked = source.has("Cargo.lock");
        let toolchains = vec![toolchain(source, settings, &manifest)?];
        let env = author::env(&[("PATH", &author::path_of(&toolchains))]);
        let step_env = author::env(&[("CARGO_HOME", "{cache:cargo-home}"), ("CARGO_TARGET_DIR", TARGET)]);
        let own = build_steps(settings, &programs, is_locked)?;
        let mut warnings = Vec::new();
        if !is_locked {
            warnings.push("there is no Cargo.lock: run \"cargo generate-lockfile\" and commit it, so that every build uses the same crates".into());
        }
        Ok(BuildPlan {
            builder: "rust".into(),
            reason: author::reason(self.detect(source, settings), "rust"),
            toolchains,
            caches: vec!["cargo-home".into(), "cargo-target".into()],
            steps: author::build_steps(settings, &step_env, own),
            env,
            processes: author::web(
                settings,
                programs.web().map(|name| Command::exec([format!("bin/{name}")])),
            ),
            warnings,
            ..BuildPlan::default()
        })
    }
}

/// The programs of a package or workspace.
#[derive(Debug, Default, PartialEq)]
struct Programs {
    names: Vec<String>,
    /// `default-run` of the root package, or the program of the root package that has its name.
    preferred: Option<String>,
}

impl Programs {
    fn find(source: &SourceTree, root: &Table) -> Result<Programs, Problem> {
        let mut programs = Programs::default();
        programs.add_package(source, "", root);
        for member in members(source, root) {
            if let Some(manifest) = read_toml(source, &format!("{member}/Cargo.toml"))? {
                programs.add_package(source, &format!("{member}/"), &manifest);
            }
        }
        programs.names.sort();
        programs.names.dedup();
        Ok(programs)
    }

    /// By the rules of "Cargo targets": `[[bin]]`, `src/main.rs`, `src/bin/*.rs`, `src/bin/*/main.rs`.
    fn add_package(&mut self, source: &SourceTree, folder: &str, manifest: &Table) {
        let Some(package) = manifest.get("package").and_then(toml::Value::as_table) else { return };
        let Some(package_name) = text(package, "name") else { return };
        let explicit = manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
        let explicit: Vec<&Table> = explicit.filter_map(toml::Value::as_table).collect();
        let mut names: Vec<String> = explicit.iter().filter_map(|bin| text(bin, "name")).collect();
        if package.get("autobins").and_then(toml::Value::as_bool) != Some(false) {
            let main_is_taken =
                explicit.iter().any(|bin| text(bin, "path").as_deref() == Some("src/main.rs"));
            if source.has(&format!("{folder}src/main.rs")) && !main_is_taken {
                names.push(package_name.clone());
            }
            for entry in source.list(&format!("{folder}src/bin")) {
                let single = entry.strip_suffix(".rs").map(str::to_owned);
                let is_folder = source.has(&format!("{folder}src/bin/{entry}/main.rs"));
                names.extend(single.or_else(|| is_folder.then_some(entry)));
            }
        }
        if folder.is_empty() {
            let named_like_package = names.contains(&package_name).then_some(package_name);
            self.preferred = text(package, "default-run").or(named_like_package);
        }
        self.names.extend(names);
    }

    fn web(&self) -> Option<&str> {
        match self.names.as_slice() {
            [only] => Some(only),
            names => {
                let usual = || ["web", "server"].into_iter().find(|name| names.iter().any(|n| n == name));
                self.preferred.as_deref().or_else(usual)
            }
        }
    }
}

/// The member folders of a workspace; a pattern may end in `/*`.
fn members(source: &SourceTree, root: &Table) -> Vec<String> {
    let workspace = root.get("workspace").and_then(toml::Value::as_table);
    let patterns = workspace.and_then(|w| w.get("members")).and_then(toml::Value::as_array);
    let patterns = patterns.into_iter().flatten().filter_map(toml::Value::as_str);
    let expand = |pattern: &str| match pattern.strip_suffix("/*") {
        Some(folder) => source.list(folder).into_iter().map(|name| format!("{folder}/{name}")).collect(),
        None => vec![pattern.to_owned()],
    };
    patterns.flat_map(expand).collect()
}

fn toolchain(source: &SourceTree, settings: &Settings, manifest: &Table) -> Result<Toolchain, Problem> {
    if settings.build.versions.contains_key("rust") {
        let version = &settings.build.versions["rust"];
        return Ok(author::wanted("rust", version, "hop3.toml"));
    }
    if let Some(file) = read_toml(source, "rust-toolchain.toml")? {
        let channel = file.get("toolchain").and_then(toml::Value::as_table).and_then(|t| text(t, "channel"));
        return Ok(author::wanted("rust", version_of(&channel.unwrap_or_default()), "rust-toolchain.toml"));
    }
    if let Some(channel) = source.read("rust-toolchain")? {
        return Ok(author::wanted("rust", version_of(channel.trim()), "rust-toolchain"));
    }
    if let Some(pin) = author::pinned(source, settings, "rust", "", "rust")? {
        return Ok(pin);
    }
    let package = manifest.get("package").and_then(toml::Value::as_table);
    let lowest = package.and_then(|package| text(package, "rust-version"));
    Ok(lowest.map_or_else(
        || author::any("rust"),
        |lowest| author::wanted("rust", format!(">={lowest}"), "Cargo.toml"),
    ))
}

/// `stable` is whatever is installed.
fn version_of(channel: &str) -> &str {
    if channel == "stable" { "" } else { channel }
}

fn build_steps(settings: &Settings, programs: &Programs, is_locked: bool) -> Result<Vec<Step>, Problem> {
    let needs_web = author::names_no_process(settings);
    if programs.names.is_empty() && settings.build.command.is_empty() {
        return Err(Problem::new(Kind::User, "build.no-program", "Cargo.toml describes no program")
            .detail(
                "neither src/main.rs, src/bin/ nor a [[bin]] section is there, in no member of the workspace",
            )
            .hint("add src/main.rs, or say in hop3.toml how to build what answers HTTP"));
    }
    if programs.web().is_none() && needs_web && settings.build.command.is_empty() {
        return Err(Problem::new(Kind::User, "build.which-program", "Cargo.toml describes several programs")
            .detail(format!("they are: {}", programs.names.join(", ")))
            .hint(format!("say in a Procfile which one answers HTTP: web: bin/{}", programs.names[0])));
    }
    // Cargo compares times, and an older commit may be built after a newer one.
    let mut steps = vec![Step::new(
        "Marking the source as new",
        author::scripted("find . -type f -print0 | xargs -0r touch", &[]),
    )];
    let mut argv = vec!["cargo", "build", "--release", "--bins"];
    argv.extend(is_locked.then_some("--locked"));
    let mut build = Step::new("Compiling with cargo", Command::exec(argv));
    build.hint = "run \"cargo build --release --locked\" on your machine to see the same message".into();
    steps.push(build);
    let built = programs.names.iter().map(|name| format!("{TARGET}/release/{name}"));
    let fixed = ["install", "-D", "-t", "bin"].map(str::to_owned);
    steps.push(Step::new("Copying the programs to bin", Command::exec(fixed.into_iter().chain(built))));
    Ok(steps)
}

fn read_toml(source: &SourceTree, file: &str) -> Result<Option<Table>, Problem> {
    let Some(text) = source.read(file)? else { return Ok(None) };
    text.parse::<Table>().map(Some).map_err(|error| {
        let problem = Problem::new(Kind::Config, "source.bad-toml", format!("{file} is not valid TOML"))
            .detail(error.message());
        match error.span() {
            Some(span) => problem.span(Span::at(file, &text, span.start)),
            None => problem,
        }
    })
}

fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key).and_then(toml::Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests;
