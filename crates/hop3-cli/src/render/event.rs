// SPDX-License-Identifier: Apache-2.0
//! A deployment as its author watches it: one line per step with its duration, build output indented, the address at
//! the end. The same text goes to `hop3 deploy` and, through the git hook, to `git push`.

use super::size::bytes;
use super::style::{Style, Tone, clean, clean_lines};
use super::time::{clock, duration};
use hop3_core::event::{DeployStep, Event, EventRow};
use hop3_core::sleep::Sleep;
use jiff::tz::TimeZone;

/// The lines for one event, each ended; empty when there is nothing to show.
pub fn render_event(row: &EventRow, style: Style) -> String {
    let text = line(row, style);
    match (style.live, text.is_empty()) {
        // A running step's line may be on the screen without an end: it is drawn over.
        (true, false) => format!("\r\x1b[K{text}"),
        _ => text,
    }
}

fn line(row: &EventRow, style: Style) -> String {
    let app = clean(row.app.as_deref().unwrap_or("the app"));
    let strong = |text: &str| style.paint(Tone::Strong, text);
    match &row.event {
        Event::AppCreated => format!("Created app {}\n", strong(&app)),
        Event::DeploymentStarted { source } => format!("Deploying {} ({})\n", strong(&app), clean(source)),
        Event::StepStarted { step } => started(*step, style),
        Event::StepOutput { text, .. } => indented(text, style),
        Event::StepFinished { step, millis } => {
            let tick = style.paint(Tone::Good, "✓");
            format!("{tick} {:<9}  {}\n", step.as_str(), style.paint(Tone::Faint, &duration(*millis)))
        }
        Event::StepFailed { step, .. } => format!("{} {}\n", style.paint(Tone::Bad, "✗"), step.as_str()),
        Event::StepUndone { text } => style.paint(Tone::Faint, &format!("  undone: {}", clean(text))) + "\n",
        Event::Warned { text } => format!("{} {}\n", style.paint(Tone::Warning, "warning:"), clean(text)),
        Event::DeploymentSucceeded { release, url, millis } => {
            let (url, took) = (strong(&clean(url)), duration(*millis));
            format!("{app} {release} is live at {url} after {took}\n")
        }
        Event::DeploymentFailed { problem, .. } => clean_lines(&problem.render()),
        other => sentence(other).map_or_else(String::new, |text| format!("{}\n", clean(&text))),
    }
}

/// The build, which prints much, has a heading; the others show only while they run.
fn started(step: DeployStep, style: Style) -> String {
    let heading = style.paint(Tone::Faint, &format!("· {}", step.as_str()));
    match (step, style.live) {
        (DeployStep::Build, _) => heading + "\n",
        (_, true) => style.paint(Tone::Faint, &format!("· {} …", step.as_str())),
        (_, false) => String::new(),
    }
}

fn indented(text: &str, style: Style) -> String {
    text.lines().map(|line| format!("    {}\n", style.paint(Tone::Faint, &clean(line)))).collect()
}

/// Events outside a deployment, as sentences.
fn sentence(event: &Event) -> Option<String> {
    Some(match event {
        Event::AppRenamed { from } => format!("renamed from {from}"),
        Event::AppStopped => "stopped".to_owned(),
        Event::AppStarted => "started".to_owned(),
        Event::DeploymentInterrupted => {
            "the deployment was interrupted: the server ended in its middle".to_owned()
        }
        Event::ReleaseCreated { release, reason } => format!("release {release}: {reason}"),
        Event::RolledBack { to, release } => format!("rolled back to {to} as {release}"),
        Event::Scaled { process, from, to } => format!("scaled {process} from {from} to {to}"),
        Event::ConfigChanged { keys } => format!("config changed: {}", keys.join(", ")),
        Event::ProxyChanged { keys } => format!("proxy changed: {}", keys.join(", ")),
        Event::AddonBound { addon } => format!("addon {addon} is bound"),
        Event::AddonUnbound { addon } => format!("addon {addon} is unbound"),
        Event::VolumeAttached { volume, path } => format!("volume {volume} is attached at {path}"),
        Event::VolumeDetached { volume } => format!("volume {volume} is detached"),
        Event::VolumeFilled { volume, used_bytes, size_bytes } => {
            format!("warning: volume {volume} holds {} of {}", bytes(*used_bytes), bytes(*size_bytes))
        }
        Event::InstanceStarted { instance } => format!("{instance} started"),
        Event::InstanceExited { instance, how } => format!("{instance} ended: {how}"),
        Event::InstanceCrashed { instance, how } => format!("{instance} crashes again and again: {how}"),
        Event::CertificateExpiryWarned { name, days, waiting, .. } => {
            let days = if *days == 1 { "a day".to_owned() } else { format!("{days} days") };
            let why = waiting.as_ref().map_or_else(String::new, |waiting| {
                let next = clock(waiting.next_ms, &TimeZone::UTC);
                format!("; {waiting}; the next is not before {next} UTC")
            });
            format!("warning: the certificate of {name} expires within {days}{why}")
        }
        Event::InstanceSlept { instance, level: Sleep::Frozen } => {
            format!("{instance} was frozen: nobody asks")
        }
        Event::InstanceSlept { instance, .. } => format!("{instance} was stopped: nobody asks"),
        Event::InstanceWoke { instance, millis } => format!("{instance} woke up in {}", duration(*millis)),
        Event::WakeFailed { problem } => format!("it could not be woken: {}", problem.title),
        Event::CronStarted { command } => format!("cron started: {command}"),
        Event::BackupMade { backup, .. } => format!("backup {backup} was made"),
        Event::BackupFailed { problem } => format!("a backup failed: {}", problem.title),
        Event::BackupRestored { backup } => format!("restored from backup {backup}"),
        Event::BackupProven { backup } => format!("backup {backup} was restored and found whole"),
        Event::BackupNotProven { backup, problem } => {
            format!("warning: backup {backup} could not be proven: {}", problem.title)
        }
        Event::CronFinished { command, how } => format!("cron finished ({how}): {command}"),
        _ => return None,
    })
}
