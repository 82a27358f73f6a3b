// SPDX-License-Identifier: Apache-2.0
//! `[proxy]`: what is done with requests before they reach the app, and with answers before they leave.

use super::{Later, Lines, Size, Text};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// `[proxy]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Proxy {
    /// The one host name visitors shall use; requests for the app's other names are redirected to it.
    #[schemars(with = "Option<String>")]
    pub(crate) canonical_host: Option<Text>,
    /// Networks of other proxies in front of this one, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    /// None unless set.
    #[schemars(with = "Option<Lines>")]
    pub(crate) trusted_proxies: Option<Spanned<Lines>>,
    /// What plain HTTP gets: `redirect` (the address at HTTPS, where the server listens for that), `both` (the app, as
    /// over HTTPS) or `only` (403). `redirect` unless set.
    #[schemars(with = "Option<String>")]
    pub(crate) https: Option<Text>,
    /// PEM file of the release with the authorities whose certificates visitors must show; nobody else gets in. The
    /// app reads whose it was in `X-Forwarded-Client-Subject`.
    #[schemars(with = "Option<String>")]
    pub(crate) client_ca: Option<Text>,
    /// Browsers are told to use HTTPS alone for a time, over HTTPS (`Strict-Transport-Security`).
    pub(crate) hsts: Option<Hsts>,
    /// Networks that may come in, for example `["10.0.0.0/8", "2001:db8::/32"]`; everybody else gets 403.
    #[schemars(with = "Option<Lines>")]
    pub(crate) allow: Option<Spanned<Lines>>,
    /// Networks that get 403 even where `allow` names them.
    #[schemars(with = "Option<Lines>")]
    pub(crate) deny: Option<Spanned<Lines>>,
    /// Largest body of a request, for example `"50m"`; a larger one gets 413. No limit unless set.
    #[schemars(with = "Option<Size>")]
    pub(crate) max_body_size: Option<Spanned<Size>>,
    /// What the app's process is spoken to in: `http1`, or `h2c` for HTTP/2 without TLS, as gRPC servers want it.
    /// `http1` unless set.
    #[schemars(with = "Option<String>")]
    pub(crate) app_protocol: Option<Text>,
    /// Seconds a connection to an instance may take. 2 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) connect_timeout: Option<Spanned<u32>>,
    /// Seconds from the end of a request to the beginning of its answer. 60 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) response_timeout: Option<Spanned<u32>>,
    /// Seconds a body may stand still, either way. 120 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) idle_timeout: Option<Spanned<u32>>,
    /// Keep a visitor at the same instance by a cookie, as long as the instance lives. false unless set.
    pub(crate) sticky: Option<bool>,
    /// Serve static files of the release before where the new one has none of that name, so that pages loaded before
    /// a deployment still find their scripts. false unless set.
    pub(crate) asset_bridge: Option<bool>,
    /// Bodies are streamed as they come, whatever is set here.
    pub(crate) request_buffering: Option<Later>,
    /// A password before the app.
    pub(crate) basic_auth: Option<BasicAuth>,
    /// Another service decides about each request (single sign-on).
    pub(crate) forward_auth: Option<ForwardAuth>,
    /// Requests are compared with rules about attacks.
    pub(crate) waf: Option<Waf>,
    /// A page in place of the app.
    pub(crate) maintenance: Option<Maintenance>,
    /// Requests wait instead of being answered, as `hop3 proxy pause` makes them.
    pub(crate) pause: Option<Pause>,
    /// Paths that have moved; the first that fits counts.
    pub(crate) redirects: Vec<Redirect>,
    /// Paths that are others inside; the first that fits counts. Visitors do not see it.
    pub(crate) rewrites: Vec<Rewrite>,
    /// Header lines of requests, changed before the app gets them.
    pub(crate) request_headers: Headers,
    /// Header lines of answers, changed before visitors get them.
    pub(crate) response_headers: Headers,
    /// So many requests in so much time; more get 429. Every entry whose path fits counts.
    pub(crate) rate_limits: Vec<RateLimit>,
    /// Which other sites' scripts may use the app (CORS).
    pub(crate) cors: Option<Cors>,
    /// Status (`404`, or `5xx` for a class) to a file of the release that is sent in place of the answer.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) error_pages: BTreeMap<Text, Text>,
    /// Answers are made smaller where the visitor's browser takes it.
    pub(crate) compression: Option<Compression>,
    /// Answers that say how long they are good are kept in memory for so long (RFC 9111).
    pub(crate) cache: Option<Cache>,
    /// Another app that some of the visitors get, to try it out.
    pub(crate) canary: Option<Canary>,
    /// What is noted of requests, and told of their time.
    pub(crate) log: Option<Log>,
}

/// `[proxy.hsts]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Hsts {
    /// true unless set.
    pub(crate) on: Option<bool>,
    /// Seconds a browser remembers it, from each answer on; 0 makes it forget. 31536000, a year, unless set.
    pub(crate) max_age: Option<u32>,
    /// It counts for every name beneath the app's too, whoever answers there. false unless set.
    pub(crate) include_subdomains: Option<bool>,
    /// Browser makers may ship the name in their list, from which it is hard to get away. false unless set; needs
    /// `include-subdomains` and a `max-age` of a year or more.
    #[schemars(with = "Option<bool>")]
    pub(crate) preload: Option<Spanned<bool>>,
}

/// `[proxy.log]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Log {
    /// One request in so many is noted in the access log, and each that was answered with 500 and above. 1 unless set;
    /// 0 notes none.
    pub(crate) every: Option<u32>,
    /// Note the query of an address too, and not only that there was one. true unless set.
    pub(crate) query: Option<bool>,
    /// Tell browsers in `Server-Timing` how long an answer took. false unless set.
    pub(crate) server_timing: Option<bool>,
}

/// `[proxy.basic-auth]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct BasicAuth {
    /// true unless set.
    pub(crate) on: Option<bool>,
    /// What the browser's question says. `Restricted` unless set.
    #[schemars(with = "Option<String>")]
    pub(crate) realm: Option<Text>,
    /// User to the hash of a password, which `hop3 proxy password` makes.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) users: BTreeMap<Text, Text>,
    /// Paths that need no password: `/health`, `/api/*`.
    #[schemars(with = "Option<Lines>")]
    pub(crate) except: Option<Spanned<Lines>>,
}

/// `[proxy.pause]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Pause {
    /// false unless set.
    pub(crate) on: Option<bool>,
    /// Seconds a request waits; then it gets 503. 30 unless set. At most 1000 requests wait.
    #[schemars(with = "Option<u32>")]
    pub(crate) max_wait: Option<Spanned<u32>>,
}

/// `[proxy.forward-auth]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ForwardAuth {
    /// true unless set.
    pub(crate) on: Option<bool>,
    /// Asked with the request's address and headers, on this machine or a private network:
    /// `http://127.0.0.1:9091/verify`. 2xx lets the request pass, any other answer goes to the visitor.
    #[schemars(with = "String")]
    pub(crate) url: Text,
    /// Headers of its answer that the app gets; a visitor's own of these names are dropped.
    #[schemars(with = "Option<Lines>")]
    pub(crate) copy: Option<Spanned<Lines>>,
    /// Paths that are not asked about.
    #[schemars(with = "Option<Lines>")]
    pub(crate) except: Option<Spanned<Lines>>,
}

/// `[proxy.waf]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Waf {
    /// `off`; `detect` lets every request pass and notes in the access log which rules fit; `block` answers 403 where
    /// the rules say so. `off` unless set.
    #[schemars(with = "Option<String>")]
    pub(crate) mode: Option<Text>,
    /// How much is suspected: from 1, which ordinary requests seldom meet, to 4. 1 unless set.
    #[schemars(with = "Option<u8>")]
    pub(crate) paranoia: Option<Spanned<u8>>,
    /// Paths that are not looked at: `/webhook`, `/editor/*`.
    #[schemars(with = "Option<Lines>")]
    pub(crate) except: Option<Spanned<Lines>>,
    /// Numbers of rules that are left out, as the access log names them.
    #[schemars(with = "Option<Vec<u32>>")]
    pub(crate) without: Option<Spanned<Vec<u32>>>,
}

/// `[proxy.canary]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Canary {
    /// The other app's name.
    #[schemars(with = "String")]
    pub(crate) app: Text,
    /// How many of a hundred visitors get it. None unless set.
    #[schemars(with = "Option<u8>")]
    pub(crate) percent: Option<Spanned<u8>>,
    /// A request whose header of this name is `always` or `never` chooses for itself.
    #[schemars(with = "Option<String>")]
    pub(crate) header: Option<Text>,
    /// So does one whose cookie of this name is.
    #[schemars(with = "Option<String>")]
    pub(crate) cookie: Option<Text>,
}

/// `[proxy.maintenance]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Maintenance {
    /// Answer 503 now. false unless set; `hop3 proxy set maintenance.on=true` begins it without a deployment.
    pub(crate) on: Option<bool>,
    /// File of the release to send.
    #[schemars(with = "Option<String>")]
    pub(crate) page: Option<Text>,
    /// Text to send, where there is no page.
    #[schemars(with = "Option<String>")]
    pub(crate) text: Option<Text>,
    /// Seconds after which clients shall try again. 300 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) retry_after: Option<Spanned<u32>>,
    /// Networks that get the app all the same.
    #[schemars(with = "Option<Lines>")]
    pub(crate) allow: Option<Spanned<Lines>>,
}

/// `[[proxy.redirects]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Redirect {
    /// A path, or `/old/*` for everything beneath `/old`.
    #[schemars(with = "String")]
    pub(crate) from: Text,
    /// A path or an address; `*` at the end stands for what `*` matched.
    #[schemars(with = "String")]
    pub(crate) to: Text,
    /// 301, 302, 303, 307 or 308. 308 unless set.
    #[schemars(with = "Option<u16>")]
    pub(crate) status: Option<Spanned<u16>>,
    /// The query goes along. true unless set.
    pub(crate) keep_query: Option<bool>,
}

/// `[[proxy.rewrites]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Rewrite {
    /// A path, or `/v1/*` for everything beneath `/v1`.
    #[schemars(with = "String")]
    pub(crate) from: Text,
    /// The path the app gets; `*` at the end stands for what `*` matched. The query always goes along.
    #[schemars(with = "String")]
    pub(crate) to: Text,
}

/// `[proxy.request-headers]` and `[proxy.response-headers]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Headers {
    /// Name to value, in place of what is there.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) set: BTreeMap<Text, Text>,
    /// Names taken out.
    #[schemars(with = "Option<Lines>")]
    pub(crate) remove: Option<Spanned<Lines>>,
}

/// `[[proxy.rate-limits]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RateLimit {
    /// The paths it counts. `/*` unless set.
    #[schemars(with = "Option<String>")]
    pub(crate) path: Option<Text>,
    /// Counted apart: `ip` (IPv6 by /64), `header:NAME`, or `all` for everybody together. `ip` unless set.
    #[schemars(with = "Option<String>")]
    pub(crate) by: Option<Text>,
    /// How many.
    #[schemars(with = "u32")]
    pub(crate) requests: Spanned<u32>,
    /// `second`, `minute`, `hour` or `day`. `minute` unless set.
    #[schemars(with = "Option<String>")]
    pub(crate) per: Option<Text>,
    /// How many may come at once after a quiet time. As many as `requests` unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) burst: Option<Spanned<u32>>,
}

/// `[proxy.cors]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Cors {
    /// true unless set.
    pub(crate) on: Option<bool>,
    /// `https://example.org`, `https://*.example.org` for every name beneath it, or `*` for all.
    #[schemars(with = "Option<Lines>")]
    pub(crate) origins: Option<Spanned<Lines>>,
    /// Methods beside the simple ones. `GET, HEAD, POST, PUT, PATCH, DELETE` unless set.
    #[schemars(with = "Option<Lines>")]
    pub(crate) methods: Option<Spanned<Lines>>,
    /// Request headers beside the simple ones. What the browser asks for unless set; none with credentials.
    #[schemars(with = "Option<Lines>")]
    pub(crate) headers: Option<Spanned<Lines>>,
    /// Headers of answers that scripts may read beside the simple ones.
    #[schemars(with = "Option<Lines>")]
    pub(crate) expose: Option<Spanned<Lines>>,
    /// Cookies and passwords may come along. false unless set; not possible with the origin `*`.
    #[schemars(with = "Option<bool>")]
    pub(crate) credentials: Option<Spanned<bool>>,
    /// Seconds a browser may remember the answer. 600 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) max_age: Option<Spanned<u32>>,
}

/// `[proxy.compression]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Compression {
    /// true unless set.
    pub(crate) on: Option<bool>,
    /// Smaller answers are left as they are. `"1k"` unless set.
    #[schemars(with = "Option<Size>")]
    pub(crate) min_size: Option<Spanned<Size>>,
}

/// `[proxy.cache]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Cache {
    /// true unless set.
    pub(crate) on: Option<bool>,
    /// Memory for all answers together. `"16m"` unless set, at most 256m.
    #[schemars(with = "Option<Size>")]
    pub(crate) max_size: Option<Spanned<Size>>,
    /// Larger answers are not kept. `"1m"` unless set.
    #[schemars(with = "Option<Size>")]
    pub(crate) max_entry_size: Option<Spanned<Size>>,
    /// Any number; what is kept is forgotten when it changes. `hop3 proxy purge` sets it to the time.
    pub(crate) purged: Option<u64>,
}
