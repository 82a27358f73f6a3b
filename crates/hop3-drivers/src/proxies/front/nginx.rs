// SPDX-License-Identifier: Apache-2.0
//! nginx: a plan as its configuration.

use super::name::HostName;
use super::plan::{CHALLENGES, Plan, Site, To, Way};
use super::product::{Facts, Files, Handed, Place, Product, Start};
use super::shared::{DOWN, SLOW, longest_pause, port_in_url};
use hop3_core::route::Address;
use rustix::process::Signal;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

#[derive(Debug)]
pub(crate) struct Nginx;

const FACTS: Facts = Facts {
    name: "nginx",
    package: "nginx-light",
    limits_bodies: true,
    reload: Signal::HUP,
    end: Signal::QUIT,
};

const CONFIG: &str = "nginx.conf";
/// Beside the configurations, since how many sockets there are is known where it is started.
const WORKERS: &str = "workers.conf";

/// What goes to every upstream: how the request came, in words that a visitor cannot choose.
const HEADERS: &[(&str, &str)] = &[
    ("Host", "$host$hop3_port"),
    ("Upgrade", "$hop3_upgrade"),
    ("Connection", "$hop3_connection"),
    ("X-Forwarded-For", "$remote_addr"),
    ("X-Forwarded-Proto", "$scheme"),
    ("X-Forwarded-Host", "$host$hop3_port"),
    ("X-Forwarded-Port", "$hop3_forwarded_port"),
    ("X-Request-Id", "$hop3_id"),
    ("Forwarded", ""),
    ("X-Real-IP", ""),
    ("Proxy", ""),
    ("HTTP2-Settings", ""),
    ("Client-Cert", ""),
    ("Client-Cert-Chain", ""),
    ("X-Forwarded-Client-Subject", ""),
    ("X-Forwarded-Server", ""),
    ("X-Forwarded-Prefix", ""),
    ("X-Forwarded-Scheme", ""),
    ("X-Forwarded-Ssl", ""),
    ("X-Forwarded-Uri", ""),
    ("X-Forwarded-Path", ""),
    ("X-Forwarded-Method", ""),
    ("X-Forwarded-By", ""),
    ("X-Forwarded-User", ""),
    ("X-Forwarded-Email", ""),
    ("X-Forwarded-Groups", ""),
    ("X-Forwarded-Preferred-Username", ""),
    ("X-Forwarded-Access-Token", ""),
    ("X-Forwarded-Client-Cert", ""),
    ("X-Forwarded-Client-Cert-Chain", ""),
    ("X-Forwarded-Tls-Client-Cert", ""),
    ("X-Forwarded-Tls-Client-Cert-Info", ""),
    ("X-Forwarded-Ssl-Client-Cert", ""),
    ("X-Forwarded-Protocol", ""),
    ("X-Forwarded-Proto-Version", ""),
    ("X-Forwarded-Host-Port", ""),
    ("X-Forwarded-Original-Host", ""),
    ("X-Forwarded-Original-For", ""),
    ("X-Forwarded-Remote-User", ""),
    ("X-Forwarded-Name", ""),
    ("X-Forwarded-Role", ""),
    ("X-Forwarded-Roles", ""),
    ("X-Forwarded-Id-Token", ""),
    ("X-Forwarded-Base-Uri", ""),
    ("X-Forwarded-Base-Path", ""),
];

/// Pages for apps that do not answer.
const PAGES: &str = "error_page 502 @hop3_down; error_page 504 @hop3_slow;";
/// Leads requests that ask for an upgrade to a location of their own; nobody sees it.
const UPGRADE: u16 = 418;
/// How long an upgraded connection may be silent, as with the built-in proxy.
const SILENCE: &str = "1h";

const MAPS: &str = r#"    map $http_host $hop3_port { default ""; "~(:[0-9]{1,5})$" $1; }
    map $scheme $hop3_usual_port { default 80; https 443; }
    map $http_host $hop3_forwarded_port { default $hop3_usual_port; "~:([0-9]{1,5})$" $1; }
    map $http_x_request_id $hop3_id { default $request_id; "~^[A-Za-z0-9_.:/+=-]{1,128}$" $http_x_request_id; }
    map $http_upgrade $hop3_upgrade { default $http_upgrade; "~*h2c" ""; }
    map $hop3_upgrade $hop3_connection { default upgrade; "" ""; }
    map $request_method $hop3_is_safe { default 0; GET 1; HEAD 1; }
"#;

impl Product for Nginx {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn render(&self, plan: &Plan, place: &Place) -> Files {
        let mut out = String::new();
        head(&mut out, place);
        // Writing to a string cannot fail.
        let mut pools = 0;
        let _ = writeln!(
            out,
            "    upstream behind {{ server {}; keepalive 64; keepalive_timeout 4s; }}",
            address(&place.behind)
        );
        for to in plan.sites.iter().flat_map(|site| &site.ways).map(|way| &way.to) {
            if let To::Pool { addresses, .. } = to {
                // An instance that failed once is asked again: with others that are down it may be the last one.
                let server = |to: &Address| format!("server {} max_fails=0; ", address(to));
                let servers: String = addresses.iter().map(server).collect();
                let _ = writeln!(
                    out,
                    "    upstream p{pools} {{ least_conn; {servers}keepalive 32; keepalive_timeout 4s; }}"
                );
                pools += 1;
            }
        }
        defaults(&mut out, place);
        let mut first = 0;
        for site in &plan.sites {
            servers(&mut out, site, first, place);
            first += site.ways.iter().filter(|way| matches!(way.to, To::Pool { .. })).count();
        }
        out += "}\n";
        vec![(CONFIG.to_owned(), out)]
    }

    fn check(&self, folder: &Path, place: &Place) -> Vec<String> {
        let mut arguments = self.arguments(folder, place);
        arguments.push("-t".into());
        arguments.push("-q".into());
        arguments
    }

    fn start(&self, folder: &Path, place: &Place) -> Start {
        let handed =
            Handed { variable: "NGINX", before: "", between: ";", after: ";", of: |sockets| sockets.all() };
        Start { arguments: self.arguments(folder, place), handed: vec![handed] }
    }

    /// As many workers as sockets: each accepts from one.
    fn beside(&self, sockets: usize) -> Option<(&'static str, String)> {
        let text = format!("worker_processes {};\n", sockets.max(1));
        Some((WORKERS, text))
    }
}

impl Nginx {
    fn arguments(&self, folder: &Path, place: &Place) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        let config = folder.join(CONFIG);
        vec!["-p".into(), text(&place.folder), "-e".into(), "stderr".into(), "-c".into(), text(&config)]
    }
}

fn head(out: &mut String, place: &Place) {
    out.push_str("# Made by Hop3; a change by hand does not last.\n");
    // One that ends removes its pid file, whoever has written it since: ours must be another.
    // A line for each request that an app does not answer would fill the disk: what visitors can cause is not logged.
    out.push_str("daemon off;\npid tmp/nginx.pid;\nerror_log stderr crit;\nworker_shutdown_timeout 1h;\n");
    if let Some(user) = place.user {
        let _ = writeln!(out, "user {user};");
    }
    let _ = writeln!(out, "include {}/{WORKERS};", place.folder.display());
    out.push_str(
        "events { worker_connections 8192; }\nhttp {\n    access_log off;\n    server_tokens off;\n",
    );
    out.push_str("    merge_slashes off;\n    absolute_redirect off;\n");
    out.push_str("    server_names_hash_bucket_size 512;\n    server_names_hash_max_size 65536;\n");
    out.push_str(
        "    client_max_body_size 0;\n    client_header_timeout 10s;\n    client_body_timeout 120s;\n",
    );
    out.push_str("    send_timeout 120s;\n    keepalive_timeout 75s;\n");
    for (name, folder) in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| (name, "tmp")) {
        let _ = writeln!(out, "    {name}_temp_path {folder}/{name};");
    }
    out.push_str(MAPS);
    // The page of an app that does not answer is one too where an upgrade was asked for.
    out.push_str("    recursive_error_pages on;\n");
    out.push_str("    proxy_http_version 1.1;\n    proxy_buffering off;\n    proxy_request_buffering off;\n    proxy_redirect off;\n");
    for (name, value) in HEADERS {
        let _ = writeln!(out, "    proxy_set_header {name} \"{value}\";");
    }
    if place.https.is_some() {
        out.push_str("    ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_session_cache shared:hop3:4m;\n");
    }
}

/// Who gets requests for hosts that are in no site: the built-in proxy, which has the page for them. Over TLS nobody:
/// there is no certificate.
fn defaults(out: &mut String, place: &Place) {
    let _ = writeln!(out, "    server {{\n        listen {} reuseport default_server;", listen(place.http));
    out.push_str("        server_name _;\n");
    location(out, "/", &To::Behind, 0);
    out.push_str("    }\n");
    if let Some(https) = place.https {
        let _ = writeln!(
            out,
            "    server {{\n        listen {} ssl http2 reuseport default_server;",
            listen(https)
        );
        out.push_str("        server_name _;\n        ssl_reject_handshake on;\n    }\n");
    }
}

/// One for plain HTTP, and one for each host over TLS, which has a certificate of its own.
fn servers(out: &mut String, site: &Site, first: usize, place: &Place) {
    let names: Vec<String> = site.hosts.iter().map(name).collect();
    let _ = writeln!(
        out,
        "    server {{\n        listen {};\n        server_name {};",
        listen(place.http),
        names.join(" ")
    );
    // Issuers of certificates ask by plain HTTP.
    let redirects = place.https.filter(|_| site.redirects);
    if redirects.is_some() || site.ways.iter().all(|way| way.prefix != CHALLENGES) {
        location(out, &format!("^~ {CHALLENGES}/"), &To::Behind, 0);
    }
    match redirects {
        Some(https) => redirect(out, https),
        None => ways(out, site, first),
    }
    out.push_str("    }\n");
    let Some(https) = place.https else { return };
    let certified = site.hosts.iter().filter_map(|host| Some((host, place.certificate(host)?)));
    for (host, pem) in certified {
        let _ = writeln!(
            out,
            "    server {{\n        listen {} ssl http2;\n        server_name {};",
            listen(https),
            name(host)
        );
        let _ = writeln!(out, "        ssl_certificate {pem};\n        ssl_certificate_key {pem};");
        ways(out, site, first);
        out.push_str("    }\n");
    }
}

fn redirect(out: &mut String, https: SocketAddr) {
    let port = port_in_url(https);
    // 301 lets clients turn a POST into a GET, which 308 forbids.
    out.push_str("        location / {\n");
    let _ = writeln!(out, "            if ($hop3_is_safe) {{ return 301 https://$host{port}$request_uri; }}");
    let _ = writeln!(out, "            return 308 https://$host{port}$request_uri;\n        }}");
}

fn ways(out: &mut String, site: &Site, first: usize) {
    if let Some(bytes) = site.max_body {
        let _ = writeln!(out, "        client_max_body_size {};", bytes.max(1));
    }
    pages(out);
    let mut pool = first;
    for Way { prefix, to } in &site.ways {
        match prefix.as_str() {
            "" => location(out, "/", to, pool),
            prefix => {
                location(out, &format!("= {prefix}"), to, pool);
                location(out, &format!("^~ {prefix}/"), to, pool);
            }
        }
        upgrades(out, to, pool);
        pool += usize::from(matches!(to, To::Pool { .. }));
    }
}

fn pages(out: &mut String) {
    let _ = writeln!(out, "        {PAGES}");
    let retry = "add_header Retry-After 5 always; ";
    for (name, head, status, page) in [("down", retry, 502, DOWN), ("slow", "", 504, SLOW)] {
        let _ = writeln!(
            out,
            "        location @hop3_{name} {{ internal; default_type text/html; {head}return {status} \"{page}\"; }}"
        );
    }
}

fn location(out: &mut String, matching: &str, to: &To, pool: usize) {
    let _ = match to {
        To::Behind => writeln!(
            out,
            "        location {matching} {{ proxy_pass http://behind; proxy_read_timeout 365d; proxy_send_timeout 365d; }}"
        ),
        To::Pool { timeouts, .. } => writeln!(
            out,
            "        location {matching} {{ if ($hop3_upgrade) {{ return {UPGRADE}; }} error_page {UPGRADE} = @hop3_p{pool}; {PAGES} proxy_pass http://p{pool}; proxy_connect_timeout {}; proxy_read_timeout {}; proxy_send_timeout {}; }}",
            time(timeouts.connect_ms),
            time(longest_pause(timeouts)),
            time(timeouts.idle_ms)
        ),
    };
}

/// An upgraded connection may be silent for longer than an answer, and nginx has one limit for a location.
fn upgrades(out: &mut String, to: &To, pool: usize) {
    let To::Pool { timeouts, .. } = to else { return };
    let _ = writeln!(
        out,
        "        location @hop3_p{pool} {{ proxy_pass http://p{pool}; proxy_connect_timeout {}; proxy_read_timeout {SILENCE}; proxy_send_timeout {SILENCE}; }}",
        time(timeouts.connect_ms)
    );
}

fn time(ms: u64) -> String {
    if ms == 0 { "365d".to_owned() } else { format!("{ms}ms") }
}

/// A wildcard stands for one label, which its own would not say.
fn name(host: &HostName) -> String {
    match host.beneath() {
        Some(rest) => format!("~^[^.]+{}$", rest.replace('.', "\\.")),
        None => host.in_requests(),
    }
}

fn address(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn listen(address: SocketAddr) -> String {
    address.to_string()
}
