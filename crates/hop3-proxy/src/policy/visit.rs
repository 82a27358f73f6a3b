// SPDX-License-Identifier: Apache-2.0
//! `Visit`: one request as the features see it, and what they have decided to change about it.

use super::cache::Recording;
use super::edit::Edit;
use super::live::Live;
use super::waf::Finding;
use crate::http1::body::Length;
use crate::http1::forward::{Forwarded, Request};
use crate::http1::header::own_slots;
use hop3_core::policy::{Net, PathPattern};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(crate) struct Visit<'a> {
    /// The visitor's, as far as it is known.
    pub(super) address: IpAddr,
    pub(super) scheme: &'a str,
    pub(super) method: &'a str,
    /// As the client wrote it, port included.
    pub(super) host: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
    /// The path as a careful server understands it: decoded, without empty and dot segments.
    plain: String,
    pub(super) length: Length,
    pub(super) edit: Edit,
    /// Header lines for the answer.
    pub(super) lines: String,
    /// `Accept-Encoding`, which a rewrite must not take from the answer's way.
    pub(super) accepts: Option<String>,
    pub(super) cookie: Option<String>,
    /// Which instances that are tried out it gets.
    /// It gets the service that is tried out.
    pub(super) is_tried: bool,
    /// The answer may be kept.
    pub(super) recording: Option<Recording>,
    /// What the request filter found.
    pub(super) finding: Option<Finding>,
    headers: Vec<(&'a str, &'a [u8])>,
    forwarded: Option<Forwarded>,
}

impl<'a> Visit<'a> {
    /// `head` is one that was written by us, so that it parses.
    pub(super) fn new(peer: &str, request: &Request, head: &'a [u8]) -> Visit<'a> {
        let mut slots = own_slots();
        let mut parsed = httparse::Request::new(&mut []);
        parsed.parse_with_uninit_headers(head, &mut slots).ok();
        let headers: Vec<_> = parsed.headers.iter().map(|header| (header.name, header.value)).collect();
        let text = |range: &std::ops::Range<usize>| std::str::from_utf8(&head[range.clone()]).unwrap_or("/");
        let target = text(&request.path);
        let mut visit = Visit {
            address: peer.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            scheme: "http",
            method: parsed.method.unwrap_or("GET"),
            host: text(&request.host),
            target,
            plain: plain(target.split('?').next().unwrap_or(target)),
            length: request.length,
            edit: Edit::default(),
            lines: String::new(),
            accepts: None,
            cookie: None,
            is_tried: false,
            recording: None,
            finding: None,
            headers,
            forwarded: request.forwarded.as_deref().cloned(),
        };
        visit.scheme = visit.header("x-forwarded-proto").unwrap_or("http");
        visit.accepts = visit.header("accept-encoding").map(str::to_owned);
        visit.cookie = visit.cookie_of(super::sticky::COOKIE).map(str::to_owned);
        visit
    }

    /// The first header of that name, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    pub(super) fn headers(&self) -> &[(&'a str, &'a [u8])] {
        &self.headers
    }

    pub(super) fn cookie_of(&self, name: &str) -> Option<&'a str> {
        let lines = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case("cookie"));
        let pairs = lines.filter_map(|(_, value)| std::str::from_utf8(value).ok()).flat_map(|v| v.split(';'));
        pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v)
    }

    pub(super) fn path(&self) -> &'a str {
        self.target.split('?').next().unwrap_or(self.target)
    }

    pub(super) fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    pub(super) fn is_in(&self, nets: &[Net]) -> bool {
        nets.iter().any(|net| net.contains(self.address))
    }

    /// The path is meant, in whatever spelling: for rules that hold visitors back.
    pub(super) fn means(&self, pattern: &PathPattern) -> bool {
        pattern.rest(&self.plain).is_some()
    }

    /// The path is one of these and can mean nothing else: for rules that let visitors through.
    pub(super) fn is_plainly(&self, patterns: &[PathPattern]) -> bool {
        self.plain == self.path() && patterns.iter().any(|pattern| pattern.rest(&self.plain).is_some())
    }

    /// Behind proxies that are trusted, the visitor is whom the last of them has seen.
    pub(super) fn trust(&mut self, live: &Live) {
        let trusted = &live.source.trusted_proxies;
        if trusted.is_empty() || !self.is_in(trusted) {
            return;
        }
        let Some(forwarded) = self.forwarded.take() else { return };
        for hop in forwarded.addresses.rsplit(',') {
            let hop = hop.trim();
            let Ok(address) = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|s| s.ip())) else {
                break;
            };
            self.address = IpAddr::to_canonical(&address);
            if !self.is_in(trusted) {
                break;
            }
        }
        self.edit.set("X-Forwarded-For", &self.address.to_string());
        let scheme = ["https", "http"].into_iter().find(|s| forwarded.scheme.eq_ignore_ascii_case(s));
        if let Some(scheme) = scheme {
            self.scheme = scheme;
            self.edit.set("X-Forwarded-Proto", scheme);
            if !self.host.rsplit(']').next().unwrap_or(self.host).contains(':') {
                self.edit.set("X-Forwarded-Port", if scheme == "https" { "443" } else { "80" });
            }
        }
    }
}

/// Decodes a path and resolves its segments, as the most lenient server behind may do.
pub(super) fn plain(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let ahead = rest.clone();
        let digit = |b: Option<u8>| b.and_then(|b| (b as char).to_digit(16));
        let byte = match (byte, digit(rest.next()), digit(rest.next())) {
            (b'%', Some(high), Some(low)) => (high << 4 | low) as u8,
            (other, ..) => {
                rest = ahead;
                other
            }
        };
        bytes.push(if byte == b'\\' { b'/' } else { byte });
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = if text.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("/{}{end}", parts.join("/"))
}

#[cfg(test)]
mod tests;
