// SPDX-License-Identifier: Apache-2.0
//! Traefik: a plan as a file of its file provider. It is one process, reads the file at a signal and goes over to it
//! without closing anything. What it has no words for is in `hop3.go`, which it interprets.

mod mark;

use super::launch::Numbers;
use super::name::HostName;
use super::plan::{Abilities, Plan, Site, To, Way};
use super::process::{Main, wait};
use super::product::{Dress, Facts, Files, Judged, Place, Product, Start};
use super::shared::port_in_url;
use hop3_core::route::{Address, Timeouts};
use mark::{Mark, own};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fmt::Write;
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

/// The higher is asked first.
const CHALLENGE: usize = 30_000;
const NAMED: usize = 20_000;
const WILD: usize = 10_000;
const REST: usize = 1;

impl Product for Traefik {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn render(&self, plan: &Plan, place: &Place) -> Files {
        let file = |name: String, text: &str| (name, text.to_owned());
        vec![
            (format!("{DYNAMIC}/routes.yml"), routes(plan, place)),
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
        Abilities { limits_bodies: FACTS.limits_bodies, opens_sockets: false }
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

fn routes(plan: &Plan, place: &Place) -> String {
    let mut out = String::from("# Made by Hop3; a change by hand does not last.\nhttp:\n  routers:\n");
    let challenge = "PathPrefix(`/.well-known/acme-challenge/`)";
    // Issuers of certificates ask by plain HTTP.
    Router { name: "challenge", rule: challenge, priority: CHALLENGE, then: "behind" }
        .write(&mut out, Side::Plain);
    let sides: &[Side] = if place.https.is_some() { &[Side::Plain, Side::Secure] } else { &[Side::Plain] };
    for side in sides {
        for (index, site) in plan.sites.iter().enumerate() {
            let redirects = site.redirects && place.https.is_some() && matches!(side, Side::Plain);
            routers(&mut out, index, site, *side, redirects);
        }
        Router { name: "rest", rule: "PathPrefix(`/`)", priority: REST, then: "behind" }
            .write(&mut out, *side);
    }
    services(&mut out, plan, place);
    // Writing to a string cannot fail.
    out.push_str("  middlewares:\n    hop3: { plugin: { hop3: {} } }\n");
    out.push_str("    retry: { retry: { attempts: 3 } }\n");
    if let Some(https) = place.https {
        let port = port_in_url(https);
        let port = port.trim_start_matches(':');
        let port = if port.is_empty() { "443" } else { port };
        let _ = writeln!(
            out,
            "    https: {{ redirectScheme: {{ scheme: https, port: \"{port}\", permanent: true }} }}"
        );
        certificates(&mut out, plan, place);
    }
    out
}

#[derive(Clone, Copy)]
enum Side {
    Plain,
    Secure,
}

/// Which requests go where; `then` is a service or `https`.
struct Router<'a> {
    name: &'a str,
    rule: &'a str,
    priority: usize,
    then: &'a str,
}

impl Router<'_> {
    fn write(&self, out: &mut String, side: Side) {
        let Router { name, rule, priority, then } = self;
        let (variable, word, tls) = match side {
            Side::Plain => ("HOP3_PLAIN", "", ""),
            Side::Secure => ("HOP3_SECURE", "-secure", ", tls: {}"),
        };
        let then = match *then {
            "https" => "middlewares: [https], service: behind".to_owned(),
            many if many.ends_with("-many") => format!("middlewares: [hop3, retry], service: {many}"),
            one => format!("middlewares: [hop3], service: {one}"),
        };
        let _ = writeln!(
            out,
            "    {name}{word}: {{ entryPoints: [{{{{ env \"{variable}\" }}}}], rule: \"{rule}\", priority: {priority}, {then}{tls} }}"
        );
    }
}

/// A host that is named goes before one that a wildcard stands for, and a longer path before a shorter one.
fn routers(out: &mut String, index: usize, site: &Site, side: Side, redirects: bool) {
    for (word, priority, is_wild) in [("", NAMED, false), ("w", WILD, true)] {
        let hosts: Vec<String> =
            site.hosts.iter().filter(|host| host.beneath().is_some() == is_wild).map(host).collect();
        if hosts.is_empty() {
            continue;
        }
        let hosts = hosts.join(" || ");
        if redirects {
            let name = format!("s{index}{word}");
            Router { name: &name, rule: &hosts, priority, then: "https" }.write(out, side);
            continue;
        }
        for (turn, way) in site.ways.iter().enumerate() {
            let rule = match way.prefix.as_str() {
                "" => hosts.clone(),
                prefix => format!("({hosts}) && (Path(`{prefix}`) || PathPrefix(`{prefix}/`))"),
            };
            let name = format!("s{index}r{turn}{word}");
            let (priority, then) = (priority + way.prefix.len(), service(index, turn, way));
            Router { name: &name, rule: &rule, priority, then: &then }.write(out, side);
        }
    }
}

fn host(host: &HostName) -> String {
    match host.beneath() {
        Some(rest) => format!("HostRegexp(`^[^.]+{}$`)", rest.replace('.', "[.]")),
        // It takes brackets away where a port follows them.
        None if host.in_requests() != host.as_str() => {
            format!("Host(`{}`) || Host(`{}`)", host.as_str(), host.in_requests())
        }
        None => format!("Host(`{}`)", host.as_str()),
    }
}

fn service(index: usize, turn: usize, way: &Way) -> String {
    match &way.to {
        To::Behind => "behind".to_owned(),
        To::Pool { addresses, .. } if addresses.len() > 1 => format!("s{index}r{turn}-many"),
        To::Pool { .. } => format!("s{index}r{turn}"),
    }
}

fn services(out: &mut String, plan: &Plan, place: &Place) {
    let _ = writeln!(
        out,
        "  services:\n    behind: {{ loadBalancer: {{ serversTransport: behind, servers: [{{ url: \"http://{}\" }}] }} }}",
        place.behind
    );
    let mut transports = BTreeMap::from([("behind".to_owned(), (2000, 0))]);
    for (index, site) in plan.sites.iter().enumerate() {
        for (turn, way) in site.ways.iter().enumerate() {
            let To::Pool { addresses, timeouts: Timeouts { connect_ms, response_ms, idle_ms: _ } } = &way.to
            else {
                continue;
            };
            let transport = format!("t{connect_ms}-{response_ms}");
            let servers: Vec<String> = addresses.iter().filter_map(server).collect();
            // One that does not accept connections is left alone for a while.
            let many = match servers.len() {
                1 => "",
                _ => "strategy: p2c, passiveHealthCheck: { failureWindow: 2s, maxFailedAttempts: 1 }, ",
            };
            let _ = writeln!(
                out,
                "    {}: {{ loadBalancer: {{ {many}serversTransport: {transport}, servers: [{}] }} }}",
                service(index, turn, way),
                servers.join(", ")
            );
            transports.insert(transport, (*connect_ms, *response_ms));
        }
    }
    out.push_str("  serversTransports:\n");
    for (name, (connect, response)) in transports {
        // Short, since a drain cannot tell a connection that idles from one that is used.
        let limits =
            format!("dialTimeout: {connect}ms, responseHeaderTimeout: {response}ms, idleConnTimeout: 1s");
        let _ = writeln!(
            out,
            "    {name}: {{ maxIdleConnsPerHost: 64, disableHTTP2: true, forwardingTimeouts: {{ {limits} }} }}"
        );
    }
}

fn server(address: &Address) -> Option<String> {
    match address {
        Address::Tcp(address) => Some(format!("{{ url: \"http://{address}\" }}")),
        // Passed on, since it opens none.
        Address::Unix(_) => None,
    }
}

fn certificates(out: &mut String, plan: &Plan, place: &Place) {
    out.push_str("tls:\n  options:\n    default: { minVersion: VersionTLS12, sniStrict: true, alpnProtocols: [h2, http/1.1] }\n");
    let mut named = plan.hosts().filter(|host| !host.is_address()).peekable();
    if named.peek().is_some() {
        out.push_str("  certificates:\n");
    }
    for host in named {
        let pem = place.certificate(host);
        let _ = writeln!(out, "    - {{ certFile: \"{pem}\", keyFile: \"{pem}\" }}");
    }
}

#[cfg(test)]
mod tests;
