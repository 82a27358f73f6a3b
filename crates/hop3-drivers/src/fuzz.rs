// SPDX-License-Identifier: Apache-2.0
//! What must hold for any bytes, built into the tests and into the programs in the folder `fuzz` at the top
//! (`cfg(fuzzing)`). The product has none of it.

pub use crate::toolchains::fuzz::version;

use crate::builders::{builders, plan};
use hop3_core::source::SourceTree;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Files that builders read.
const FILES: &[&str] = &[
    "hop3.toml",
    "Procfile",
    "app.json",
    "package.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "deno.json",
    "deno.lock",
    "requirements.txt",
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "Pipfile",
    "setup.py",
    "manage.py",
    "app.py",
    ".python-version",
    ".tool-versions",
    ".nvmrc",
    "go.mod",
    "go.sum",
    "main.go",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "src/main.rs",
    "Gemfile",
    "Gemfile.lock",
    ".ruby-version",
    "config.ru",
    "mix.exs",
    "mix.lock",
    "pom.xml",
    "build.gradle",
    "project.clj",
    "composer.json",
    "composer.lock",
    "index.php",
    "index.html",
    "public/index.html",
];

static ROOM: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let beneath = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    beneath.join(format!("hop3-plan-{}", std::process::id()))
});
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A source is planned, the same each time, or refused with a problem that can be shown. Its files are told as a number
/// of the list above and their text, with zero bytes between.
pub fn plan_of_source(data: &[u8]) {
    let folder = ROOM.join(NEXT.fetch_add(1, Relaxed).to_string());
    fs::create_dir_all(folder.join("src")).expect("a temporary folder");
    fs::create_dir_all(folder.join("public")).expect("a temporary folder");
    for part in data.split(|b| *b == 0) {
        let Some((index, text)) = part.split_first() else { continue };
        fs::write(folder.join(FILES[usize::from(*index) % FILES.len()]), text).expect("a temporary file");
    }
    let source = SourceTree::open(&folder).expect("a temporary folder");
    let planned = || {
        let settings = hop3_core::config::load(&source)?;
        plan(&builders(), &source, &settings)
    };
    match (planned(), planned()) {
        (Ok(first), Ok(second)) => {
            let text = |plan| serde_json::to_string(plan).expect("a plan is data");
            assert_eq!(text(&first), text(&second));
        }
        (Err(problem), Err(_)) => {
            let shown = problem.render();
            let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
            assert!(!shown.contains(harmful), "a terminal would obey {shown:?}");
        }
        _ => panic!("the same source is planned and refused"),
    }
    fs::remove_dir_all(&folder).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> Vec<u8> {
        let index = FILES.iter().position(|file| *file == name).unwrap();
        [&[index as u8], text.as_bytes(), b"\0"].concat()
    }

    #[test]
    fn sources_are_planned_or_refused() {
        for (name, text) in [
            (
                "package.json",
                "{\"engines\": {\"node\": \"^18 || \u{1b}[2J\"}, \"scripts\": {\"start\": \"x\"}}",
            ),
            ("pyproject.toml", "[project]\nname = \"\\u001b[2J\"\nrequires-python = \">=3.8,<x\""),
            (".tool-versions", "nodejs \u{9b}2J\npython 99999999999999999999"),
            ("go.mod", "module \u{1b}\ngo 1.999999999999999999999\n"),
            ("Gemfile", "ruby '~> \u{1b}[2J'"),
            ("requirements.txt", "-r \u{1b}[2J\n"),
            ("Cargo.toml", "[package]\nname = \"\\u001b\""),
        ] {
            plan_of_source(&file(name, text));
        }
        version(b"^1.2.3 || >=2 <3\n2.5.1");
    }
}
