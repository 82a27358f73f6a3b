// SPDX-License-Identifier: Apache-2.0
//! Traefik: a plan as a file of its file provider. It is one process, reads the file at a signal and goes over to it
//! without closing anything. What it has no words for is in `hop3.go`, which it interprets.

mod mark;
mod routes;

use super::launch::Numbers;
use super::plan::{Abilities, Plan};
use super::process::{Main, wait};
use super::product::{Dress, Facts, Files, Judged, Place, Product, Start};
use mark::{Mark, own};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Traefik;

const FACTS: Facts = Facts {
    name: "traefik",
    package: "traefik",
    // It reads a body whole before it knows.
    limits_bodies: false,
    reload: Signal::HUP,
    end: Signal::TERM,
};

/// Beneath the folder, all that its file provider reads.
const DYNAMIC: &str = "dynamic";
/// Where it looks for middlewares beneath the folder that it works in.
const MIDDLEWARE: &str = "plugins-local/src/hop3";
const MANIFEST: &str =
    "displayName: hop3\ntype: middleware\nimport: hop3\nsummary: What Hop3 asks of a proxy\ntestData: {}\n";
/// Where it is asked whether a configuration counts: an entry point at an address that nobody else comes to.
const OWN: &str = "own";
const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 83, 83, 83);

impl Product for Traefik {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn render(&self, plan: &Plan, place: &Place) -> Files {
        let file = |name: String, text: &str| (name, text.to_owned());
        vec![
            (format!("{DYNAMIC}/routes.yml"), routes::routes(plan, place)),
            file(format!("{MIDDLEWARE}/hop3.go"), include_str!("traefik/hop3.go")),
            file(format!("{MIDDLEWARE}/.traefik.yml"), MANIFEST),
        ]
    }

    /// It has no command for it: it is started beside the one that serves, on a port of its own.
    fn check(&self, folder: &Path, _: &Place) -> Vec<String> {
        let mut arguments = usual(folder);
        arguments.extend(entry(OWN, &format!("{OWN_ADDRESS}:0")));
        arguments.extend(["--api.dashboard=false".to_owned(), "--api=true".to_owned()]);
        arguments
    }

    fn judge(&self, command: Command, folder: &Path) -> io::Result<Judged> {
        mark::judge(command, folder, &folder.join(DYNAMIC))
    }

    fn start(&self, folder: &Path, _: &Place) -> Start {
        let mut arguments = usual(folder);
        arguments.push("--log.filePath=/dev/stderr".to_owned());
        arguments.extend(entry(OWN, &format!("{OWN_ADDRESS}:0")));
        Start { arguments, handed: Vec::new() }
    }

    /// One entry point for each socket: it takes no more by one name.
    fn dress(&self, numbers: &Numbers, folder: &Path, place: &Place) -> io::Result<Dress> {
        Mark::fresh()?.write(&folder.join(DYNAMIC))?;
        let points = |word: &str, numbers: &[i32]| -> Vec<String> {
            (0..numbers.len()).map(|turn| format!("{word}{turn}")).collect()
        };
        let (http, https) = (points("http", &numbers.http), points("https", &numbers.https));
        let sockets = http.iter().chain(&https).zip(numbers.all());
        let named: BTreeMap<i32, &str> = sockets.map(|(name, number)| (number, name.as_str())).collect();
        let of = |points: &[String], at: SocketAddr| -> Vec<String> {
            points.iter().flat_map(|name| entry(name, &at.to_string())).collect()
        };
        let mut arguments = of(&http, place.http);
        arguments.extend(of(&https, place.https.unwrap_or(place.http)));
        let mut variables = handed(&named);
        variables.extend([("HOP3_PLAIN".into(), http.join(",")), ("HOP3_SECURE".into(), https.join(","))]);
        Ok(Dress { arguments, variables, folder: Some(folder.to_owned()) })
    }

    fn is_alone(&self) -> bool {
        true
    }

    fn abilities(&self) -> Abilities {
        // It brings requests to addresses of TCP alone.
        Abilities { limits_bodies: FACTS.limits_bodies, opens_sockets: false, routes: true }
    }

    fn is_up(&self, main: Main, folder: &Path) -> bool {
        let mark = Mark::read(&folder.join(DYNAMIC));
        own(main).zip(mark).is_some_and(|(at, mark)| mark.shows(at))
    }

    /// Twice: its entry points go over one by one, and it has begun with the second only when it is done with the first.
    fn take(&self, main: Main, folder: &Path, patience: Duration) -> bool {
        let Some(at) = own(main) else { return false };
        (0..2).all(|_| {
            let Ok(mark) = Mark::fresh() else { return false };
            let written = mark.write(&folder.join(DYNAMIC));
            main.signal(FACTS.reload);
            written.is_ok() && wait(patience, || !main.lives() || mark.shows(at)) && main.lives()
        })
    }

    fn version_word(&self) -> &'static str {
        "version"
    }

    fn oldest(&self) -> Option<(u32, u32)> {
        Some((3, 7))
    }

    fn where_to_get(&self) -> String {
        "its maker has it (https://github.com/traefik/traefik/releases); put it into /usr/local/bin"
            .to_owned()
    }
}

/// What it is told at every start.
fn usual(folder: &Path) -> Vec<String> {
    let mut arguments = vec![format!("--providers.file.directory={}", folder.join(DYNAMIC).display())];
    arguments.extend(
        [
            "--providers.file.watch=false",
            "--providers.providersThrottleDuration=1ms",
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
            "--log.level=ERROR",
            "--log.noColor=true",
            "--ping=true",
            "--ping.manualRouting=true",
            "--experimental.localPlugins.hop3.moduleName=hop3",
        ]
        .map(str::to_owned),
    );
    arguments
}

/// Its limits: an hour for a request with its body, 75 seconds between two, 30 when it shall end.
fn entry(name: &str, address: &str) -> Vec<String> {
    let mut arguments = vec![format!("--entryPoints.{name}.address={address}")];
    let limits = "transport.respondingTimeouts";
    let options = [
        "http.sanitizePath=false",
        "http.encodeQuerySemicolons=true",
        &format!("{limits}.readTimeout=1h"),
        &format!("{limits}.idleTimeout=75s"),
        "transport.lifeCycle.graceTimeOut=30s",
    ];
    arguments.extend(options.map(|option| format!("--entryPoints.{name}.{option}")));
    arguments
}

/// The sockets as systemd hands them over: from number 3 on, each with its name. Others in between have none.
fn handed(named: &BTreeMap<i32, &str>) -> Vec<(String, String)> {
    let last = named.keys().max().copied().unwrap_or(2);
    let names: Vec<&str> = (3..=last).map(|number| named.get(&number).copied().unwrap_or("none")).collect();
    vec![
        ("LISTEN_PID".into(), std::process::id().to_string()),
        ("LISTEN_FDS".into(), names.len().to_string()),
        ("LISTEN_FDNAMES".into(), names.join(":")),
    ]
}

#[cfg(test)]
mod tests;
