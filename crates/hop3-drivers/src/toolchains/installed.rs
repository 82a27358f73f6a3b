// SPDX-License-Identifier: Apache-2.0
//! `Installed`: the newest installed version that will do, else one from a registry.
//!
//! Each program is asked for its version once and again only when its file has changed, so that a deployment costs a
//! few look-ups.

use super::obtain::Workshop;
use super::search::Places;
use super::tool::{TOOLS, Tool, tool};
use super::version::{Version, Wanted};
use hop3_core::driver::{Output, Runner, Toolchains};
use hop3_core::layout::Layout;
use hop3_core::plan::Toolchain;
use hop3_core::release::FoundToolchain;
use hop3_core::sandbox::{Command, Job, Limits, Mount, Sandbox};
use hop3_core::{Kind, Problem};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The user of programs that belong to no app.
pub(super) const NOBODY: u32 = 65_534;
const VERSION_DEADLINE: Duration = Duration::from_secs(20);

pub struct Installed {
    places: Places,
    runner: Arc<dyn Runner>,
    /// What the clients of registries need: proxies, certificates, indexes.
    env: BTreeMap<String, String>,
    /// Program and its time of change, to its version.
    known: Mutex<HashMap<(PathBuf, SystemTime), Option<Version>>>,
}

impl Installed {
    /// `environment` is that of the server: `PATH` and `HOME` say where to look, the rest is for registries.
    pub fn new(
        layout: &Layout,
        environment: &BTreeMap<String, String>,
        runner: Arc<dyn Runner>,
    ) -> Installed {
        let path = environment.get("PATH").map(String::as_str).unwrap_or_default();
        let fixed = std::env::split_paths(path).filter(|dir| dir.is_absolute() && !dir.ends_with("shims"));
        let places = Places {
            fixed: fixed.collect(),
            home: environment
                .get("HOME")
                .map(PathBuf::from)
                .filter(|home| home.is_absolute() && home != Path::new("/")),
            own: layout.toolchains(),
            root: layout.root().to_owned(),
        };
        Installed { places, runner, env: super::obtain::passed(environment), known: Mutex::default() }
    }

    /// Every version of a tool on this machine, newest first.
    fn all(&self, tool: &Tool) -> Vec<(Version, FoundToolchain)> {
        let mut found: Vec<(Version, FoundToolchain)> = self
            .places
            .prefixes(tool.program)
            .into_iter()
            .filter_map(|prefix| {
                let version = self.version(tool, &prefix)?;
                Some((version.clone(), FoundToolchain { version: version.to_string(), prefix }))
            })
            .collect();
        found.sort_by(|a, b| b.0.cmp(&a.0));
        found
    }

    /// Asks a program for its version, unless its answer is known.
    pub(super) fn version(&self, tool: &Tool, prefix: &Path) -> Option<Version> {
        let program = prefix.join("bin").join(tool.program);
        let changed = program.metadata().and_then(|metadata| metadata.modified()).ok()?;
        let key = (program, changed);
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let version = version_in_name(prefix).or_else(|| self.ask(tool, prefix, &key.0));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, version.clone());
        version
    }

    fn ask(&self, tool: &Tool, prefix: &Path, program: &Path) -> Option<Version> {
        let argv = [program.to_string_lossy().into_owned()];
        let command = Command::exec(argv.into_iter().chain(tool.arguments.iter().map(|a| (*a).to_owned())));
        let mut printed = Printed::default();
        let exit =
            self.runner.run(&job(command, prefix, &*self.runner), VERSION_DEADLINE, &mut printed).ok()?;
        let after = printed.0.split_once(tool.word).map_or(printed.0.as_str(), |(_, after)| after);
        exit.is_success().then(|| Version::find(after))?
    }

    fn unavailable(&self, asked: &Toolchain, tool: &Tool, why: &str) -> Problem {
        let versions: Vec<String> =
            self.all(tool).into_iter().map(|(version, _)| version.to_string()).collect();
        let there = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
        let place = if asked.source.is_empty() { "" } else { &asked.source };
        let by = if place.is_empty() { String::new() } else { format!(", asked for by {place},") };
        let hint = match (versions.is_empty(), tool.package) {
            (true, "") => "ask the administrator of the server to install it".to_owned(),
            (true, package) => format!("on the server, as its administrator: apt-get install {package}"),
            (false, _) if place.is_empty() => {
                "ask the administrator of the server to install another version".to_owned()
            }
            (false, _) => {
                format!(
                    "ask in {place} for a version that is installed, or ask the administrator of the server to install that one"
                )
            }
        };
        let title = format!("{} {}{by} cannot be had on this server", tool.name, asked.version);
        Problem::new(Kind::User, "toolchain.unavailable", title.replace("  ", " ").replace(" ,", ","))
            .detail(format!("installed: {there}\n{why}").trim_end())
            .hint(hint)
    }
}

impl Toolchains for Installed {
    fn provide(&self, asked: &Toolchain, report: &mut dyn FnMut(&str)) -> Result<FoundToolchain, Problem> {
        let tool = tool(&asked.name).ok_or_else(|| unknown(asked))?;
        let wanted = Wanted::parse(&asked.version).ok_or_else(|| unreadable(asked))?;
        if let Some((_, found)) = self.all(tool).into_iter().find(|(version, _)| wanted.takes(version)) {
            return Ok(found);
        }
        let workshop =
            Workshop { own: &self.places.own, env: &self.env, runner: &*self.runner, toolchains: self };
        let why = match workshop.obtain(tool, &wanted, report) {
            Ok(()) => match self.all(tool).into_iter().find(|(version, _)| wanted.takes(version)) {
                Some((_, found)) => return Ok(found),
                None => "what the registry gave is of another version".to_owned(),
            },
            Err(problem) if problem.detail.is_empty() => problem.title,
            Err(problem) => problem.detail,
        };
        // A patch release more or less rarely matters; having none at all does.
        let near = wanted
            .exact()
            .and_then(|exact| self.all(tool).into_iter().find(|(v, _)| v.agrees(&exact, tool.agree)));
        match near {
            Some((version, found)) => {
                report(&format!(
                    "warning: {} {} cannot be had; {version} is taken",
                    tool.name, asked.version
                ));
                Ok(found)
            }
            None => Err(self.unavailable(asked, tool, &why)),
        }
    }

    fn installed(&self) -> Vec<(String, FoundToolchain)> {
        let of =
            |tool: &'static Tool| self.all(tool).into_iter().map(|(_, found)| (tool.name.to_owned(), found));
        TOOLS.iter().flat_map(of).collect()
    }
}

/// A command of nobody's: it sees the machine, one prefix that may lie out of its reach, and nothing of Hop3.
pub(super) fn job(command: Command, prefix: &Path, runner: &dyn Runner) -> Job {
    let bin = prefix.join("bin").to_string_lossy().into_owned();
    let env = [
        ("PATH", format!("{bin}:/usr/local/bin:/usr/bin:/bin")),
        ("HOME", "/tmp".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
    ];
    let is_far = !prefix.starts_with("/usr");
    let mount = Mount { source: prefix.to_owned(), target: prefix.to_owned(), writable: false };
    Job {
        command,
        cwd: PathBuf::from("/"),
        env: env.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        sandbox: Sandbox {
            user: runner.is_privileged().then_some(NOBODY),
            user_name: "nobody".into(),
            home: PathBuf::from("/tmp"),
            hide: Vec::new(),
            mounts: if is_far { vec![mount] } else { Vec::new() },
            ..Sandbox::default()
        },
        limits: Limits::default(),
    }
}

/// `3.12.1`, `go-1.22.3`, `v20.1.0`: a whole version in the name of the prefix saves a question.
fn version_in_name(prefix: &Path) -> Option<Version> {
    let name = prefix.file_name()?.to_str()?;
    let word = name.rsplit_once('-').map_or(name, |(_, word)| word);
    let version = Version::parse(word)?;
    (version.numbers.len() >= 3
        && word.trim_start_matches('v').chars().all(|c| c.is_ascii_digit() || c == '.'))
    .then_some(version)
}

fn unknown(asked: &Toolchain) -> Problem {
    let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    Problem::new(
        Kind::Config,
        "toolchain.unknown",
        format!("there is no toolchain \"{}\"", asked.name.escape_debug()),
    )
    .detail(format!("toolchains: {}", names.join(", ")))
}

fn unreadable(asked: &Toolchain) -> Problem {
    let version = asked.version.chars().take(60).flat_map(char::escape_debug).collect::<String>();
    let place = if asked.source.is_empty() { "the plan" } else { &asked.source };
    Problem::new(
        Kind::User,
        "toolchain.bad-version",
        format!("{place} asks for {} \"{version}\", which names no version", asked.name),
    )
    .hint("write a version such as \"3.12\" or a range such as \">=3.10\"")
}

/// Everything a command printed.
#[derive(Default)]
pub(super) struct Printed(pub String);

impl Output for Printed {
    fn line(&mut self, text: &str) -> bool {
        self.0.push_str(text);
        self.0.push('\n');
        self.0.len() < 1 << 20
    }
}
