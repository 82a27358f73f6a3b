// SPDX-License-Identifier: Apache-2.0
//! Step Healthy: a new instance gets requests only after it was seen to answer.
//!
//! The web process: the HTTP path when one is given, else a connection to its port, else the command. Other
//! processes: a connection where they are reached by one, and they must not have ended. A failure tells the check, what it saw, and the app's last lines.

use super::context::Context;
use super::job::one_off;
use crate::store::Release;
use hop3_core::driver::{LogQuery, Output};
use hop3_core::name::ProcessName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::sandbox::Command;
use hop3_core::settings::HealthCheck;
use hop3_core::workload::{Instance, InstanceState};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Between two looks: short at first, since requests may wait for the answer of an app that starts quickly.
const PAUSE: std::ops::Range<Duration> = Duration::from_millis(2)..Duration::from_millis(25);
/// A process that does not serve must live so long to count as started.
const SETTLE: Duration = Duration::from_millis(400);
/// What of an answer is read when its text matters.
const BODY_LIMIT: u64 = 256 * 1024;
const LAST_LINES: usize = 20;

/// Waits until every instance is healthy.
pub(super) fn wait(cx: &Context<'_>, release: &Release, instances: &[Instance]) -> Result<(), Problem> {
    let check = &release.artifact.processes.health;
    let started = Instant::now();
    let deadline = started + Duration::from_secs(check.timeout_secs.into());
    for instance in instances.iter().filter(|i| i.address.is_some()) {
        wait_for(cx, release, instance, deadline)?;
    }
    let others: Vec<&Instance> = instances.iter().filter(|i| i.process != ProcessName::web()).collect();
    if !others.is_empty() {
        std::thread::sleep(SETTLE.saturating_sub(started.elapsed()));
        for instance in others {
            still_runs(cx, release, instance)?;
        }
    }
    Ok(())
}

fn wait_for(
    cx: &Context<'_>,
    release: &Release,
    instance: &Instance,
    deadline: Instant,
) -> Result<(), Problem> {
    let check = &check_of(release, instance);
    let mut seen;
    let mut pause = PAUSE.start;
    loop {
        match look(cx, release, instance, check) {
            Ok(()) => {
                cx.say(&format!("{} is healthy ({})", instance.id, describe(check)));
                return Ok(());
            }
            Err(what) => seen = what,
        }
        still_runs(cx, release, instance)?;
        if Instant::now() >= deadline {
            return Err(never_healthy(cx, release, instance, &seen));
        }
        std::thread::sleep(pause);
        pause = pause.mul_f64(1.1).min(PAUSE.end);
    }
}

/// What is said of health is said of the web process; of others it is enough that they accept.
fn check_of(release: &Release, instance: &Instance) -> HealthCheck {
    let check = &release.artifact.processes.health;
    match instance.process == ProcessName::web() {
        true => check.clone(),
        false => HealthCheck { timeout_secs: check.timeout_secs, ..HealthCheck::default() },
    }
}

/// One look; the error says what was seen.
fn look(cx: &Context<'_>, release: &Release, instance: &Instance, check: &HealthCheck) -> Result<(), String> {
    if let Some(line) = &check.command {
        let job = one_off(cx.server, &cx.app, release, &Command::shell(line)).map_err(|p| p.title)?;
        let mut quiet = Quiet;
        let exit = cx.server.drivers.runner.run(&job, Duration::from_secs(10), &mut quiet);
        let exit = exit.map_err(|p| p.title)?;
        return if exit.is_success() { Ok(()) } else { Err(format!("the command ended with {exit}")) };
    }
    let Some(address) = instance.address else { return Ok(()) };
    match &check.path {
        None => connect(address).map(drop),
        Some(path) => http(address, &cx.server.site.host_of(&cx.app.name), path, check.contains.as_deref()),
    }
}

struct Quiet;

impl Output for Quiet {
    fn line(&mut self, _: &str) -> bool {
        true
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect_timeout(&address, Duration::from_secs(2))
        .map_err(|_| format!("nothing accepts connections on {address}"))
}

fn http(address: SocketAddr, host: &str, path: &str, contains: Option<&str>) -> Result<(), String> {
    let mut stream = connect(address)?;
    let ask = || -> std::io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: hop3-health\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        let wanted = if contains.is_some() { BODY_LIMIT } else { 1024 };
        (&mut stream).take(wanted).read_to_end(&mut answer)?;
        Ok(answer)
    };
    // The closure borrows the stream, so that a failure can still name the address.
    let mut ask = ask;
    let answer = ask().map_err(|e| format!("{path} on {address}: {e}"))?;
    let text = String::from_utf8_lossy(&answer);
    let status: u16 = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    if !(200..400).contains(&status) {
        return Err(format!(
            "{path} answered {}",
            if status == 0 { "no HTTP".into() } else { format!("status {status}") }
        ));
    }
    match contains {
        Some(wanted) if !text.contains(wanted) => {
            Err(format!("{path} answered {status} without the text \"{wanted}\""))
        }
        _ => Ok(()),
    }
}

/// An instance that ended since its start fails the deployment at once.
fn still_runs(cx: &Context<'_>, release: &Release, instance: &Instance) -> Result<(), Problem> {
    let now = cx.server.drivers.runtime.status(Some(&cx.app.name))?;
    let now = now.iter().find(|i| i.id == instance.id);
    let ended = match now {
        None => true,
        Some(i) => {
            i.restarts > instance.restarts
                || matches!(i.state, InstanceState::Backoff | InstanceState::Crashed)
        }
    };
    if !ended {
        return Ok(());
    }
    let how = now.and_then(|i| i.last_exit.clone()).unwrap_or_else(|| "it is gone".into());
    let command = release.artifact.processes.processes.get(&instance.process).map(Command::display);
    let command = command.map(|c| format!("command: {c}\n")).unwrap_or_default();
    let lines = last_lines(cx, release, instance);
    let hint = match lines.is_empty() {
        true => "the process printed nothing: try its command on your machine, then push again".to_owned(),
        false => format!(
            "the last lines above are the app's own: mend what they tell and push again; \
             a variable it misses is set with: hop3 config set -a {} NAME=value",
            cx.app.name
        ),
    };
    Err(Problem::new(
        Kind::User,
        "start.crashed",
        format!("the {} process ended right after its start", instance.process),
    )
    .detail(format!("{command}ended with: {how}\n{lines}").trim_end())
    .hint(hint))
}

fn never_healthy(cx: &Context<'_>, release: &Release, instance: &Instance, seen: &str) -> Problem {
    let check = &check_of(release, instance);
    let (secs, process) = (check.timeout_secs, &instance.process);
    let (code, title) = match (&check.path, &check.command) {
        (None, None) => {
            ("start.not-listening", format!("the {process} process did not listen on $PORT within {secs} s"))
        }
        _ => ("start.unhealthy", format!("the {process} process did not become healthy within {secs} s")),
    };
    let listening = listening_ports(instance);
    let mut detail = format!("check: {}\nsaw: {seen}\n", describe(check));
    let hint = match (code, listening.as_slice()) {
        ("start.not-listening", [port, ..]) => {
            detail += &format!("{} listens on port {port}\n", instance.id);
            "make the app listen on the port in the environment variable PORT"
        }
        ("start.not-listening", []) => {
            "make the app listen on $BIND_ADDRESS:$PORT; a slow start needs a longer [healthcheck] timeout"
        }
        _ => "mend what the check asks for, or set [healthcheck] path and timeout in hop3.toml",
    };
    detail += &last_lines(cx, release, instance);
    Problem::new(Kind::User, code, title).detail(detail.trim_end()).hint(hint)
}

fn describe(check: &HealthCheck) -> String {
    match (&check.command, &check.path, &check.contains) {
        (Some(command), ..) => format!("command {command}"),
        (_, Some(path), Some(text)) => format!("GET {path} holds \"{text}\""),
        (_, Some(path), None) => format!("GET {path} answers 200 to 399"),
        _ => "the port accepts a connection".to_owned(),
    }
}

/// What the instance printed last, with the app's directory as `.`: it lies elsewhere for each release.
fn last_lines(cx: &Context<'_>, release: &Release, instance: &Instance) -> String {
    let query = LogQuery { process: Some(instance.process.clone()), ..LogQuery::default() };
    let lines = cx.server.drivers.runtime.logs(&cx.app.name, &query).unwrap_or_default();
    let own: Vec<&str> =
        lines.iter().filter(|l| l.instance == instance.id).map(|l| l.text.as_str()).collect();
    let tree = cx.server.layout.artifact(&release.artifact.id).join("tree");
    own[own.len().saturating_sub(LAST_LINES)..].join("\n").replace(&*tree.to_string_lossy(), ".")
}

/// TCP ports that the instance's main process listens on, from /proc: tells a forgotten `$PORT`.
fn listening_ports(instance: &Instance) -> Vec<u16> {
    let Some(pid) = instance.pid else { return Vec::new() };
    let Ok(fds) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let sockets: Vec<String> = fds
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut ports = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // proc(5): local address, state (0A is LISTEN), inode.
            if let (Some(local), Some(&"0A"), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9))
                && sockets.iter().any(|s| s == inode)
                && let Some(port) = local.rsplit(':').next().and_then(|p| u16::from_str_radix(p, 16).ok())
            {
                ports.push(port);
            }
        }
    }
    ports
}
