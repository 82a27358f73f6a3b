// SPDX-License-Identifier: Apache-2.0
//! `Address`: the URL of a service that somebody else manages, taken apart. It holds a password: no problem quotes it.

use hop3_core::{Kind, Problem};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Scheme, slot, port where none is written.
const KNOWN: [(&str, &str, u16); 19] = [
    ("postgres", "database", 5432),
    ("postgresql", "database", 5432),
    ("mysql", "database", 3306),
    ("mysql2", "database", 3306),
    ("mariadb", "database", 3306),
    ("mongodb", "database", 27017),
    ("sqlserver", "database", 1433),
    ("redis", "redis", 6379),
    ("rediss", "redis", 6379),
    ("valkey", "redis", 6379),
    ("amqp", "amqp", 5672),
    ("amqps", "amqp", 5671),
    ("nats", "nats", 4222),
    ("memcached", "memcached", 11211),
    ("smtp", "mail", 25),
    ("smtps", "mail", 465),
    ("s3", "s3", 443),
    ("http", "service", 80),
    ("https", "service", 443),
];

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub scheme: String,
    pub user: Option<String>,
    pub password: Option<String>,
    /// As written; an IPv6 address without its brackets.
    pub host: String,
    /// As written, or the usual one of its scheme.
    pub port: u16,
    /// What follows the first `/`, decoded: a database, a bucket.
    pub name: Option<String>,
}

impl Address {
    /// `scheme://[user[:password]@]host[:port][/name][?…]`, as RFC 3986 has it.
    pub(super) fn parse(url: &str) -> Result<Address, Problem> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it does not begin with SCHEME://"))?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(is_scheme) {
            return Err(bad("it does not begin with SCHEME://"));
        }
        if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(bad("it has a space or a control character; write it as %20, %0A, …"));
        }
        let scheme = scheme.to_ascii_lowercase();
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (user, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (None, None),
        };
        let (host, port) = host_and_port(host)?;
        let usual = KNOWN.iter().find(|known| known.0 == scheme).map(|known| known.2);
        let port = port.or(usual).ok_or_else(|| bad("it has no port, and its scheme has no usual one"))?;
        let path = path.strip_prefix('/').map(|path| path.split(['?', '#']).next().unwrap_or(path));
        Ok(Address { scheme, user, password, host, port, name: decoded(path.unwrap_or(""))? })
    }

    /// Which of an app's services it can be.
    pub(super) fn slot(&self) -> &str {
        let known = KNOWN.iter().find(|known| known.0 == self.scheme);
        known.map_or(self.scheme.split('+').next().unwrap_or(&self.scheme), |known| known.1)
    }

    /// Somebody accepts connections there.
    ///
    /// # Errors
    /// `addon.no-answer`, naming host and port.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let silent = |why: String| {
            let (host, port) = (&self.host, self.port);
            let title = format!("{} port {port} does not answer", host.escape_debug());
            Problem::new(Kind::Unavailable, "addon.no-answer", title).detail(why)
        };
        let places = (self.host.as_str(), self.port).to_socket_addrs().map_err(|e| silent(e.to_string()))?;
        let mut why = "the name has no address".to_owned();
        for place in places {
            match TcpStream::connect_timeout(&place, PATIENCE) {
                Ok(_) => return Ok(()),
                Err(e) => why = format!("{place}: {e}"),
            }
        }
        Err(silent(why))
    }
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), Problem> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(|| bad("its host has a [ without a ]"))?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad("what stands in [ ] is no IPv6 address"))?;
            (host, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    if host.is_empty() {
        return Err(bad("it names no host"));
    }
    if host.contains(',') || port.is_some_and(|port| port.contains(',')) {
        return Err(bad("it names several hosts; give it one that stands for all of them"));
    }
    match port {
        Some("") => Ok((host.to_owned(), None)),
        Some(port) if port.chars().all(|c| c.is_ascii_digit()) => match port.parse() {
            Ok(port @ 1..) => Ok((host.to_owned(), Some(port))),
            _ => Err(bad("its port is no number from 1 to 65535")),
        },
        _ => Err(bad("its port is no number from 1 to 65535")),
    }
}

/// Percent signs resolved; nothing when there was nothing.
fn decoded(text: &str) -> Result<Option<String>, Problem> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(bad("a % in it is not followed by two hexadecimal digits; a % itself is %25"));
        };
        bytes.push((high * 16 + low) as u8);
    }
    let text = String::from_utf8(bytes).map_err(|_| bad("a part of it is not UTF-8"))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn bad(why: &str) -> Problem {
    Problem::new(Kind::User, "addon.bad-address", format!("this is no address of a service: {why}"))
        .detail("SCHEME://USER:PASSWORD@HOST:PORT/NAME")
        .hint("give it on standard input, with --secret")
}

#[cfg(test)]
mod tests;
