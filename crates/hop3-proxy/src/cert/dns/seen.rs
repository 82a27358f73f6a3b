// SPDX-License-Identifier: Apache-2.0
//! Waits until a record is seen where authorities look: at the servers of its zone. Servers that do not answer are
//! left out; where none is known, the resolver is asked.

use super::Record;
use super::message::ask;
use crate::cert::acme::{Blame, Fault};
use hickory_proto::rr::{Name, RData, RecordType};
use hop3_core::{Kind, Problem};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const RESOLVERS: &str = "/etc/resolv.conf";

/// `primary` is the server that took the update, where one did.
pub(super) async fn wait(
    record: &Record<'_>,
    resolver: Option<SocketAddr>,
    primary: Option<SocketAddr>,
) -> Result<(), Fault> {
    let Some(asked) = primary.or(resolver).or_else(of_the_machine) else { return Ok(()) };
    let name = Name::from_ascii(format!("{}.", record.fqdn)).map_err(|e| unseen(record, &e.to_string()))?;
    let deadline = Instant::now() + record.limits.dns_seen;
    let mut pause = FIRST_PAUSE;
    loop {
        let missing = missing(record, &name, asked, primary).await;
        match missing {
            None => return Ok(()),
            Some(why) if Instant::now() >= deadline => return Err(unseen(record, &why)),
            Some(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(PAUSE);
    }
}

/// Who does not show the record yet.
async fn missing(
    record: &Record<'_>,
    name: &Name,
    asked: SocketAddr,
    primary: Option<SocketAddr>,
) -> Option<String> {
    let mut servers = servers_of(name, asked).await;
    servers.extend(primary);
    if servers.is_empty() {
        servers.push(asked);
    }
    servers.sort_unstable();
    servers.dedup();
    let mut seen = 0;
    for server in &servers {
        match ask(*server, name, RecordType::TXT).await {
            Ok(answer) if answer.answers.iter().any(|one| is_value(&one.data, &record.value)) => seen += 1,
            Ok(answer) => return Some(format!("{server} answers {} without it", answer.response_code)),
            Err(_) => {}
        }
    }
    (seen == 0).then(|| format!("none of its servers answers: {servers:?}"))
}

/// A value may be written in pieces.
fn is_value(data: &RData, value: &str) -> bool {
    match data {
        RData::TXT(text) => text.txt_data.concat() == value.as_bytes(),
        _ => false,
    }
}

/// The zone that a name lies in, as a server tells it.
pub(super) async fn zone_of(name: &Name, server: SocketAddr) -> Option<Name> {
    let mut above = name.clone();
    while !above.is_root() {
        let answer = ask(server, &above, RecordType::SOA).await.ok()?;
        let found = answer.answers.iter().chain(&answer.authorities);
        let mut zones = found.filter(|one| one.record_type() == RecordType::SOA).map(|one| &one.name);
        if let Some(zone) = zones.find(|zone| !zone.is_root() && zone.zone_of(name)) {
            return Some(zone.clone());
        }
        above = above.base_name();
    }
    None
}

/// Addresses of the zone's servers. The one that is asked keeps its port: it may be asked at another than 53.
async fn servers_of(name: &Name, asked: SocketAddr) -> Vec<SocketAddr> {
    let Some(zone) = zone_of(name, asked).await else { return Vec::new() };
    let Ok(answer) = ask(asked, &zone, RecordType::NS).await else { return Vec::new() };
    let names = answer.answers.iter().filter_map(|one| match &one.data {
        RData::NS(server) => Some(server.0.clone()),
        _ => None,
    });
    let mut servers = Vec::new();
    for name in names {
        for kind in [RecordType::A, RecordType::AAAA] {
            let Ok(answer) = ask(asked, &name, kind).await else { continue };
            let addresses = answer.answers.iter().filter_map(|one| match &one.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            });
            servers.extend(addresses.map(
                |ip| {
                    if ip == asked.ip() { asked } else { SocketAddr::new(ip, 53) }
                },
            ));
        }
    }
    servers
}

/// The first resolver of the machine (resolv.conf(5)).
fn of_the_machine() -> Option<SocketAddr> {
    let text = std::fs::read_to_string(RESOLVERS).ok()?;
    let mut words = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    words.find_map(|word| word.trim().parse::<IpAddr>().ok()).map(|ip| SocketAddr::new(ip, 53))
}

fn unseen(record: &Record<'_>, why: &str) -> Fault {
    let title = format!("the DNS record {} is not seen", record.fqdn);
    Fault::new(
        Blame::Host,
        Problem::new(Kind::Conflict, "acme.dns-unseen", title)
            .detail(format!("after {} seconds: {why}", record.limits.dns_seen.as_secs()))
            .hint(
                "see whether whoever writes it has the right to, and writes into the zone the internet sees",
            ),
    )
}
