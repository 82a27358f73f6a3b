// SPDX-License-Identifier: Apache-2.0
//! A plan in the words of Traefik's file provider. The file is a template of Go: which entry points there are is known
//! where it is read.

use crate::proxies::front::name::HostName;
use crate::proxies::front::plan::{Plan, Site, To, Way};
use crate::proxies::front::product::Place;
use crate::proxies::front::shared::port_in_url;
use hop3_core::route::{Address, Timeouts};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The higher is asked first.
const CHALLENGE: usize = 30_000;
const NAMED: usize = 20_000;
const WILD: usize = 10_000;
const REST: usize = 1;

pub(super) fn routes(plan: &Plan, place: &Place) -> String {
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
    services(&mut out, plan);
    // Writing to a string cannot fail.
    out.push_str("  middlewares:\n    hop3: { plugin: { hop3: {} } }\n");
    let _ = writeln!(
        out,
        "    behind: {{ plugin: {{ hop3: {{ behind: \"{}\" }} }} }}\n    retry: {{ retry: {{ attempts: 3 }} }}",
        behind(&place.behind)
    );
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
            "https" => "middlewares: [https], service: noop@internal".to_owned(),
            "behind" => "middlewares: [behind], service: noop@internal".to_owned(),
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

fn services(out: &mut String, plan: &Plan) {
    let mut transports = BTreeMap::new();
    let mut words = String::new();
    for (index, site) in plan.sites.iter().enumerate() {
        for (turn, way) in site.ways.iter().enumerate() {
            let To::Pool { addresses, timeouts: Timeouts { connect_ms, response_ms, idle_ms: _ } } = &way.to
            else {
                continue;
            };
            let transport = format!("t{connect_ms}-{response_ms}");
            let servers: Vec<String> = addresses.iter().filter_map(server).collect();
            let _ = writeln!(
                words,
                "    {}: {{ loadBalancer: {{ serversTransport: {transport}, servers: [{}] }} }}",
                service(index, turn, way),
                servers.join(", ")
            );
            transports.insert(transport, (*connect_ms, *response_ms));
        }
    }
    // An empty part is none to it.
    if words.is_empty() {
        return;
    }
    let _ = write!(out, "  services:\n{words}  serversTransports:\n");
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

/// As Go names addresses.
fn behind(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => path.display().to_string(),
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
    let mut files = plan.hosts().filter_map(|host| place.certificate(host)).peekable();
    if files.peek().is_some() {
        out.push_str("  certificates:\n");
    }
    for pem in files {
        let _ = writeln!(out, "    - {{ certFile: \"{pem}\", keyFile: \"{pem}\" }}");
    }
}
