// SPDX-License-Identifier: Apache-2.0
//! Following a deployment: every event as it happens, and how it ended.

use crate::client::{Client, EventStream, encode};
use crate::connection::Target;
use crate::problem;
use crate::render::{Style, clean_lines, render_event};
use crate::upload::Upload;
use hop3_core::api::{AppInfo, CreateAppRequest};
use hop3_core::event::{Event, EventRow};
use hop3_core::name::AppName;
use hop3_core::{Kind, Problem};
use hyper::Method;
use std::io::{Read, Write};
use std::path::Path;

/// What a push brought.
pub struct Pushed<'a> {
    pub app: AppName,
    /// The commit.
    pub source: &'a str,
    pub branch: &'a str,
}

/// The app that a push over SSH is for, made when it is absent and `create` is given.
pub fn app_of_push(socket: &Path, app: &AppName, create: bool) -> Result<AppInfo, Problem> {
    let client = Client::new(Target::Socket(socket.to_owned()))?;
    match client.get(&format!("/api/apps/{app}")) {
        Err(problem) if problem.kind == Kind::NotFound && create => {
            client.send(Method::POST, "/api/apps", &CreateAppRequest { name: app.clone() })
        }
        answer => answer,
    }
}

/// Sends a tar through the API socket of this machine and writes the deployment's events; the exit status is the
/// deployment's. Nothing is left to tell afterwards: problems are written to `out` too.
pub fn stream_deployment(
    socket: &Path,
    pushed: &Pushed<'_>,
    tar: impl Read + Send + 'static,
    out: &mut dyn Write,
) -> u8 {
    let outcome = upload_through(socket, pushed, tar, out);
    match outcome {
        Ok(()) => 0,
        Err(problem) => {
            // Whoever read the events may be gone; the exit status still tells.
            drop(out.write_all(clean_lines(&problem.render()).as_bytes()));
            problem.kind.exit_code()
        }
    }
}

fn upload_through(
    socket: &Path,
    pushed: &Pushed<'_>,
    tar: impl Read + Send + 'static,
    out: &mut dyn Write,
) -> Result<(), Problem> {
    let client = Client::new(Target::Socket(socket.to_owned()))?;
    let path = format!("{}&branch={}", upload_path(&pushed.app, pushed.source, true), encode(pushed.branch));
    let mut events = client.stream(Method::POST, &path, Upload::copied_from(tar))?;
    follow(&mut events, |row| {
        drop(out.write_all(render_event(row, Style::PLAIN).as_bytes()).and_then(|()| out.flush()));
    })
}

/// Where the tar of an app goes.
pub(crate) fn upload_path(app: &AppName, source: &str, create: bool) -> String {
    format!("/api/apps/{app}/deployments?source={}&create={create}", encode(source))
}

/// Hands every event to `show` until the deployment ends. The problem of a failed one is returned, not shown.
pub(crate) fn follow(events: &mut EventStream<'_>, mut show: impl FnMut(&EventRow)) -> Result<(), Problem> {
    while let Some(row) = events.next::<EventRow>()? {
        match row.event {
            Event::DeploymentFailed { problem, .. } => return Err(problem),
            Event::DeploymentInterrupted => return Err(problem::interrupted()),
            Event::DeploymentSucceeded { .. } => {
                show(&row);
                return Ok(());
            }
            _ => show(&row),
        }
    }
    Err(problem::stream_cut())
}
