// SPDX-License-Identifier: Apache-2.0
//! HAProxy: a plan as its configuration, with its maps from hosts to backends.

use super::name::HostName;
use super::plan::{Plan, Site, To};
use super::product::{Facts, Files, Handed, Place, Product, Start};
use super::shared::{DOWN, SLOW, longest_pause, port_in_url};
use hop3_core::route::Address;
use rustix::process::Signal;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

#[derive(Debug)]
pub(crate) struct Haproxy;

const FACTS: Facts = Facts {
    name: "haproxy",
    package: "haproxy",
    // It knows how long a body says it is, and no more.
    limits_bodies: false,
    reload: Signal::USR2,
    end: Signal::USR1,
};

const CONFIG: &str = "haproxy.cfg";

/// How the request came, in words that a visitor cannot choose. An app that agrees to CONNECT would have what follows
/// unread and unchanged.
const HEADERS: &str = r#"    http-request deny deny_status 405 if METH_CONNECT
    http-request set-var(txn.host) req.hdr(host),host_only,lower,rtrim(.)
    http-request del-header x-forwarded- -m beg
    http-request del-header _ -m sub
    http-request del-header forwarded
    http-request del-header x-real-ip
    http-request del-header proxy
    http-request del-header http2-settings
    http-request del-header client-cert
    http-request del-header client-cert-chain
    http-request del-header upgrade if { req.hdr(upgrade) -i -m sub h2c }
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Proto http unless { ssl_fc }
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    http-request set-header X-Forwarded-Port 80 unless { ssl_fc }
    http-request set-header X-Forwarded-Port 443 if { ssl_fc }
    http-request set-header X-Forwarded-Port %[req.hdr(host),regsub(^.*:,)] if { req.hdr(host) -m reg :[0-9]+$ }
    http-request set-header X-Request-Id %[uuid()] unless { req.hdr(x-request-id) -m reg '^[A-Za-z0-9_.:/+=-]{1,128}$' }
    http-request set-var(txn.site) var(txn.host),map_str(hosts.map)
    http-request set-var(txn.site) var(txn.host),regsub(^[^.]+,),map_str(wildcards.map) unless { var(txn.site) -m found }
    acl is_challenge path_beg /.well-known/acme-challenge/
"#;

impl Product for Haproxy {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn render(&self, plan: &Plan, place: &Place) -> Files {
        let mut out = String::new();
        head(&mut out, place);
        let redirects = place.https.filter(|_| plan.sites.iter().any(|site| site.redirects));
        frontend(&mut out, "http", "bind \"${HOP3_HTTP}\"");
        if let Some(https) = redirects {
            redirect(&mut out, https);
        }
        backends_of(&mut out, plan);
        if place.https.is_some() {
            let bind = "bind \"${HOP3_HTTPS}\" ssl crt-list certificates.list strict-sni alpn h2,http/1.1";
            frontend(&mut out, "https", bind);
            backends_of(&mut out, plan);
        }
        backend(&mut out, "behind", &To::Behind, &place.behind);
        for (index, site) in plan.sites.iter().enumerate() {
            for (turn, way) in site.ways.iter().enumerate() {
                backend(&mut out, &name(index, turn, site), &way.to, &place.behind);
            }
        }
        let mut files = vec![(CONFIG.to_owned(), out)];
        files.extend(maps(plan));
        if place.https.is_some() {
            files.push(("certificates.list".to_owned(), certificates(plan, place)));
        }
        files.extend(pages());
        files
    }

    fn check(&self, folder: &Path, place: &Place) -> Vec<String> {
        let mut arguments = self.start(folder, place).arguments;
        arguments.retain(|argument| argument != "-W");
        arguments.push("-c".into());
        arguments
    }

    fn start(&self, folder: &Path, _: &Place) -> Start {
        let handed = |variable, of| Handed { variable, before: "fd@", between: ",fd@", after: "", of };
        Start {
            arguments: vec![
                "-W".into(),
                "-db".into(),
                "-f".into(),
                folder.join(CONFIG).display().to_string(),
            ],
            handed: vec![handed("HOP3_HTTP", |n| n.http.clone()), handed("HOP3_HTTPS", |n| n.https.clone())],
        }
    }
}

fn head(out: &mut String, place: &Place) {
    out.push_str("# Made by Hop3; a change by hand does not last.\nglobal\n    default-path config\n    hard-stop-after 1h\n");
    // Writing to a string cannot fail.
    if let Some(user) = place.user {
        let group = if user == "nobody" { "nogroup" } else { user };
        let _ = writeln!(out, "    user {user}\n    group {group}");
    }
    out.push_str("    ssl-default-bind-options ssl-min-ver TLSv1.2\n    tune.ssl.default-dh-param 2048\n\n");
    out.push_str(
        "defaults\n    mode http\n    timeout connect 2s\n    timeout client 120s\n    timeout server 120s\n",
    );
    out.push_str("    timeout http-request 10s\n    timeout http-keep-alive 75s\n    timeout tunnel 24d\n");
    out.push_str(
        "    retries 2\n    option redispatch 1\n    retry-on conn-failure\n    balance leastconn\n",
    );
    for status in [502, 503, 504] {
        let _ = writeln!(out, "    errorfile {status} {status}.http");
    }
}

fn frontend(out: &mut String, name: &str, bind: &str) {
    let _ = writeln!(out, "\nfrontend {name}\n    {bind}");
    out.push_str(HEADERS);
}

/// 301 lets clients turn a POST into a GET, which 308 forbids.
fn redirect(out: &mut String, https: SocketAddr) {
    let port = port_in_url(https);
    out.push_str(
        "    acl redirects var(txn.site) -m str -f redirects.list\n    acl is_safe method GET HEAD\n",
    );
    for (code, test) in [(301, "is_safe"), (308, "!is_safe")] {
        let _ = writeln!(
            out,
            "    http-request redirect location https://%[var(txn.host)]{port}%[pathq] code {code} if redirects !is_challenge {test}"
        );
    }
}

/// Which backend gets a request: by the path where a site has several, else by the site; unknown hosts have none.
fn backends_of(out: &mut String, plan: &Plan) {
    // Issuers of certificates ask for what no site has.
    out.push_str("    use_backend behind if is_challenge\n");
    for (index, site) in plan.sites.iter().enumerate() {
        let deep = site.ways.iter().enumerate().filter(|(_, way)| !way.prefix.is_empty());
        for (turn, way) in deep {
            let (name, prefix) = (name(index, turn, site), &way.prefix);
            for matching in [format!("path {prefix}"), format!("path_beg {prefix}/")] {
                let _ = writeln!(
                    out,
                    "    use_backend {name} if {{ var(txn.site) -m str s{index} }} {{ {matching} }}"
                );
            }
        }
    }
    out.push_str(
        "    use_backend %[var(txn.site)] if { var(txn.site) -m found }\n    default_backend behind\n",
    );
}

/// The root's is the site's.
fn name(index: usize, turn: usize, site: &Site) -> String {
    match site.ways[turn].prefix.as_str() {
        "" => format!("s{index}"),
        _ => format!("s{index}r{turn}"),
    }
}

fn backend(out: &mut String, name: &str, to: &To, behind: &Address) {
    let _ = writeln!(out, "\nbackend {name}");
    match to {
        To::Behind => {
            let _ = writeln!(out, "    timeout server 24d\n    server behind {}", address(behind));
        }
        To::Pool { addresses, timeouts } => {
            let (connect, read) = (time(timeouts.connect_ms), time(longest_pause(timeouts)));
            let _ = writeln!(out, "    timeout connect {connect}\n    timeout server {read}");
            for (turn, to) in addresses.iter().enumerate() {
                let _ = writeln!(out, "    server u{turn} {}", address(to));
            }
        }
    }
}

fn address(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("unix@{}", path.display()),
    }
}

fn time(ms: u64) -> String {
    if ms == 0 { "24d".to_owned() } else { format!("{ms}ms") }
}

fn maps(plan: &Plan) -> Files {
    let (mut hosts, mut wildcards, mut redirects) = (String::new(), String::new(), String::new());
    for (index, site) in plan.sites.iter().enumerate() {
        for host in &site.hosts {
            let _ = match host.beneath() {
                Some(rest) => writeln!(wildcards, "{rest} s{index}"),
                None => writeln!(hosts, "{} s{index}", host.in_requests()),
            };
        }
        if site.redirects {
            let _ = writeln!(redirects, "s{index}");
        }
    }
    [("hosts.map", hosts), ("wildcards.map", wildcards), ("redirects.list", redirects)]
        .map(|(name, text)| (name.to_owned(), text))
        .to_vec()
}

fn certificates(plan: &Plan, place: &Place) -> String {
    let certified = plan.hosts().filter_map(|host| Some((host, place.certificate(host)?)));
    certified.map(|(host, pem): (&HostName, _)| format!("{pem} {}\n", host.as_str())).collect()
}

fn pages() -> Files {
    let page = |status: &str, body: &str| {
        format!(
            "HTTP/1.0 {status}\r\nContent-Type: text/html\r\nCache-Control: no-store\r\nRetry-After: 5\r\nConnection: close\r\n\r\n{body}\n"
        )
    };
    vec![
        ("502.http".to_owned(), page("502 Bad Gateway", DOWN)),
        ("503.http".to_owned(), page("503 Service Unavailable", DOWN)),
        ("504.http".to_owned(), page("504 Gateway Timeout", SLOW)),
    ]
}
