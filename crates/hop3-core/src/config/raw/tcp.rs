// SPDX-License-Identifier: Apache-2.0
//! `[[tcp]]`: ways to processes that do not speak HTTP.

use super::Text;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

/// `[[tcp]]`. One of `host` and `port` is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tcp {
    /// The process that gets the connections.
    #[schemars(with = "String")]
    pub(crate) process: Text,
    /// TLS connections to the server's port for HTTPS that name this host go to the process, which ends the TLS
    /// itself. The app gets the domain; the first part may be `*`.
    #[schemars(with = "Option<String>")]
    #[serde(default)]
    pub(crate) host: Option<Text>,
    /// The server listens on this port, and what connects there goes to the process. The operator must have allowed
    /// it with `hop3 server --tcp-ports`.
    #[schemars(with = "Option<u16>")]
    #[serde(default)]
    pub(crate) port: Option<Spanned<u16>>,
    /// Tell the process first who connects, by a header of the PROXY protocol, version 2. false unless set.
    #[serde(default)]
    pub(crate) proxy_protocol: bool,
    /// Seconds a connection may be silent both ways. 3600 unless set.
    #[schemars(with = "Option<u32>")]
    #[serde(default)]
    pub(crate) idle_timeout: Option<Spanned<u32>>,
}
