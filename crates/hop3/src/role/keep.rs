// SPDX-License-Identifier: Apache-2.0
//! Keep: the roles keep each other alive.
//!
//! Whoever waits for the lock of a role (`hop3_core::lock`) learns of its death at once. A role that should live has a
//! file `run/<role>/wanted` with the arguments to start it with; a deliberate stop removes the file first.

use anyhow::{Context, Result};
use hop3_core::layout::Layout;
use hop3_core::lock;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const ROLES: [&str; 3] = ["supervisor", "proxy", "server"];

/// How long a started role has to take its lock.
const START: Duration = Duration::from_secs(5);
/// Head start of the other keepers over the proxy, which has most to do.
const SECOND: Duration = Duration::from_millis(80);
/// Between looks at what no kernel event tells: that a role is wanted again.
const PAUSE: Duration = Duration::from_millis(500);

/// Says that a role should live, and how it is started.
pub(crate) fn want(layout: &Layout, role: &str, arguments: &[OsString]) -> Result<()> {
    let text: Vec<&str> = arguments.iter().filter_map(|a| a.to_str()).collect();
    anyhow::ensure!(text.len() == arguments.len(), "the root's path is not UTF-8");
    let file = wanted_file(layout, role);
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, text.join("\n"))?;
    std::fs::rename(fresh, file).context("writing what is wanted")
}

/// Says that a role should not live.
pub(crate) fn unwant(layout: &Layout, role: &str) {
    // Absent is what is asked for.
    let _ = std::fs::remove_file(wanted_file(layout, role));
}

/// There as long as the role should live.
pub(crate) fn wanted_file(layout: &Layout, role: &str) -> PathBuf {
    layout.run_of(role).join("wanted")
}

/// The arguments to start a role with; `None` when it should not live.
pub(crate) fn wanted(layout: &Layout, role: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(wanted_file(layout, role)).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

/// Tells whether a role lives.
pub(crate) fn lives(layout: &Layout, role: &str) -> bool {
    lock::is_held(&layout.lock_of(role))
}

/// Starts a role when it is wanted and does not live, and waits until it lives.
pub(crate) fn ensure(layout: &Layout, role: &str) -> Result<()> {
    let Some(arguments) = wanted(layout, role) else { return Ok(()) };
    if lives(layout, role) {
        return Ok(());
    }
    start(layout, role, &arguments)
}

/// Keeps the other roles alive for as long as this process lives.
pub(crate) fn keep_others(layout: &Layout, own: &'static str) -> Result<()> {
    let filter = super::waf::program().map(|_| super::waf::ROLE);
    for role in ROLES.into_iter().chain(filter).filter(|role| *role != own) {
        std::fs::create_dir_all(layout.run_of(role))?;
        let layout = layout.clone();
        std::thread::Builder::new().name(format!("keep-{role}")).stack_size(128 * 1024).spawn(move || {
            loop {
                keep_once(&layout, own, role);
            }
        })?;
    }
    Ok(())
}

/// Waits for a role's death and starts it again.
fn keep_once(layout: &Layout, own: &str, role: &str) {
    if let Err(error) = lock::wait_until_free(&layout.lock_of(role)) {
        tracing::warn!(role, %error, "cannot watch");
        std::thread::sleep(PAUSE);
        return;
    }
    // Of the two that learn of a death, one acts first; the other only if nothing came of it.
    std::thread::sleep(match own {
        "server" => Duration::ZERO,
        "supervisor" => Duration::from_millis(5),
        _ => SECOND,
    });
    let Some(arguments) = wanted(layout, role) else {
        std::thread::sleep(PAUSE);
        return;
    };
    if lives(layout, role) {
        return;
    }
    if let Err(error) = start(layout, role, &arguments) {
        tracing::error!(role, error = format!("{error:#}"), "role not started");
        std::thread::sleep(PAUSE);
    }
}

/// Starts a process that becomes that role, or takes it over.
pub(crate) fn spawn(layout: &Layout, role: &str, arguments: &[String]) -> Result<Child> {
    let log = layout.run_of(role).join("log");
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let program = match role {
        super::waf::ROLE => super::waf::program().context("hop3-waf is not there")?,
        _ => super::program().context("finding the program")?,
    };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C on the terminal that started a role is not for the others.
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {role}"))
}

fn start(layout: &Layout, role: &str, arguments: &[String]) -> Result<()> {
    let mut child = spawn(layout, role, arguments)?;
    let deadline = Instant::now() + START;
    while !lives(layout, role) {
        if let Some(status) = child.try_wait()? {
            // Another keeper was faster, or it cannot start.
            anyhow::ensure!(
                lives(layout, role),
                "{role} ended with {status}; see its log in {}",
                layout.run_of(role).display()
            );
            break;
        }
        anyhow::ensure!(Instant::now() < deadline, "{role} did not start within {START:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    // So that no zombie stays when it ends.
    std::thread::Builder::new()
        .name(format!("reap-{role}"))
        .stack_size(64 * 1024)
        .spawn(move || child.wait())?;
    Ok(())
}
