// SPDX-License-Identifier: Apache-2.0
//! `RouteTable`: which host and path is answered by what. Plain data: the server derives it from its store, every
//! proxy driver turns it into its product's terms, the built-in proxy keeps its last one on disk.

use crate::name::Domain;
use crate::observe::Observe;
use crate::policy::Policy;
use crate::problem::{Kind, Problem};
use crate::tcp::Entry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The whole table. Applied as one: a request sees the old table or the new one, never a mixture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    pub services: Vec<Service>,
}

/// Everything one owner of routes (an app, or the control plane) wants answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Opaque label, unique in the table; shown in logs and metrics.
    pub name: String,
    /// Exact hosts, or `*.example.org` for one more label. Served without regard to the port in `Host`.
    pub hosts: Vec<Host>,
    /// The longest matching prefix wins; `/api` matches `/api` and `/api/x`, never `/apix`.
    pub routes: Vec<Route>,
    #[serde(default, skip_serializing_if = "Observe::is_default")]
    pub observe: Observe,
    /// Parts of hosts, which go here whoever else answers for the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Another service that some visitors get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Box<Canary>>,
    /// What is done with its requests beside routing them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Box<Policy>>,
    /// Where the files lie that the policy names: maintenance and error pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Tls::is_usual")]
    pub tls: Tls,
    /// Connections that are no HTTP to us. Each entry leads to one service; the one put last has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<TcpRoute>,
}

impl Service {
    /// Every host of which it answers something.
    pub fn all_hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().chain(self.mounts.iter().map(|mount| &mount.host))
    }
}

/// Everything beneath a path of a host. The longest path wins, and every mount wins over the host's own service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub host: Host,
    /// Begins with `/` and matches as a route's prefix does.
    pub prefix: String,
}

/// What a service wants of TLS. On a proxy that does not listen for HTTPS, `client_ca` and `Https::Only` act alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Tls {
    pub https: Https,
    /// PEM of the authorities whose certificates clients must show. Without one of those nobody gets in, by plain
    /// HTTP neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<String>,
    /// The certificate of its first host answers connections that name no host.
    pub for_unnamed: bool,
}

impl Tls {
    fn is_usual(&self) -> bool {
        *self == Tls::default()
    }
}

/// What plain HTTP gets while the proxy listens for HTTPS too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Https {
    /// The address of the same thing at HTTPS.
    #[default]
    Redirect,
    /// The same as HTTPS.
    Both,
    /// A refusal, also where the proxy does not listen for HTTPS.
    Only,
}

impl Https {
    pub fn is_redirect(&self) -> bool {
        *self == Https::Redirect
    }
}

impl FromStr for Https {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Https, Problem> {
        match text {
            "redirect" => Ok(Https::Redirect),
            "both" => Ok(Https::Both),
            "only" => Ok(Https::Only),
            _ => Err(Problem::new(Kind::Config, "config.bad-value", "a value cannot be used")
                .detail("one of these is wanted: redirect, both, only")),
        }
    }
}

/// A host name as requests write it. `localhost` is allowed here beside every `Domain`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Host(pub String);

impl From<&Domain> for Host {
    fn from(domain: &Domain) -> Host {
        Host(domain.as_str().to_owned())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Begins with `/`.
    pub prefix: String,
    pub target: Target,
}

/// Connections that are carried to instances byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpRoute {
    pub entry: Entry,
    pub pool: Pool,
    /// Instances get a header of the PROXY protocol, version 2, before the first byte.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxy_protocol: bool,
}

/// What answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    Upstreams(Pool),
    Static(StaticFiles),
    /// A page of the proxy's own.
    Page(Page),
}

/// Instances that share the load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    pub upstreams: Vec<Upstream>,
    #[serde(default)]
    pub timeouts: Timeouts,
    #[serde(default, skip_serializing_if = "Speaks::is_http1")]
    pub speaks: Speaks,
    /// Path asked every few seconds; an upstream that fails is left out until it answers again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
    /// The upstreams may be away: somebody brings them up when a request comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand: Option<OnDemand>,
}

/// What a pool's upstreams are spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Speaks {
    #[default]
    Http1,
    /// HTTP/2 without TLS and without being asked first, as gRPC servers do (RFC 9113, 3.3).
    H2c,
}

impl Speaks {
    pub fn is_http1(&self) -> bool {
        *self == Speaks::Http1
    }
}

impl FromStr for Speaks {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Speaks, Problem> {
        match text {
            "http1" => Ok(Speaks::Http1),
            "h2c" => Ok(Speaks::H2c),
            _ => Err(Problem::new(Kind::Config, "config.bad-protocol", "this is no protocol of an app")
                .hint("http1, or h2c for HTTP/2 without TLS")),
        }
    }
}

/// How requests are treated that come while a pool has no upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemand {
    /// A Unix socket. It is told the service's name on a line and answers a line of JSON, a `Woken`.
    pub socket: PathBuf,
    /// So many requests of the service wait at most; more are answered 503.
    #[serde(default = "OnDemand::queue")]
    pub queue: u32,
    /// A request waits so long at most, then it is answered 503. In milliseconds.
    #[serde(default = "OnDemand::deadline_ms")]
    pub deadline_ms: u64,
    /// A person's browser gets a page that asks again by itself after so long. In milliseconds.
    #[serde(default = "OnDemand::patience_ms")]
    pub patience_ms: u64,
}

impl OnDemand {
    pub fn new(socket: PathBuf) -> OnDemand {
        OnDemand {
            socket,
            queue: OnDemand::queue(),
            deadline_ms: OnDemand::deadline_ms(),
            patience_ms: OnDemand::patience_ms(),
        }
    }

    fn queue() -> u32 {
        1_000
    }

    fn deadline_ms() -> u64 {
        30_000
    }

    fn patience_ms() -> u64 {
        5_000
    }
}

/// What the one who wakes answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Woken {
    /// The table has the upstreams now.
    Done,
    /// They could not be brought up.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Unique among all upstreams that live at the same time; `Proxy::drain` names it.
    pub id: String,
    pub address: Address,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// All in milliseconds; 0 means no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    pub connect_ms: u64,
    /// From the end of the request to the first byte of the response head.
    pub response_ms: u64,
    /// Between two pieces of a body, either way.
    pub idle_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect_ms: 2_000, response_ms: 60_000, idle_ms: 120_000 }
    }
}

/// A share of the visitors gets another service, which is tried out. A visitor draws a lot once and keeps it in a cookie,
/// so a share that grows takes nobody back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// A name of the other service.
    pub host: Host,
    /// Of a hundred visitors.
    pub percent: u8,
    /// A request in which this header is `always` or `never` chooses for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// So does one whose cookie of this name is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
}

/// A directory served by the proxy itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticFiles {
    pub root: PathBuf,
    /// Unknown paths without an extension answer `/index.html`.
    #[serde(default)]
    pub spa: bool,
    /// Where to look for a file that `root` lacks: the same directory of the release before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<PathBuf>,
}

/// Pages the proxy makes when there is nobody to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Page {
    /// The app exists and has no release yet: 503.
    NotDeployed,
    /// The app was stopped on purpose: 503.
    Stopped,
}
