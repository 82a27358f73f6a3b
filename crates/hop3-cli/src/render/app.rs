// SPDX-License-Identifier: Apache-2.0
//! Apps, their instances and the server that runs them.

use super::style::{Style, clean};
use super::table::Table;
use super::time::clock;
use hop3_core::api::{AppInfo, AppState, AppSummary, ServerInfo};
use hop3_core::name::ProcessName;
use hop3_core::release::ReleaseNumber;
use hop3_core::workload::{Instance, InstanceState};
use jiff::tz::TimeZone;

pub(crate) fn app_table(apps: &[AppSummary], zone: &TimeZone, style: Style) -> String {
    let mut table = Table::new(["APP", "STATE", "RELEASE", "CREATED", "URL"]);
    for app in apps {
        table.row([
            app.name.to_string(),
            state(app.state).to_owned(),
            release(app.release),
            clock(app.created_ms, zone),
            app.url.clone(),
        ]);
    }
    table.render(style)
}

pub(crate) fn app_info(app: &AppInfo, zone: &TimeZone, style: Style) -> String {
    let mut table = Table::headless();
    let mut line = |key: &str, value: String| table.row([key.to_owned(), value]);
    line("app", app.name.to_string());
    line("state", state(app.state).to_owned());
    line("release", release(app.release));
    line("url", app.url.clone());
    line("git url", app.git_url.clone());
    line("branch", app.deploy_branch.clone());
    if !app.domains.is_empty() {
        let domains: Vec<String> = app.domains.iter().map(ToString::to_string).collect();
        line("domains", domains.join(", "));
    }
    for place in &app.tcp {
        let tls = if place.tls { " (TLS)" } else { "" };
        let closed = place.closed.as_ref().map(|why| format!(", closed: {why}")).unwrap_or_default();
        line("tcp", format!("{}{tls} to {}{closed}", place.address, place.process));
    }
    if !app.scale.is_empty() {
        let scale: Vec<String> = scale(app).map(|(process, n)| format!("{process}={n}")).collect();
        line("scale", scale.join(" "));
    }
    line("created", clock(app.created_ms, zone));
    let mut text = table.render(style);
    if !app.instances.is_empty() {
        text.push('\n');
        text += &instance_table(&app.instances, zone, style);
    }
    text
}

/// Each process with its number of instances, or the range of it.
pub(crate) fn scale(app: &AppInfo) -> impl Iterator<Item = (&ProcessName, String)> {
    let range = |process| app.ranges.get(process).map(ToString::to_string);
    app.scale.iter().map(move |(process, n)| (process, range(process).unwrap_or_else(|| n.to_string())))
}

pub(crate) fn instance_table(instances: &[Instance], zone: &TimeZone, style: Style) -> String {
    let mut table = Table::new([
        "INSTANCE",
        "PROCESS",
        "RELEASE",
        "STATE",
        "PID",
        "ADDRESS",
        "STARTED",
        "RESTARTS",
        "LAST EXIT",
    ]);
    let dash = || "-".to_owned();
    for instance in instances {
        table.row([
            instance.id.clone(),
            instance.process.to_string(),
            instance.release.to_string(),
            instance_state(instance.state).to_owned(),
            instance.pid.map_or_else(dash, |pid| pid.to_string()),
            instance.address.map_or_else(dash, |address| address.to_string()),
            if instance.state == InstanceState::Sleeping { dash() } else { clock(instance.started_ms, zone) },
            instance.restarts.to_string(),
            instance.last_exit.clone().unwrap_or_else(dash),
        ]);
    }
    table.render(style)
}

pub(crate) fn server_info(server: &ServerInfo, style: Style) -> String {
    let mut table = Table::headless();
    table.row(["version".to_owned(), server.version.clone()]);
    table.row(["url".to_owned(), server.url.clone()]);
    table.row(["domain".to_owned(), clean(&server.domain)]);
    table.row(["apps".to_owned(), server.apps.to_string()]);
    table.render(style)
}

fn release(number: Option<ReleaseNumber>) -> String {
    number.map_or_else(|| "-".to_owned(), |n| n.to_string())
}

fn state(state: AppState) -> &'static str {
    match state {
        AppState::New => "new",
        AppState::Running => "running",
        AppState::Stopped => "stopped",
        AppState::Sleeping => "sleeping",
        AppState::Down => "down",
    }
}

fn instance_state(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Starting => "starting",
        InstanceState::Running => "running",
        InstanceState::Backoff => "backoff",
        InstanceState::Crashed => "crashed",
        InstanceState::Stopping => "stopping",
        InstanceState::Stopped => "stopped",
        InstanceState::Frozen => "frozen",
        InstanceState::Sleeping => "sleeping",
    }
}
