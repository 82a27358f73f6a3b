// SPDX-License-Identifier: Apache-2.0
//! `[[tcp]]` as written to `TcpSettings`: each entry says one place, and no two the same.

use super::raw::Tcp;
use super::resolve::Place;
use crate::problem::{Kind, Problem};
use crate::tcp::{Entry, Port, TcpSettings};
use std::ops::Range;
use toml::Spanned;

/// Each is a listening socket, or a name to look up at a handshake.
const MOST: usize = 32;

pub(super) fn resolve(raw: Vec<Spanned<Tcp>>, place: &Place<'_>) -> Result<Vec<TcpSettings>, Problem> {
    let mut all: Vec<TcpSettings> = Vec::new();
    for table in raw {
        let range = table.span();
        let one = one(table, place)?;
        if all.len() == MOST {
            return Err(place.mark(range, bad(format!("more than {MOST} entries of [[tcp]]"))));
        }
        if all.iter().any(|other| other.entry == one.entry) {
            let problem = bad("two entries of [[tcp]] say the same place")
                .hint("keep one of them; several instances of its process share the connections");
            return Err(place.mark(range, problem));
        }
        all.push(one);
    }
    Ok(all)
}

fn one(table: Spanned<Tcp>, place: &Place<'_>) -> Result<TcpSettings, Problem> {
    let range = table.span();
    let raw = table.into_inner();
    let entry = match (&raw.host, &raw.port) {
        (Some(host), None) => Entry::Host(place.parse(host)?),
        (None, Some(port)) => Entry::Port(number(port, place)?),
        _ => return Err(which(range, place)),
    };
    Ok(TcpSettings {
        process: place.parse(&raw.process)?,
        entry,
        proxy_protocol: raw.proxy_protocol,
        idle_timeout_secs: match &raw.idle_timeout {
            Some(seconds) => place.seconds(seconds)?,
            None => TcpSettings::IDLE_TIMEOUT_SECS,
        },
    })
}

fn number(port: &Spanned<u16>, place: &Place<'_>) -> Result<Port, Problem> {
    Port::new(*port.get_ref()).ok_or_else(|| place.mark(port.span(), bad("a port is 1 to 65535")))
}

fn which(range: Range<usize>, place: &Place<'_>) -> Problem {
    let problem = bad("an entry of [[tcp]] says either a host or a port")
        .hint("write host = \"db.example.org\" for TLS that the process ends itself, or port = 5432");
    place.mark(range, problem)
}

fn bad(title: impl Into<String>) -> Problem {
    Problem::new(Kind::Config, "config.bad-value", title)
}
