// SPDX-License-Identifier: Apache-2.0
//! Installing dependencies. The manifest and the lock file are copied into the layer and installed there, so that the
//! layer depends on them alone. Packages whose own install scripts need the app's files, and workspaces, are installed
//! in the app's folder at every build instead.

use super::package::Package;
use crate::builders::author;
use hop3_core::plan::{Layer, Step, Toolchain};
use hop3_core::sandbox::Command;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use serde_json::Value;
use std::collections::BTreeMap;

/// Native modules are compiled against the headers of the Node that runs them, where it has brought them along.
const WITH_HEADERS: &str =
    "if [ -d \"$1/include/node\" ]; then export npm_config_nodedir=\"$1\"; fi; shift; exec \"$@\"";

/// A real folder of links: tools may write caches beside them, which a link to the layer would not allow.
const LINK: &str = "const fs = require('fs'), from = process.argv[1]; \
                    fs.mkdirSync('node_modules', { recursive: true }); \
                    for (const name of fs.existsSync(from) ? fs.readdirSync(from) : []) \
                    fs.symlinkSync(from + '/' + name, 'node_modules/' + name);";

/// Options of pnpm. Not in the environment, whose names changed with version 11; copied, since a hard link would let a
/// later build write into a finished layer.
const PNPM: [&str; 3] = ["--prod=false", "--store-dir={cache:pnpm}", "--config.package-import-method=copy"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Npm,
    Pnpm,
    Yarn,
    /// Yarn 2 and later.
    Berry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Layer,
    App,
}

pub(super) struct Install {
    manager: Manager,
    /// The lock file; none is a warning.
    lock: Option<&'static str>,
    /// Version of the manager and the file that asked for it.
    version: Option<(String, &'static str)>,
    /// Why the layer cannot be used.
    in_app: Option<String>,
    inputs: Vec<String>,
}

impl Install {
    pub(super) fn find(source: &SourceTree, package: &Package) -> Result<Install, Problem> {
        let locks = ["pnpm-lock.yaml", "yarn.lock", "package-lock.json", "npm-shrinkwrap.json"];
        let lock = locks.into_iter().find(|file| source.has(file));
        let is_berry =
            || Ok::<_, Problem>(source.read("yarn.lock")?.unwrap_or_default().contains("__metadata:"));
        let manager = match (lock, package.manager()) {
            (Some("pnpm-lock.yaml"), _) | (None, Some(("pnpm", _))) => Manager::Pnpm,
            (Some("yarn.lock"), _) if is_berry()? => Manager::Berry,
            (Some("yarn.lock"), _) | (None, Some(("yarn", _))) => Manager::Yarn,
            _ => Manager::Npm,
        };
        if let (Manager::Npm, Some(lock)) = (manager, lock) {
            refuse_missing_entries(source, package, lock)?;
        }
        let asked = package.manager().filter(|(name, _)| *name == manager.program());
        let version = asked.map(|(_, version)| (version.to_owned(), "package.json"));
        let inputs = ["package.json", lock.unwrap_or(""), ".npmrc", ".yarnrc", ".yarnrc.yml"];
        Ok(Install {
            manager,
            lock,
            version: version.or_else(|| manager.default_version(source)),
            in_app: why_in_app(source, package),
            inputs: inputs
                .into_iter()
                .filter(|f| !f.is_empty() && source.has(f))
                .map(str::to_owned)
                .collect(),
        })
    }

    pub(super) fn place(&self) -> Place {
        if self.in_app.is_some() { Place::App } else { Place::Layer }
    }

    pub(super) fn program(&self) -> &'static str {
        self.manager.program()
    }

    pub(super) fn cache(&self) -> &'static str {
        self.manager.program()
    }

    /// npm comes with node.
    pub(super) fn toolchain(&self) -> Option<Toolchain> {
        if self.manager == Manager::Npm {
            return None;
        }
        let (version, file) = self.version.clone().unwrap_or_default();
        Some(author::wanted(self.program(), version, file))
    }

    /// The layer; `is_linked` when nothing will ever be written beside the packages.
    pub(super) fn layer(&self, is_linked: bool) -> Layer {
        let inputs = self.inputs.iter().map(String::as_str);
        let copy = Command::exec(["cp", "--"].into_iter().chain(inputs).chain(["{layer:node}/"]));
        let mut install = self.install();
        install.cwd = "{layer:node}".into();
        let link = ("node_modules".to_owned(), "node_modules".to_owned());
        Layer {
            name: "node".into(),
            inputs: self.inputs.clone(),
            steps: vec![Step::new("Copying package.json and its lock file", copy), install],
            links: if is_linked { BTreeMap::from([link]) } else { BTreeMap::new() },
        }
    }

    /// Steps in the app's folder, for an app that cannot use a layer.
    pub(super) fn steps(&self) -> Vec<Step> {
        vec![self.install()]
    }

    pub(super) fn link(&self) -> Step {
        let node = Command::exec(["node", "-e", LINK, "{layer:node}/node_modules"]);
        Step::new("Linking node_modules", node)
    }

    fn install(&self) -> Step {
        let arguments: &[&str] = match (self.manager, self.lock) {
            (Manager::Npm, Some(_)) => &["npm", "ci", "--include=dev"],
            (Manager::Npm, None) => &["npm", "install", "--include=dev", "--no-package-lock"],
            (Manager::Pnpm, Some(_)) => &["pnpm", "install", "--frozen-lockfile", PNPM[0], PNPM[1], PNPM[2]],
            (Manager::Pnpm, None) => &["pnpm", "install", "--no-lockfile", PNPM[0], PNPM[1], PNPM[2]],
            (Manager::Yarn, Some(_)) => &["yarn", "install", "--frozen-lockfile", "--production=false"],
            (Manager::Yarn, None) => &["yarn", "install", "--no-lockfile", "--production=false"],
            (Manager::Berry, _) => &["yarn", "install", "--immutable"],
        };
        let arguments = [&["{toolchain:node}"], arguments].concat();
        let mut step = Step::new(
            &format!("Installing dependencies with {}", self.program()),
            author::scripted(WITH_HEADERS, &arguments),
        );
        step.env = self.env();
        step.hint = match self.lock {
            Some(lock) => {
                format!("when {lock} is out of date, run \"{} install\" and commit {lock}", self.program())
            }
            None => String::new(),
        };
        step
    }

    pub(super) fn env(&self) -> BTreeMap<String, String> {
        match self.manager {
            Manager::Npm => author::env(&[
                ("npm_config_cache", "{cache:npm}"),
                ("npm_config_audit", "false"),
                ("npm_config_fund", "false"),
                ("npm_config_update_notifier", "false"),
            ]),
            Manager::Pnpm => author::env(&[("CI", "true")]),
            Manager::Yarn => author::env(&[("YARN_CACHE_FOLDER", "{cache:yarn}")]),
            Manager::Berry => author::env(&[
                ("YARN_GLOBAL_FOLDER", "{cache:yarn}"),
                ("YARN_ENABLE_TELEMETRY", "0"),
                ("YARN_NODE_LINKER", "node-modules"),
            ]),
        }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let program = self.program();
        let no_lock = format!(
            "package.json has no lock file beside it, so that versions may change from build to build; \
             run \"{program} install\" and commit the lock file"
        );
        let in_app =
            self.in_app.iter().map(|why| format!("{why}, so that dependencies are installed at every build"));
        self.lock.is_none().then_some(no_lock).into_iter().chain(in_app).collect()
    }
}

impl Manager {
    fn program(self) -> &'static str {
        match self {
            Manager::Npm => "npm",
            Manager::Pnpm => "pnpm",
            Manager::Yarn | Manager::Berry => "yarn",
        }
    }

    /// What the lock file itself asks for.
    fn default_version(self, source: &SourceTree) -> Option<(String, &'static str)> {
        match self {
            Manager::Npm => None,
            Manager::Pnpm => {
                let lock = source.read("pnpm-lock.yaml").ok()??;
                // The format of pnpm 7 and before; later ones read each other's.
                let is_old = lock.lines().take(3).any(|line| line.starts_with("lockfileVersion: 5"));
                is_old.then(|| ("7".to_owned(), "pnpm-lock.yaml"))
            }
            Manager::Yarn => Some(("1".to_owned(), "yarn.lock")),
            Manager::Berry => Some((">=4".to_owned(), "yarn.lock")),
        }
    }
}

fn why_in_app(source: &SourceTree, package: &Package) -> Option<String> {
    if let Some(script) = package.install_script() {
        return Some(format!("package.json has the script \"{script}\""));
    }
    if package.workspaces.is_some() || source.has("pnpm-workspace.yaml") {
        return Some("the app is a workspace".into());
    }
    let mut versions = package.dependencies.values().chain(package.dev_dependencies.values());
    let is_local =
        |version: &String| ["file:", "link:", "portal:", "./", "../"].iter().any(|p| version.starts_with(p));
    versions.any(is_local).then(|| "package.json names a package inside the app".into())
}

/// `npm ci` would refuse too, much later and in many more words.
fn refuse_missing_entries(source: &SourceTree, package: &Package, file: &str) -> Result<(), Problem> {
    let text = source.read(file)?.unwrap_or_default();
    let lock: Value = serde_json::from_str(&text).map_err(|e| {
        Problem::new(Kind::User, "node.bad-lock", format!("{file} cannot be read"))
            .detail(e.to_string())
            .hint("run \"npm install\" and commit the lock file")
    })?;
    let is_locked = |name: &str| {
        let of = |table: &str, key: &str| lock.get(table).and_then(|packages| packages.get(key)).is_some();
        of("packages", &format!("node_modules/{name}")) || of("dependencies", name)
    };
    let missing: Vec<&str> = package.names().map(String::as_str).filter(|name| !is_locked(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Problem::new(
        Kind::User,
        "node.lock-out-of-date",
        format!("{file} does not have what package.json asks for"),
    )
    .detail(format!("without an entry: {}", missing.join(", ")))
    .hint(format!("run \"npm install\" and commit {file}")))
}
