// SPDX-License-Identifier: Apache-2.0
//! `hop3 proxy upgrade`: a new proxy process, of the program as it lies on disk now, takes over the sockets of the one
//! that runs (`hop3_proxy::handover`), and then a new request filter those of the filter, if one runs
//! (`hop3_waf::handover`). The old ones end when they have answered what they have.

use super::{keep, waf};
use hop3_core::layout::Layout;
use hop3_core::lock;
use hop3_core::problem::{Kind, Problem};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

/// A role that is replaced, and what is told of it.
struct Part {
    role: &'static str,
    name: &'static str,
    problem: fn() -> Problem,
    /// A new one that starts is there within this.
    patience: Duration,
    /// Its log is written for people.
    is_plain: bool,
}

const PROXY: Part = Part {
    role: "proxy",
    name: "proxy",
    problem: || {
        Problem::new(
            Kind::Unavailable,
            "proxy.not-upgraded",
            "the proxy was not replaced; the old one serves on",
        )
    },
    patience: Duration::from_secs(15),
    is_plain: false,
};

/// Reads the rules for each of its threads first.
const FILTER: Part = Part {
    role: waf::ROLE,
    name: "request filter",
    problem: || {
        Problem::new(
            Kind::Unavailable,
            "waf.not-upgraded",
            "the request filter was not replaced; the old one answers on",
        )
    },
    patience: Duration::from_secs(30),
    is_plain: true,
};

pub(crate) fn run(layout: &Layout) -> ExitCode {
    match all(layout) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = std::io::stderr().write_all(problem.render().as_bytes());
            ExitCode::from(problem.kind.exit_code())
        }
    }
}

fn all(layout: &Layout) -> Result<(), Problem> {
    tell(&PROXY, proxy(layout)?);
    // Where no filter runs there is none to replace.
    if let Some(pids) = replace(layout, &FILTER)? {
        tell(&FILTER, pids);
    }
    Ok(())
}

fn tell(part: &Part, (old, new): (u32, u32)) {
    // Nobody may be reading.
    let _ = writeln!(std::io::stdout(), "the {} {new} has taken the place of {old}", part.name);
}

/// Returns the old pid and the new one, once the new one serves.
pub(crate) fn proxy(layout: &Layout) -> Result<(u32, u32), Problem> {
    replace(layout, &PROXY)?.ok_or_else(|| {
        let title = format!("no proxy runs for {}", layout.root().display());
        Problem::new(Kind::NotFound, "proxy.not-running", title)
            .hint("start the server; it starts the proxy: hop3 server")
    })
}

/// Puts a new process in the place of the one that is that role; `None` when none is.
fn replace(layout: &Layout, part: &Part) -> Result<Option<(u32, u32)>, Problem> {
    let (holder, wanted) = (lock::holder(&layout.lock_of(part.role)), keep::wanted(layout, part.role));
    let Some((old, mut arguments)) = holder.zip(wanted) else { return Ok(None) };
    arguments.push("--takes-over".into());
    let log = Log::at_its_end(layout, part);
    let spawned = keep::spawn(layout, part.role, &arguments).map_err(|e| format!("{e:#}"));
    let new = spawned.and_then(|child| wait(layout, part, child)).map_err(|why| log.problem(part, &why))?;
    Ok(Some((old, new)))
}

/// Returns the new pid once it serves, or why it does not.
fn wait(layout: &Layout, part: &Part, mut child: Child) -> Result<u32, String> {
    let (file, deadline) = (layout.lock_of(part.role), Instant::now() + part.patience);
    while lock::holder(&file) != Some(child.id()) {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("the new {} ended with {status}", part.name));
        }
        if Instant::now() > deadline {
            // Ours, and not in place: the old one goes on.
            let _ = child.kill().and_then(|()| child.wait());
            return Err(format!("the new {} did not serve within {:?}", part.name, part.patience));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(child.id())
}

/// Where a role writes for its operator, and how much was there before.
struct Log {
    path: PathBuf,
    before: usize,
}

impl Log {
    fn at_its_end(layout: &Layout, part: &Part) -> Log {
        let path = layout.run_of(part.role).join("log");
        let before = std::fs::metadata(&path).map_or(0, |file| file.len() as usize);
        Log { path, before }
    }

    fn problem(&self, part: &Part, why: &str) -> Problem {
        let said = self.last_line().filter(|_| part.is_plain);
        let detail = said.map_or_else(|| why.to_owned(), |said| format!("{why}: {said}"));
        (part.problem)().detail(detail).hint(format!("its log says more: {}", self.path.display()))
    }

    /// What was written last, since.
    fn last_line(&self) -> Option<String> {
        let text = std::fs::read(&self.path).ok()?;
        let new = String::from_utf8_lossy(text.get(self.before..)?);
        new.lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned)
    }
}
