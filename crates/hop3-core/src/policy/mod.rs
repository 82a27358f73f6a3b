// SPDX-License-Identifier: Apache-2.0
//! `Policy`: what the author of an app wants done with requests before they reach it, and with answers before they
//! leave: `[proxy]` of `hop3.toml`, with what was set by hand laid over it. Plain data; the proxy carries it out.
//!
//! Invariant: written as JSON, a policy has the keys and forms of `[proxy]`, so that it can be read again by the same
//! parser (`config::overlay` depends on it).

mod net;
mod password;
mod pattern;
mod waf;

pub use net::Net;
pub use password::PasswordHash;
pub use pattern::{PathPattern, Place};
pub use waf::{Waf, WafMode};

use crate::name::{AppName, Domain};
use crate::observe::Observe;
use crate::route::{Https, Speaks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything `[proxy]` can say, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Policy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_host: Option<Domain>,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<Net>,
    /// What plain HTTP gets.
    #[serde(skip_serializing_if = "Https::is_redirect")]
    pub https: Https,
    /// A file of the release: the authorities whose certificates clients must show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hsts: Option<Hsts>,
    /// Who may come in; everybody when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Net>,
    /// Who may not, even if allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Net>,
    /// Bytes of a request's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_size: Option<u64>,
    /// What the app's web process is spoken to in.
    #[serde(skip_serializing_if = "Speaks::is_http1")]
    pub app_protocol: Speaks,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    pub sticky: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub asset_bridge: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_auth: Option<ForwardAuth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waf: Option<Waf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Redirect>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rewrites: Vec<Rewrite>,
    #[serde(skip_serializing_if = "HeaderChange::is_none")]
    pub request_headers: HeaderChange,
    #[serde(skip_serializing_if = "HeaderChange::is_none")]
    pub response_headers: HeaderChange,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Status (`404`, `5xx`) to a file of the release.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub error_pages: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// Another app that a share of the visitors gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// What is recorded of requests.
    #[serde(skip_serializing_if = "Observe::is_default")]
    pub log: Observe,
}

impl Policy {
    /// Lets nobody in.
    pub fn closed() -> Policy {
        Policy { deny: vec![Net::V4, Net::V6], ..Policy::default() }
    }

    /// What upstreams are spoken to in.
    pub fn speaks(&self) -> Speaks {
        self.app_protocol
    }

    /// Nothing is asked for.
    pub fn is_none(&self) -> bool {
        *self == Policy::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Browsers are told to use HTTPS alone (RFC 6797).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Hsts {
    pub on: bool,
    /// Seconds.
    pub max_age: u32,
    pub include_subdomains: bool,
    pub preload: bool,
}

impl Hsts {
    /// What browser makers ask of a name on the list that they ship: a year.
    pub const PRELOAD_AGE: u32 = 31_536_000;
}

/// An app that is tried out: some visitors get it in place of this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Canary {
    pub app: AppName,
    /// Of a hundred visitors.
    pub percent: u8,
    /// A request in which this header is `always` or `never` chooses for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// So does one whose cookie of this name is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
}

/// A password before the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BasicAuth {
    pub on: bool,
    pub realm: String,
    pub users: BTreeMap<String, PasswordHash>,
    /// Paths that need no password.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<PathPattern>,
}

/// Another service says who may come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ForwardAuth {
    pub on: bool,
    /// `http://host:port/path`.
    pub url: String,
    /// Headers of its answer that the app gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copy: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<PathPattern>,
}

/// A page in place of the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Maintenance {
    pub on: bool,
    /// A file of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Seconds.
    pub retry_after: u32,
    /// Who gets the app all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Net>,
}

/// Requests wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Pause {
    pub on: bool,
    /// Seconds one request waits.
    pub max_wait: u32,
}

/// A path that has moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Redirect {
    pub from: PathPattern,
    pub to: Place,
    pub status: u16,
    pub keep_query: bool,
}

/// A path that is another one inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Rewrite {
    pub from: PathPattern,
    pub to: PathPattern,
}

/// Header lines put in and taken out; taken out first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct HeaderChange {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

impl HeaderChange {
    pub fn is_none(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

/// So many requests in so much time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RateLimit {
    pub path: PathPattern,
    pub by: RateKey,
    pub requests: u32,
    pub per: Per,
    pub burst: u32,
}

/// What is counted apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// One client address; of IPv6 its /64.
    Ip,
    /// All requests together.
    All,
    /// The value of a header; requests without it are counted by address.
    Header(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    Second,
    Minute,
    Hour,
    Day,
}

impl Per {
    pub fn seconds(self) -> u32 {
        match self {
            Per::Second => 1,
            Per::Minute => 60,
            Per::Hour => 3600,
            Per::Day => 86_400,
        }
    }
}

/// Which other sites' scripts may read answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cors {
    pub on: bool,
    /// `https://example.org`, `https://*.example.org`, `*`.
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    pub credentials: bool,
    /// Seconds a browser may remember.
    pub max_age: u32,
}

/// Answers made smaller on their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Compression {
    pub on: bool,
    pub min_size: u64,
}

/// Answers kept for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cache {
    pub on: bool,
    /// Bytes of all answers together.
    pub max_size: u64,
    /// Bytes of one answer.
    pub max_entry_size: u64,
    /// When it was emptied last, as Unix time in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub purged: u64,
}

impl From<RateKey> for String {
    fn from(key: RateKey) -> String {
        match key {
            RateKey::Ip => "ip".into(),
            RateKey::All => "all".into(),
            RateKey::Header(name) => format!("header:{name}"),
        }
    }
}

/// Writes and reads a type as its text.
macro_rules! as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&String::from(self.clone()))
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(|problem: crate::Problem| serde::de::Error::custom(problem.title))
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }
    };
}
pub(crate) use as_text;

as_text!(RateKey);

impl std::str::FromStr for RateKey {
    type Err = crate::Problem;

    fn from_str(text: &str) -> Result<RateKey, crate::Problem> {
        match text.split_once(':') {
            None if text == "ip" => Ok(RateKey::Ip),
            None if text == "all" => Ok(RateKey::All),
            Some(("header", name)) if is_token(name) => Ok(RateKey::Header(name.to_ascii_lowercase())),
            _ => Err(crate::Problem::new(
                crate::Kind::Config,
                "config.bad-value",
                "this cannot be counted apart",
            )
            .detail("one of these is wanted: ip, all, header:NAME")),
        }
    }
}

/// What a header's name and a method are made of (RFC 9110, 5.6.2).
pub fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}
