// SPDX-License-Identifier: Apache-2.0
//! `doctor`: what this machine gives, and what is reduced where it gives less.

use crate::disk;
use crate::server::{Server, internal};
use crate::verb;
use hop3_core::api::{Check, ServerInfo, Verdict};
use hop3_core::problem::Problem;
use std::path::Path;

pub(crate) fn info(server: &Server) -> Result<ServerInfo, Problem> {
    Ok(ServerInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        domain: server.site.domain.clone(),
        url: server.site.url_of(&server.site.domain),
        apps: server.store.apps().map_err(internal)?.len() as u64,
        checks: checks(server),
    })
}

/// What can be told of a machine without a server.
pub fn local_checks() -> Vec<Check> {
    let isolation = match rustix::process::geteuid().is_root() {
        true => check("isolation", Verdict::Ok, "a server started here gives each app its own user"),
        false => {
            check("isolation", Verdict::Reduced, "not root: apps of a server started here share its user")
        }
    };
    vec![isolation, git(), cgroups()]
}

fn checks(server: &Server) -> Vec<Check> {
    let mut checks =
        vec![privilege(server), role("supervisor", server.drivers.runtime.status(None)), git(), cgroups()];
    checks.push(role("proxy", server.drivers.proxy.status()));
    checks.push(front(server));
    checks.push(filter(server));
    checks.push(authorities(server));
    checks.push(control_plane_user());
    checks.push(room(server));
    checks.extend(backups(server));
    for (name, found) in server.drivers.toolchains.installed() {
        let detail = format!("{} in {}", found.version, found.prefix.display());
        checks.push(check(&name, Verdict::Ok, &detail));
    }
    checks
}

fn privilege(server: &Server) -> Check {
    match server.drivers.runner.is_privileged() {
        true => check("isolation", Verdict::Ok, "each app has its own user and mount namespace"),
        false => check(
            "isolation",
            Verdict::Reduced,
            "the supervisor is not root: apps share the server's user and can read each other's files",
        ),
    }
}

fn room(server: &Server) -> Check {
    let root = server.layout.root().display();
    let told = |room: u64| format!("{:.1} GB are free in {root}", room as f64 / 1e9);
    match (disk::require_room(&server.layout), disk::room(&server.layout)) {
        (Ok(()), Ok(room)) => check("disk", Verdict::Ok, &told(room)),
        (Err(_), Ok(room)) => {
            check("disk", Verdict::Missing, &format!("{}: nothing is deployed", told(room)))
        }
        (_, Err(error)) => check("disk", Verdict::Missing, &format!("{root}: {error}")),
    }
}

/// What is backed up by itself; nothing to say where nothing is.
fn backups(server: &Server) -> Option<Check> {
    let count = verb::backup::schedules(server).map(|all| all.len());
    let told = match (count, verb::backup::failing(server)) {
        (Ok(0), _) => return None,
        (Ok(count), Ok(failing)) if failing.is_empty() => {
            return Some(check("backups", Verdict::Ok, &format!("none of the schedules fails, of {count}")));
        }
        (_, Ok(failing)) => {
            let each = failing.iter().map(|(of, problem)| format!("of {of}: {}", problem.title));
            each.collect::<Vec<_>>().join("; ")
        }
        (_, Err(problem)) => told(&problem),
    };
    Some(check("backups", Verdict::Missing, &told))
}

fn role<T>(name: &str, answer: Result<T, Problem>) -> Check {
    match answer {
        Ok(_) => check(name, Verdict::Ok, "answers"),
        Err(problem) => check(name, Verdict::Missing, &told(&problem)),
    }
}

/// A problem in one line: what is wrong, and what to do.
fn told(problem: &Problem) -> String {
    match problem.hint.as_str() {
        "" => problem.title.clone(),
        hint => format!("{}; {hint}", problem.title),
    }
}

/// Which program accepts connections.
fn front(server: &Server) -> Check {
    match server.drivers.proxy_choice.shown() {
        Ok(chosen) if chosen.runs => {
            let name = format!("{} {}", chosen.driver, chosen.version);
            let detail = match chosen.passed_on.len() {
                0 => name,
                count => format!("{name}; {count} services are passed on: see hop3 proxy status"),
            };
            check("connections", Verdict::Ok, &detail)
        }
        Ok(chosen) => {
            let detail = format!(
                "{0} is chosen and does not run; where it cannot start, the built-in proxy answers in its place: see run/proxy/log, then hop3 proxy use {0}",
                chosen.driver
            );
            check("connections", Verdict::Missing, &detail)
        }
        Err(problem) => check("connections", Verdict::Missing, &told(&problem)),
    }
}

/// Whether apps can have their requests compared with rules about attacks.
fn filter(server: &Server) -> Check {
    match std::os::unix::net::UnixStream::connect(server.layout.waf_socket()) {
        Ok(_) => check("request filter", Verdict::Ok, "answers"),
        Err(_) => check(
            "request filter",
            Verdict::Reduced,
            "not there: [proxy.waf] needs the program hop3-waf and the packages libmodsecurity3 and modsecurity-crs",
        ),
    }
}

/// Whether certificates are obtained by themselves.
fn authorities(server: &Server) -> Check {
    match server.drivers.authorities.shown() {
        Ok(shown) if shown.on && !shown.waiting.is_empty() => {
            let names: Vec<_> = shown.waiting.iter().map(|one| one.name.as_str()).take(5).collect();
            let detail =
                format!("{} wait: see hop3 cert acme show ({})", shown.waiting.len(), names.join(", "));
            check("certificates", Verdict::Reduced, &detail)
        }
        Ok(shown) if shown.on => {
            let names: Vec<_> = shown.authorities.iter().map(|one| one.name.as_str()).collect();
            check("certificates", Verdict::Ok, &format!("obtained from {}", names.join(", then ")))
        }
        Ok(_) => check(
            "certificates",
            Verdict::Reduced,
            "none is obtained before somebody agrees: hop3 cert acme set --contact MAIL --agree-tos",
        ),
        Err(problem) => check("certificates", Verdict::Missing, &told(&problem)),
    }
}

fn git() -> Check {
    match std::process::Command::new("git").arg("--version").output() {
        Ok(output) if output.status.success() => {
            check("git", Verdict::Ok, String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => check("git", Verdict::Missing, "git push cannot work; hop3 deploy does"),
    }
}

fn cgroups() -> Check {
    match Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        true => check("cgroup v2", Verdict::Ok, "there"),
        false => {
            check("cgroup v2", Verdict::Reduced, "not the machine's hierarchy: memory and CPU limits need it")
        }
    }
}

fn control_plane_user() -> Check {
    match rustix::process::getuid().is_root() {
        true => check(
            "control plane",
            Verdict::Reduced,
            "the server runs as root; an installed one has a user of its own",
        ),
        false => check("control plane", Verdict::Ok, "runs without root"),
    }
}

fn check(name: &str, verdict: Verdict, detail: &str) -> Check {
    Check { name: name.into(), verdict, detail: detail.into() }
}
