// SPDX-License-Identifier: Apache-2.0
//! Go: one static program for each `package main` at the top or in `cmd/`, built into `bin/`.
//!
//! Upstream: "Organizing a Go module" and "Go Modules Reference" of the Go project. Needs `go`. The compiler's own
//! caches make a second build quick; they hold content digests, so a stale entry is impossible.

use super::author;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Layer, Step, Toolchain};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use std::collections::BTreeMap;

pub struct Go;

impl Builder for Go {
    fn name(&self) -> &'static str {
        "go"
    }

    fn looks_for(&self) -> &'static str {
        "go.mod, *.go"
    }

    fn detect(&self, source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        author::detected_by(source, &["go.mod"]).or_else(|| {
            let file = source.list("").into_iter().find(|name| name.ends_with(".go") && source.has(name))?;
            Some(Detected { reason: format!("{file} is there") })
        })
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let module = Module::read(source)?;
        let toolchains = vec![toolchain(source, settings, &module)?];
        let env = author::env(&[("PATH", &author::path_of(&toolchains))]);
        let plan = BuildPlan {
            builder: "go".into(),
            reason: author::reason(self.detect(source, settings), "go"),
            toolchains,
            env,
            warnings: warnings(source, settings, &module),
            ..BuildPlan::default()
        };
        match run_arguments(settings) {
            Some(arguments) => Ok(compiled_at_start(source, settings, &module, &arguments, plan)),
            None => compiled_before(source, settings, &module, plan),
        }
    }
}

/// The usual way: programs in `bin/`.
fn compiled_before(
    source: &SourceTree,
    settings: &Settings,
    module: &Module,
    plan: BuildPlan,
) -> Result<BuildPlan, Problem> {
    let programs = Programs::find(source, module);
    if programs.0.is_empty() && settings.build.command.is_empty() {
        return Err(no_program());
    }
    let mut own: Vec<Step> = download(source, module).into_iter().collect();
    for (name, package) in &programs.0 {
        own.push(build(name, &[package], module));
    }
    let mut step_env = author::env(&[("GOCACHE", "{cache:go-build}"), ("GOMODCACHE", "{cache:go-mod}")]);
    if !module.exists {
        // Only without module mode does `go build` take a folder that has no go.mod.
        step_env.insert("GO111MODULE".into(), "off".into());
    }
    let web = programs.web().map(|name| Command::exec([format!("bin/{name}")]));
    Ok(BuildPlan {
        caches: vec!["go-build".into(), "go-mod".into()],
        steps: author::build_steps(settings, &step_env, own),
        processes: author::web(settings, web),
        ..plan
    })
}

/// The way of a Procfile with `go run`: the standard library and the modules wait compiled in a layer that the
/// process can read, so that a start takes a second and not half a minute.
fn compiled_at_start(
    source: &SourceTree,
    settings: &Settings,
    module: &Module,
    arguments: &[&str],
    mut plan: BuildPlan,
) -> BuildPlan {
    plan.env
        .extend(author::env(&[("GOCACHE", "{layer:go-run}/build"), ("GOMODCACHE", "{layer:go-run}/mod")]));
    let fixed = ["go", "build", "-buildvcs=false", "-o", "/dev/null"];
    let argv = fixed.iter().chain(arguments).copied();
    let warm = Step::new("Compiling what the program is made of", Command::exec(argv));
    let inputs = ["go.mod", "go.sum", "Procfile"].into_iter().filter(|file| source.has(file));
    let layer = Layer {
        name: "go-run".into(),
        inputs: inputs.map(str::to_owned).collect(),
        steps: download(source, module).into_iter().chain([warm]).collect(),
        links: BTreeMap::new(),
    };
    let own = vec![build("app", arguments, module)];
    BuildPlan { layers: vec![layer], steps: author::build_steps(settings, &BTreeMap::new(), own), ..plan }
}

/// What `go run` is given in the Procfile: files or a package. Flags and what needs a shell are not looked through.
fn run_arguments(settings: &Settings) -> Option<Vec<&str>> {
    let is_plain = |word: &str| {
        word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_'))
            && !word.starts_with('-')
    };
    let mut lines = settings.run.processes.values();
    lines.find_map(|line| {
        let words: Vec<&str> = line.trim().strip_prefix("go run ")?.split_whitespace().collect();
        let files = words.iter().take_while(|word| word.ends_with(".go")).count();
        let words = &words[..files.max(1).min(words.len())];
        (!words.is_empty() && words.iter().all(|word| is_plain(word))).then(|| words.to_vec())
    })
}

/// What go.mod says.
#[derive(Debug, Default, PartialEq)]
struct Module {
    exists: bool,
    /// Last word of the module path, without a major version: `example.org/shop/v2` is `shop`.
    name: String,
    /// Lowest version that will do.
    go: String,
    requires: bool,
}

impl Module {
    fn read(source: &SourceTree) -> Result<Module, Problem> {
        Ok(source.read("go.mod")?.map_or_else(Module::default, |text| Module::parse(&text)))
    }

    fn parse(text: &str) -> Module {
        let mut module = Module { exists: true, ..Module::default() };
        for line in text.lines() {
            let line = line.split("//").next().unwrap_or("").trim();
            let Some((word, rest)) = line.split_once([' ', '\t', '(']) else { continue };
            match word {
                "module" => module.name = program_name(rest.trim().trim_matches('"')),
                "go" if module.go.is_empty() => module.go = rest.trim().to_owned(),
                // The newer of the two lines, by the rules of the file.
                "toolchain" => module.go = rest.trim().trim_start_matches("go").to_owned(),
                "require" => module.requires = true,
                _ => {}
            }
        }
        module
    }
}

fn program_name(module_path: &str) -> String {
    let is_major = |part: &str| {
        part.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
    };
    let mut parts = module_path.rsplit('/').filter(|part| !part.is_empty());
    let last = parts.next().unwrap_or("app");
    let name = if is_major(last) { parts.next().unwrap_or(last) } else { last };
    name.to_owned()
}

/// The programs of the tree: name in `bin/` and the package it is built from.
#[derive(Debug, Default, PartialEq)]
struct Programs(Vec<(String, String)>);

impl Programs {
    fn find(source: &SourceTree, module: &Module) -> Programs {
        let mut found = Vec::new();
        if has_package_main(source, "") {
            let name = if module.name.is_empty() { "app" } else { &module.name };
            found.push((name.to_owned(), ".".to_owned()));
        }
        for folder in source.list("cmd") {
            let path = format!("cmd/{folder}");
            if has_package_main(source, &path) {
                found.push((folder, format!("./{path}")));
            }
        }
        Programs(found)
    }

    /// The program that answers HTTP, when there is no doubt which.
    fn web(&self) -> Option<&str> {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        match names.as_slice() {
            [only] => Some(only),
            _ if self.0.first().is_some_and(|(_, package)| package == ".") => names.first().copied(),
            _ => ["web", "server"].into_iter().find(|name| names.contains(name)),
        }
    }
}

fn has_package_main(source: &SourceTree, folder: &str) -> bool {
    let files = source.list(folder).into_iter();
    let mut files = files.filter(|name| name.ends_with(".go") && !name.ends_with("_test.go"));
    files.any(|name| {
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        // A file that cannot be read is the compiler's to complain about.
        let text = source.read(&path).ok().flatten().unwrap_or_default();
        let words = text.lines().map(|line| line.split("//").next().unwrap_or("").trim());
        words.into_iter().find(|line| line.starts_with("package ")).is_some_and(|line| line == "package main")
    })
}

fn toolchain(source: &SourceTree, settings: &Settings, module: &Module) -> Result<Toolchain, Problem> {
    if let Some(pin) = author::pinned(source, settings, "go", ".go-version", "golang")? {
        return Ok(pin);
    }
    Ok(if module.go.is_empty() {
        author::any("go")
    } else {
        author::wanted("go", format!(">={}", module.go), "go.mod")
    })
}

fn no_program() -> Problem {
    Problem::new(Kind::User, "build.no-program", "no Go program is found")
        .detail("neither the top folder nor a folder in cmd/ has a file with the line \"package main\"")
        .hint("move the program to the top or to cmd/NAME, or say in hop3.toml how to build it:\n[build]\nbuild = \"go build -o bin/app ./path/to/program\"")
}

fn download(source: &SourceTree, module: &Module) -> Option<Step> {
    let is_vendored = source.has("vendor/modules.txt");
    let mut step = Step::new("Downloading Go modules", Command::exec(["go", "mod", "download"]));
    step.hint = "run \"go mod tidy\" on your machine and commit go.mod and go.sum".into();
    (module.requires && !is_vendored).then_some(step)
}

fn build(name: &str, arguments: &[&str], module: &Module) -> Step {
    let output = format!("bin/{name}");
    // Without the commit in the program: the tree that is built has no .git, or one of another user.
    let fixed = ["go", "build", "-buildvcs=false", "-o", &output];
    let mut step =
        Step::new(&format!("Building {output}"), Command::exec(fixed.iter().chain(arguments).copied()));
    step.hint = match module.exists {
        true => "run \"go build ./...\" on your machine to see the same message".into(),
        false => "an app that uses packages of others needs a go.mod: run \"go mod init NAME\" and \"go mod tidy\", and commit both files".into(),
    };
    step
}

fn warnings(source: &SourceTree, settings: &Settings, module: &Module) -> Vec<String> {
    let mut warnings = Vec::new();
    if !module.exists {
        warnings.push(
            "there is no go.mod: only the standard library can be used; \"go mod init NAME\" makes one"
                .into(),
        );
    }
    if module.requires && !source.has("go.sum") {
        warnings.push("there is no go.sum: run \"go mod tidy\" and commit it, so that every build uses the same modules".into());
    }
    for (process, line) in &settings.run.processes {
        if line.trim_start().starts_with("go run") {
            warnings.push(format!("{process} is started with \"go run\", which compiles at every start; the program is already built in bin/"));
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
