// SPDX-License-Identifier: Apache-2.0
//! What Caddy is told, in its JSON: where it is told things, which certificates it shows, and that every request is
//! the built-in proxy's. That one tells the id of a request and takes away what only a proxy may say; Caddy itself
//! believes no visitor about addresses and schemes.

use crate::proxies::front::name::HostName;
use crate::proxies::front::plan::Plan;
use crate::proxies::front::product::Place;
use crate::proxies::front::shared::DOWN;
use hop3_core::route::Address;
use serde_json::{Value, json};
use std::io;

/// The variable with the address of its own door.
pub(super) const ADMIN: &str = "HOP3_ADMIN";

/// `listen` is a word for all sockets of that kind until they are known.
pub(super) fn config(plan: &Plan, place: &Place) -> String {
    let hosts: Vec<(&HostName, String)> = match place.https {
        Some(_) => plan.hosts().filter_map(|host| Some((host, place.certificate(host)?))).collect(),
        None => Vec::new(),
    };
    let mut servers = json!({ "http": server("HOP3_HTTP", &["h1"], &place.behind) });
    if place.https.is_some() {
        let mut https = server("HOP3_HTTPS", &["h1", "h2"], &place.behind);
        https["tls_connection_policies"] = policies(&hosts);
        servers["https"] = https;
    }
    let whole = json!({
        "admin": { "listen": format!("{{env.{ADMIN}}}"), "config": { "persist": false } },
        // A line for each request that is not answered would fill the disk.
        "logging": { "logs": { "default": { "level": "ERROR", "exclude": ["http.log", "http.handlers"] } } },
        "storage": { "module": "file_system", "root": place.folder.join("tmp/caddy") },
        "apps": {
            "http": { "grace_period": "1h", "servers": servers },
            "tls": {
                "certificates": { "load_files": certificates(&hosts) },
                "disable_ocsp_stapling": true,
                "disable_storage_check": true,
                "disable_storage_clean": true,
            },
        },
    });
    format!("{whole:#}\n")
}

fn server(sockets: &str, protocols: &[&str], behind: &Address) -> Value {
    json!({
        "listen": [format!("{{env.{sockets}}}")],
        "protocols": protocols,
        "automatic_https": { "disable": true },
        "read_header_timeout": "10s",
        "idle_timeout": "75s",
        "routes": [{ "handle": [pass_on(behind)] }],
        "errors": { "routes": [{ "handle": [{
            "handler": "static_response",
            "status_code": "{http.error.status_code}",
            "headers": { "Content-Type": ["text/html"], "Cache-Control": ["no-store"], "Retry-After": ["5"] },
            "body": DOWN,
        }] }] },
    })
}

/// One that is away is waited for: another proxy takes its place.
fn pass_on(behind: &Address) -> Value {
    let dial = match behind {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("unix/{}", path.display()),
    };
    json!({
        "handler": "reverse_proxy",
        "upstreams": [{ "dial": dial }],
        "transport": {
            "protocol": "http",
            "compression": false,
            "dial_timeout": "2s",
            "keep_alive": { "idle_timeout": "4s", "max_idle_conns_per_host": 64 },
        },
        "load_balancing": { "try_duration": "10s", "try_interval": "50ms" },
        "flush_interval": "1ms",
        "stream_close_delay": "1h",
    })
}

fn certificates(hosts: &[(&HostName, String)]) -> Value {
    hosts
        .iter()
        .map(|(host, pem)| json!({ "certificate": pem, "key": pem, "tags": [host.as_str()] }))
        .collect()
}

/// A host that is named goes before one that a wildcard stands for. Whoever asks for no host of these is refused.
fn policies(hosts: &[(&HostName, String)]) -> Value {
    let (wild, named): (Vec<_>, Vec<_>) = hosts.iter().partition(|(host, _)| host.beneath().is_some());
    let of_host = |(host, _): &(&HostName, String)| {
        let (host, policy) = (host.as_str(), "certificate_selection");
        json!({ "match": { "sni": [host] }, policy: { "any_tag": [host] } })
    };
    let drop = json!({ "drop": true });
    named.into_iter().chain(wild).map(of_host).chain([drop]).collect()
}

/// The addresses of sockets of these numbers, as both servers listen.
pub(super) fn sockets(http: &[i32], https: &[i32]) -> String {
    let of = |numbers: &[i32]| numbers.iter().map(|number| format!("fd/{number}")).collect::<Vec<_>>();
    json!({ "http": of(http), "https": of(https) }).to_string()
}

pub(super) fn with_sockets(config: &str, sockets: &str) -> io::Result<String> {
    let mut config: Value = serde_json::from_str(config)?;
    let sockets: Value = serde_json::from_str(sockets)?;
    for (server, listen) in sockets.as_object().into_iter().flatten() {
        if let Some(server) = config["apps"]["http"]["servers"].get_mut(server) {
            server["listen"] = listen.clone();
        }
    }
    Ok(config.to_string())
}
