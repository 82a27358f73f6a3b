// SPDX-License-Identifier: Apache-2.0
//! `run`, `exec`: one-off commands of an app's current release.

use crate::deploy::{self, Context};
use crate::server::{Server, internal};
use hop3_core::api::{RunRequest, RunStarted};
use hop3_core::driver::Output;
use hop3_core::name::AppName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::sandbox::{Command, Job};
use std::sync::Arc;
use std::time::Duration;

/// A detached command may run so long.
const DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// The job of a request: the current release's environment and sandbox.
pub(crate) fn job(server: &Arc<Server>, name: &AppName, request: &RunRequest) -> Result<Job, Problem> {
    let app = server.app(name)?;
    let cx = Context::new(server, app, None);
    let release = deploy::current(&cx)?;
    if request.argv.is_empty() {
        return Err(Problem::new(Kind::User, "run.no-command", "no command is given")
            .hint("for example: hop3 run -- python manage.py shell"));
    }
    let mut job = deploy::one_off(server, &cx.app, &release, &Command::Exec(request.argv.clone()))?;
    // Placeholders are for plans; what a person types is taken as it is.
    job.command = Command::Exec(request.argv.clone());
    if request.terminal.is_some() {
        job.env.entry("TERM".into()).or_insert_with(|| "xterm-256color".into());
    }
    if let Some(id) = &request.instance {
        let instances = server.drivers.runtime.status(Some(name))?;
        let instance = instances.into_iter().find(|i| i.id == *id).ok_or_else(|| {
            Problem::new(Kind::NotFound, "instance.unknown", "there is no such instance")
                .hint(format!("see them with: hop3 ps -a {name}"))
        })?;
        job.env.insert("HOP3_PROCESS".into(), instance.process.to_string());
        job.env.insert("HOP3_INSTANCE".into(), instance.id);
        if let Some(address) = instance.address {
            job.env.insert("PORT".into(), address.port().to_string());
            job.env.insert("BIND_ADDRESS".into(), address.ip().to_string());
        }
    }
    Ok(job)
}

/// Starts a command whose output goes to the app's log; gives the name its lines have there.
pub(crate) fn detached(
    server: &Arc<Server>,
    name: &AppName,
    request: &RunRequest,
) -> Result<RunStarted, Problem> {
    let job = job(server, name, request)?;
    let suffix: String = crate::random::token().map_err(internal)?.chars().skip(5).take(4).collect();
    let label = format!("run.{}", suffix.to_lowercase().replace(['-', '_'], "0"));
    let (server, name, of) = (Arc::clone(server), name.clone(), label.clone());
    std::thread::Builder::new()
        .name("run".into())
        .spawn(move || {
            let how = log_run(&server, &name, &of, &job, DEADLINE);
            // The log is where the outcome is told; when it cannot be written nobody listens.
            let _ = server.drivers.runtime.note(&name, &of, &format!("ended: {how}"));
        })
        .map_err(internal)?;
    Ok(RunStarted { name: label })
}

/// Runs a job with its output in the app's log; says how it ended.
pub(crate) fn log_run(server: &Server, name: &AppName, label: &str, job: &Job, deadline: Duration) -> String {
    let mut notes = Notes { server, name, label };
    match server.drivers.runner.run(job, deadline, &mut notes) {
        Ok(exit) => exit.to_string(),
        Err(problem) => problem.title,
    }
}

struct Notes<'a> {
    server: &'a Server,
    name: &'a AppName,
    label: &'a str,
}

impl Output for Notes<'_> {
    fn line(&mut self, text: &str) -> bool {
        self.server.drivers.runtime.note(self.name, self.label, text).is_ok()
    }
}

/// Keeps what a short command says.
#[derive(Default)]
pub(crate) struct Lines(pub Vec<String>);

impl Output for Lines {
    fn line(&mut self, text: &str) -> bool {
        self.0.push(text.to_owned());
        true
    }
}
