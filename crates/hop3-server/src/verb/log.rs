// SPDX-License-Identifier: Apache-2.0
//! `logs`: what the app wrote, what its last build printed and what the platform did, in one order of time.

mod request;
mod tail;

pub(crate) use tail::Tail;

use crate::server::{Server, internal};
use hop3_core::acme::Waiting;
use hop3_core::api::{LogEntry, LogOrigin, LogsQuery};
use hop3_core::driver::{LogLine, LogQuery};
use hop3_core::event::{Event, EventRow};
use hop3_core::name::AppName;
use hop3_core::problem::Problem;
use hop3_core::sleep::Sleep;

const LINES: usize = 100;
/// Events looked at for one answer.
const EVENTS: usize = 5_000;

pub(crate) fn logs(server: &Server, name: &AppName, query: &LogsQuery) -> Result<Vec<LogEntry>, Problem> {
    let app = server.app(name)?;
    let wanted = query.n.unwrap_or(LINES);
    if query.requests {
        return requests(server, name, query, u64::MAX);
    }
    let mut entries: Vec<LogEntry> = if query.build {
        let rows = server.store.last_deployment_events(&app).map_err(internal)?;
        rows.iter().filter_map(from_event).collect()
    } else {
        let lines = LogQuery { process: query.process.clone(), last: Some(wanted), since_ms: query.since_ms };
        let mut entries: Vec<LogEntry> =
            server.drivers.runtime.logs(name, &lines)?.into_iter().map(from_line).collect();
        if query.process.is_none() {
            let rows = server.store.events(&app, 0, EVENTS).map_err(internal)?;
            entries.extend(rows.iter().filter_map(from_event));
        }
        entries
    };
    entries.retain(|e| query.since_ms.is_none_or(|since| e.time_ms >= since));
    entries.sort_by_key(|e| e.time_ms);
    Ok(entries.split_off(entries.len().saturating_sub(wanted)))
}

/// Requests to the app: those that were noted, and the source of those to come, with none between and none twice.
pub(crate) fn follow_requests(
    server: &Server,
    name: &AppName,
    query: &LogsQuery,
) -> Result<(Vec<LogEntry>, Tail), Problem> {
    server.app(name)?;
    let tail = Tail::open(&server.layout, name.as_str()).map_err(internal)?;
    Ok((requests(server, name, query, tail.start())?, tail))
}

/// What the proxy noted of requests to the app, in the present file before `end`.
fn requests(server: &Server, name: &AppName, query: &LogsQuery, end: u64) -> Result<Vec<LogEntry>, Problem> {
    let wanted = query.n.unwrap_or(LINES);
    // What an app of this name before it was asked is not for this one.
    let since_ms = query.since_ms.unwrap_or(0).max(server.app(name)?.created_ms);
    request::newest(&server.layout, name.as_str(), wanted, (Some(since_ms), end)).map_err(internal)
}

pub(crate) fn from_line(line: LogLine) -> LogEntry {
    LogEntry { time_ms: line.time_ms, origin: LogOrigin::App, source: line.instance, text: line.text }
}

/// An event as a line of the log; `None` for those that say nothing new.
pub(crate) fn from_event(row: &EventRow) -> Option<LogEntry> {
    let (origin, source, text) = match &row.event {
        Event::StepOutput { step, text } => (LogOrigin::Build, step.as_str(), text.clone()),
        event => (LogOrigin::Platform, "hop3", text(event)?),
    };
    Some(LogEntry { time_ms: row.time_ms, origin, source: source.to_owned(), text })
}

fn text(event: &Event) -> Option<String> {
    Some(match event {
        Event::StepStarted { .. } | Event::StepFinished { .. } | Event::StepOutput { .. } => return None,
        Event::AppCreated => "app created".into(),
        Event::AppRenamed { from } => format!("renamed from {from}"),
        Event::AppStopped => "stopped".into(),
        Event::AppStarted => "started".into(),
        Event::DeploymentStarted { source } => format!("deployment of {source} started"),
        Event::StepFailed { step, problem } => format!("{} failed: {}", step.as_str(), problem.title),
        Event::StepUndone { text } => format!("undone: {text}"),
        Event::Warned { text } => format!("warning: {text}"),
        Event::DeploymentSucceeded { release, millis, .. } => format!("{release} deployed in {millis} ms"),
        Event::DeploymentFailed { problem, .. } => format!("deployment failed: {}", problem.title),
        Event::DeploymentInterrupted => "deployment interrupted: the server ended in the middle of it".into(),
        Event::ReleaseCreated { release, reason } => format!("{release}: {reason}"),
        Event::RolledBack { to, release } => format!("rolled back to {to} as {release}"),
        Event::Scaled { process, from, to } => format!("scaled {process} from {from} to {to}"),
        Event::ConfigChanged { keys } => format!("config changed: {}", keys.join(", ")),
        Event::ProxyChanged { keys } => format!("proxy changed: {}", keys.join(", ")),
        Event::AddonCreated { addon, addon_kind } => format!("addon {addon} made, a {addon_kind}"),
        Event::AddonBound { addon } => format!("addon {addon} bound"),
        Event::AddonUnbound { addon } => format!("addon {addon} unbound"),
        Event::AddonRotated { addon } => format!("addon {addon} has another password"),
        Event::AddonDestroyed { addon, .. } => format!("addon {addon} destroyed"),
        Event::VolumeAttached { volume, path } => format!("volume {volume} attached at {path}"),
        Event::VolumeDetached { volume } => format!("volume {volume} detached"),
        Event::VolumeDestroyed { volume, .. } => format!("volume {volume} destroyed"),
        Event::VolumeFilled { volume, used_bytes, size_bytes } => {
            format!("warning: volume {volume} holds {used_bytes} of {size_bytes} bytes")
        }
        Event::InstanceStarted { instance } => format!("{instance} started"),
        Event::InstanceExited { instance, how } => format!("{instance} ended: {how}"),
        Event::InstanceCrashed { instance, how } => {
            format!("{instance} crashed too often, not started again: {how}")
        }
        Event::CertificateExpiryWarned { name, days, waiting, .. } => {
            let why = waiting.as_ref().map_or_else(String::new, |one| format!("; {one}{}", next_try(one)));
            format!("warning: the certificate of {name} expires in {days} days or less{why}")
        }
        Event::InstanceSlept { instance, level: Sleep::Frozen } => format!("{instance} frozen: nobody asks"),
        Event::InstanceSlept { instance, .. } => format!("{instance} stopped: nobody asks"),
        Event::InstanceWoke { instance, millis } => format!("{instance} woken in {millis} ms"),
        Event::WakeFailed { problem } => {
            format!("could not be woken: {}\n{}", problem.title, problem.detail).trim_end().to_owned()
        }
        Event::CronStarted { command } => format!("cron started: {command}"),
        Event::CronFinished { command, how } => format!("cron finished ({how}): {command}"),
        Event::BackupMade { backup, bytes } => format!("backup {backup} made of {bytes} bytes"),
        Event::BackupFailed { problem } => format!("backup failed: {}", problem.title),
        Event::BackupRestored { backup } => format!("restored from backup {backup}"),
        Event::BackupProven { backup } => format!("backup {backup} restored elsewhere and found whole"),
        Event::BackupNotProven { backup, problem } => {
            format!("warning: backup {backup} could not be proven: {}", problem.title)
        }
    })
}

fn next_try(waiting: &Waiting) -> String {
    let time = i64::try_from(waiting.next_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(String::new, |time| time.strftime("; the next is not before %F %T UTC").to_string())
}
