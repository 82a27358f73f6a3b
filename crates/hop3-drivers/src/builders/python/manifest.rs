// SPDX-License-Identifier: Apache-2.0
//! Which file declares the dependencies, and which other files it draws in. A lock file is preferred to what it locks.

use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};

/// The tool whose files say what to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    Uv,
    Poetry,
    Pdm,
    Pipenv,
    Requirements,
    /// `pyproject.toml`, `setup.cfg` or `setup.py` without a lock file.
    Unlocked(&'static str),
    Nothing,
}

/// In order of preference: the file that decides, its manager, and the files that are read with it.
const KNOWN: &[(&str, Manager, &[&str])] = &[
    ("uv.lock", Manager::Uv, &["pyproject.toml", "uv.lock"]),
    ("poetry.lock", Manager::Poetry, &["pyproject.toml", "poetry.lock"]),
    ("pdm.lock", Manager::Pdm, &["pyproject.toml", "pdm.lock"]),
    ("Pipfile.lock", Manager::Pipenv, &["Pipfile", "Pipfile.lock"]),
    ("requirements.txt", Manager::Requirements, &["requirements.txt"]),
    ("Pipfile", Manager::Pipenv, &["Pipfile"]),
    ("pyproject.toml", Manager::Unlocked("pyproject.toml"), &["pyproject.toml"]),
    ("setup.cfg", Manager::Unlocked("setup.cfg"), &["setup.cfg", "setup.py"]),
    ("setup.py", Manager::Unlocked("setup.py"), &["setup.py"]),
];

/// Files drawn in by `-r` are followed that far.
const MAX_FILES: usize = 50;

pub(super) struct Manifest {
    pub manager: Manager,
    /// What names the layer, the deciding file last.
    pub inputs: Vec<String>,
    pub warnings: Vec<String>,
    /// Names of packages in all of them, in normal form (PEP 503).
    names: Vec<String>,
}

impl Manifest {
    /// Says in words which manifest is there.
    pub(super) fn file(source: &SourceTree) -> Option<String> {
        let (file, ..) = KNOWN.iter().find(|(file, ..)| source.has(file))?;
        Some(format!("{file} is there"))
    }

    pub(super) fn read(source: &SourceTree) -> Result<Manifest, Problem> {
        let Some((file, manager, companions)) = KNOWN.iter().find(|(file, ..)| source.has(file)) else {
            return Ok(Manifest::nothing());
        };
        if *file == "Pipfile" {
            return Err(no_lock());
        }
        let mut inputs: Vec<String> =
            companions.iter().filter(|name| source.has(name)).map(|name| (*name).to_owned()).collect();
        if *manager == Manager::Requirements {
            follow(source, &mut inputs)?;
        }
        let mut names = Vec::new();
        for input in &inputs {
            names.extend(words(&source.read(input)?.unwrap_or_default()));
        }
        inputs.extend(local_packages(source, *manager)?);
        let warnings = warnings(source, *manager, &inputs)?;
        Ok(Manifest { manager: *manager, inputs, warnings, names })
    }

    fn nothing() -> Manifest {
        let warnings = vec!["no file declares dependencies; write requirements.txt or pyproject.toml".into()];
        Manifest { manager: Manager::Nothing, inputs: Vec::new(), warnings, names: Vec::new() }
    }

    /// Tells whether a package is named, directly or as a dependency of a locked one.
    pub(super) fn declares(&self, package: &str) -> bool {
        self.names.iter().any(|name| name == package)
    }
}

fn no_lock() -> Problem {
    Problem::new(Kind::User, "python.no-lock", "Pipfile is there, but not Pipfile.lock")
        .hint("run \"pipenv lock\" and commit Pipfile.lock")
}

/// Adds the files that requirements name with `-r` and `-c`.
fn follow(source: &SourceTree, inputs: &mut Vec<String>) -> Result<(), Problem> {
    let mut next = 0;
    while next < inputs.len() && inputs.len() < MAX_FILES {
        let file = inputs[next].clone();
        next += 1;
        let text = source.read(&file)?.unwrap_or_default();
        let folder = file.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        for name in text.lines().filter_map(included) {
            let path = format!("{folder}{name}");
            if !source.has(&path) {
                return Err(missing(&file, &path));
            }
            if !inputs.contains(&path) {
                inputs.push(path);
            }
        }
    }
    Ok(())
}

fn missing(file: &str, path: &str) -> Problem {
    Problem::new(
        Kind::User,
        "python.missing-requirements",
        format!("{file} names {path}, which is not there"),
    )
    .hint(format!("commit {path}, or remove the line from {file}"))
}

/// The file of a line `-r FILE`, `--requirement=FILE`, `-c FILE`, `--constraint FILE`.
fn included(line: &str) -> Option<&str> {
    let flags = ["-r", "--requirement", "-c", "--constraint"];
    let rest = flags.iter().find_map(|flag| line.trim().strip_prefix(flag))?;
    let file = rest.trim_start_matches('=').split(" #").next()?.trim();
    (!file.is_empty() && !file.contains("://")).then_some(file)
}

/// Packages inside the tree that a manifest installs: their files name the layer too.
fn local_packages(source: &SourceTree, manager: Manager) -> Result<Vec<String>, Problem> {
    let mut folders = Vec::new();
    match manager {
        Manager::Requirements => {
            let text = source.read("requirements.txt")?.unwrap_or_default();
            let paths = text.lines().map(|line| line.trim().trim_start_matches("-e").trim());
            folders.extend(paths.filter(|path| path.starts_with('.')).map(str::to_owned));
        }
        Manager::Uv | Manager::Poetry | Manager::Pdm => {
            let (_, _, companions) =
                KNOWN.iter().find(|(_, known, _)| *known == manager).expect("it is in the list");
            let text = source.read(companions[1])?.unwrap_or_default();
            folders.extend(locked_folders(&text));
        }
        _ => {}
    }
    Ok(folders.iter().flat_map(|folder| files_beneath(source, folder.trim_end_matches('/'))).collect())
}

/// `source = { directory = "libs/x" }` of uv, `url = "libs/x"` beneath `type = "directory"` of Poetry.
fn locked_folders(lock: &str) -> Vec<String> {
    let Ok(lock) = lock.parse::<toml::Table>() else { return Vec::new() };
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let of = |package: &toml::Value| {
        let source = package.get("source").and_then(toml::Value::as_table);
        let key = |key: &str| source?.get(key)?.as_str().map(str::to_owned);
        let local = key("type").is_some_and(|kind| kind == "directory").then(|| key("url")).flatten();
        let path = package.get("path").and_then(toml::Value::as_str).map(str::to_owned);
        key("directory").or_else(|| key("editable")).or(local).or(path)
    };
    packages.filter_map(of).filter(|folder| folder != ".").collect()
}

fn files_beneath(source: &SourceTree, folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    for name in source.list(folder) {
        let path = format!("{folder}/{name}");
        match source.has_dir(&path) {
            _ if name.starts_with('.') || name == "__pycache__" => {}
            true => files.extend(files_beneath(source, &path)),
            false => files.push(path),
        }
    }
    files
}

/// Every word that could be the name of a package, comments left out.
fn words(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .flat_map(|line| line.split(|c| !is_part(c)))
        .map(|word| word.to_ascii_lowercase().replace(['_', '.'], "-"))
        .collect()
}

fn warnings(source: &SourceTree, manager: Manager, inputs: &[String]) -> Result<Vec<String>, Problem> {
    let text = match manager {
        Manager::Unlocked(file) => {
            return Ok(vec![format!(
                "{file} has no lock file beside it, so that versions may change from build to build"
            )]);
        }
        Manager::Requirements => source.read("requirements.txt")?.unwrap_or_default(),
        _ => return Ok(Vec::new()),
    };
    let is_loose = |line: &&str| {
        let begins = line.starts_with(|c: char| c.is_ascii_alphanumeric());
        begins && !line.contains("==") && !line.contains('@')
    };
    let names = |line: &str| {
        line.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).next().map(str::to_owned)
    };
    let loose: Vec<String> = text.lines().map(str::trim).filter(is_loose).filter_map(names).collect();
    let is_constrained = inputs.len() > 1;
    Ok(match loose.is_empty() || is_constrained {
        true => Vec::new(),
        false => vec![format!(
            "requirements.txt does not pin {}: versions may change from build to build",
            loose.join(", ")
        )],
    })
}
