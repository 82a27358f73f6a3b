// SPDX-License-Identifier: Apache-2.0
//! Step Release: artifact and config become a numbered release, and its release command runs while the old release
//! serves. Undo marks it failed.
//!
//! The release command runs for deployments, not for config changes and rollbacks: an old release's migrations must
//! not run over a newer schema.

use super::context::{Context, Told};
use super::job::one_off;
use crate::server::internal;
use crate::store::Release;
use hop3_core::driver::Exit;
use hop3_core::event::Event;
use hop3_core::name::EnvKey;
use hop3_core::problem::{Kind, Problem};
use hop3_core::release::{Artifact, ReleaseNumber};
use hop3_core::sandbox::Command;
use std::collections::BTreeMap;
use std::time::Duration;

/// A release that needs no build.
pub(crate) enum Change {
    /// The stored config is the new one.
    Config {
        keys: Vec<EnvKey>,
    },
    Rollback {
        to: Box<Release>,
    },
    Restart,
    Renamed,
    /// What it is told of its addons, or sees of its volumes, is another than before.
    Addons {
        reason: String,
    },
}

pub(super) fn run(
    cx: &Context<'_>,
    artifact: &Artifact,
    environment: &BTreeMap<EnvKey, String>,
) -> Result<Release, Problem> {
    let release = create(cx, artifact, environment, &format!("Deploy {}", artifact.source))?;
    let table = &artifact.processes;
    let deadline = Duration::from_secs(table.release_timeout_secs.into());
    for line in table.release.iter().chain(&table.before_run) {
        cx.say(&format!("→ {line}"));
        let job = one_off(cx.server, &cx.app, &release, &Command::shell(line))?;
        let mut told = Told::new(cx);
        let exit = cx.server.drivers.runner.run(&job, deadline, &mut told)?;
        if !exit.is_success() {
            return Err(failed(line, exit, &told.tail()));
        }
    }
    Ok(release)
}

/// Makes the release that a change asks for.
pub(super) fn from_change(cx: &Context<'_>, change: Change) -> Result<Release, Problem> {
    let current = current(cx)?;
    let (artifact, environment, reason) = match change {
        Change::Config { keys } => {
            let mut environment = current.config.expose().clone();
            let stored = cx.server.store.config(&cx.app).map_err(internal)?;
            environment.retain(|key, _| !keys.contains(key) || stored.contains_key(key));
            environment.extend(stored);
            let names: Vec<&str> = keys.iter().map(EnvKey::as_str).collect();
            (current.artifact, environment, format!("Change {}", names.join(", ")))
        }
        Change::Rollback { to } => {
            let environment = to.config.expose().clone();
            cx.server.store.replace_config(&cx.app, &environment).map_err(internal)?;
            let stored = current.config.expose().clone();
            let (server, app) = (cx.server.clone(), cx.app.clone());
            cx.undo("put the config back", move || {
                server.store.replace_config(&app, &stored).map_err(internal)
            });
            (to.artifact.clone(), environment, format!("Rollback to {}", to.number))
        }
        Change::Restart => (current.artifact, current.config.expose().clone(), "Restart".to_owned()),
        Change::Addons { reason } => (current.artifact, current.config.expose().clone(), reason),
        Change::Renamed => {
            (current.artifact, current.config.expose().clone(), format!("Rename to {}", cx.app.name))
        }
    };
    create(cx, &artifact, &environment, &reason)
}

/// The release that serves, or the problem that there is none.
pub(crate) fn current(cx: &Context<'_>) -> Result<Release, Problem> {
    let number = cx.app.current.ok_or_else(|| not_deployed(cx))?;
    cx.server.store.release(&cx.app, number).map_err(internal)?.ok_or_else(|| not_deployed(cx))
}

fn not_deployed(cx: &Context<'_>) -> Problem {
    let name = &cx.app.name;
    Problem::new(Kind::Conflict, "app.not-deployed", format!("the app \"{name}\" has no release yet"))
        .hint(format!("deploy it: hop3 deploy -a {name}, or git push {}", cx.server.site.git_url(name)))
}

fn create(
    cx: &Context<'_>,
    artifact: &Artifact,
    environment: &BTreeMap<EnvKey, String>,
    reason: &str,
) -> Result<Release, Problem> {
    crate::verb::proxy::check_release(cx.server, &cx.app, artifact)?;
    let release = cx.server.store.create_release(&cx.app, artifact, environment, reason).map_err(internal)?;
    cx.hide(environment.values());
    let number: ReleaseNumber = release.number;
    cx.tell(Event::ReleaseCreated { release: number, reason: reason.to_owned() });
    let (server, app) = (cx.server.clone(), cx.app.clone());
    cx.undo(format!("mark {number} as failed"), move || {
        server.store.fail_release(&app, number).map_err(internal)
    });
    Ok(release)
}

fn failed(line: &str, exit: Exit, tail: &str) -> Problem {
    let (code, title) = match exit {
        Exit::TimedOut => ("release.timed-out", "the release command took too long"),
        _ => ("release.command-failed", "the release command failed; the old release still serves"),
    };
    Problem::new(Kind::User, code, title)
        .detail(format!("command: {line}\nended with: {exit}\n{tail}").trim_end())
        .hint("try it by hand with: hop3 run <command>; then push again")
}
