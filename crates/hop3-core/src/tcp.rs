// SPDX-License-Identifier: Apache-2.0
//! What is not HTTP: where its connections come in, and to which process they go. As an author asks for it
//! (`TcpSettings`), and as an operator allows it (`Ports`).

use crate::name::{Domain, ProcessName};
use crate::policy::as_text;
use crate::problem::{Kind, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Port(NonZeroU16);

impl Port {
    pub fn new(number: u16) -> Option<Port> {
        NonZeroU16::new(number).map(Port)
    }

    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where connections come in that are carried to instances byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    /// The port for HTTPS, when the client's first message names this host. The process itself speaks TLS.
    Host(Domain),
    /// A listening port of its own.
    Port(Port),
}

/// As metrics and logs name it; no path of a route looks like that.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Host(host) => write!(f, "tls:{host}"),
            Entry::Port(port) => write!(f, "tcp:{port}"),
        }
    }
}

/// `[[tcp]]`: a process that is reached without HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpSettings {
    pub process: ProcessName,
    #[serde(rename = "at")]
    pub entry: Entry,
    /// Instances are told first who connects, by a header of the PROXY protocol.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxy_protocol: bool,
    /// How long a connection may be silent both ways.
    pub idle_timeout_secs: u32,
}

impl TcpSettings {
    /// Connections to brokers and databases idle for long.
    pub const IDLE_TIMEOUT_SECS: u32 = 3600;
}

/// Ports, in ranges: `5432,9000-9099`. Empty is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(Vec<RangeInclusive<u16>>);

impl Ports {
    pub fn contains(&self, port: Port) -> bool {
        self.0.iter().any(|range| range.contains(&port.get()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Ports {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Ports, Problem> {
        let number = |text: &str| {
            let is_plain = text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>().ok().filter(|number| is_plain && *number > 0)
        };
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(first..=last)
        };
        let parts = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
        parts.map(range).collect::<Option<_>>().map(Ports).ok_or_else(|| {
            Problem::new(Kind::User, "tcp.bad-ports", "this is no list of ports")
                .hint("write ports and ranges with commas between, for example 5432,9000-9099")
        })
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match range.start() == range.end() {
                true => write!(f, "{comma}{}", range.start())?,
                false => write!(f, "{comma}{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}

impl From<Ports> for String {
    fn from(ports: Ports) -> String {
        ports.to_string()
    }
}

as_text!(Ports);

#[cfg(test)]
mod tests;
