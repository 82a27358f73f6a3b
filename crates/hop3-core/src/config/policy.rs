// SPDX-License-Identifier: Apache-2.0
//! From `[proxy]` as written to a `Policy`: networks, paths, headers and sizes checked, defaults filled in.

use super::path;
use super::raw::{
    BasicAuth, Compression, Cors, ForwardAuth, Headers, Lines, Maintenance, Proxy, RateLimit, Size, Text,
};
use super::raw::{Cache, Canary, Hsts, Log, Pause, Redirect, Rewrite, Waf};
use super::resolve::Place;
use crate::observe::Observe;
use crate::policy::{self, HeaderChange, PathPattern, Per, Policy, RateKey, is_token};
use crate::problem::{Kind, Problem};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use toml::Spanned;

/// Entries of one list, such as redirects. More would cost every request.
const MAX_ENTRIES: usize = 1000;
/// A rate limit holds a table of its own.
const MAX_RATE_LIMITS: usize = 16;
/// Each list of them is a set of rules in memory.
const MAX_RULES_LEFT_OUT: usize = 100;
const MAX_CACHE: u64 = 256 << 20;

pub(super) fn resolve(raw: Proxy, place: &Place<'_>) -> Result<Policy, Problem> {
    let list = |lines: Option<Spanned<Lines>>| place.list(lines);
    let seconds = |value: Option<Spanned<u32>>| value.map(|v| place.seconds(&v)).transpose();
    Ok(Policy {
        canonical_host: raw.canonical_host.map(|host| place.parse(&host)).transpose()?,
        trusted_proxies: list(raw.trusted_proxies)?,
        https: raw.https.map(|mode| place.parse(&mode)).transpose()?.unwrap_or_default(),
        client_ca: raw.client_ca.map(|file| place.checked(&file, path::directory)).transpose()?,
        hsts: raw.hsts.map(|hsts| self::hsts(hsts, place)).transpose()?,
        allow: list(raw.allow)?,
        deny: list(raw.deny)?,
        max_body_size: raw.max_body_size.map(|size| size.get_ref().0),
        app_protocol: raw.app_protocol.map(|name| place.parse(&name)).transpose()?.unwrap_or_default(),
        connect_timeout: seconds(raw.connect_timeout)?,
        response_timeout: seconds(raw.response_timeout)?,
        idle_timeout: seconds(raw.idle_timeout)?,
        sticky: raw.sticky.unwrap_or(false),
        asset_bridge: raw.asset_bridge.unwrap_or(false),
        basic_auth: raw.basic_auth.map(|auth| basic_auth(auth, place)).transpose()?,
        forward_auth: raw.forward_auth.map(|auth| forward_auth(auth, place)).transpose()?,
        waf: raw.waf.map(|filter| waf(filter, place)).transpose()?,
        maintenance: raw.maintenance.map(|page| maintenance(page, place)).transpose()?,
        pause: raw.pause.map(|pause| self::pause(pause, place)).transpose()?,
        redirects: place.each(raw.redirects, redirect)?,
        rewrites: place.each(raw.rewrites, rewrite)?,
        request_headers: headers(raw.request_headers, REQUEST_ONLY, place)?,
        response_headers: headers(raw.response_headers, RESPONSE_ONLY, place)?,
        rate_limits: rate_limits(raw.rate_limits, place)?,
        cors: raw.cors.map(|c| cors(c, place)).transpose()?,
        error_pages: error_pages(raw.error_pages, place)?,
        compression: raw.compression.map(compression),
        cache: raw.cache.map(|c| cache(c, place)).transpose()?,
        canary: raw.canary.map(|c| canary(c, place)).transpose()?,
        log: raw.log.map_or_else(Observe::default, log),
    })
}

fn hsts(raw: Hsts, place: &Place<'_>) -> Result<policy::Hsts, Problem> {
    let max_age = raw.max_age.unwrap_or(policy::Hsts::PRELOAD_AGE);
    let include_subdomains = raw.include_subdomains.unwrap_or(false);
    let preload = raw.preload.as_ref().is_some_and(|value| *value.get_ref());
    let is_fit = include_subdomains && max_age >= policy::Hsts::PRELOAD_AGE;
    if let Some(given) = raw.preload.filter(|_| preload && !is_fit) {
        let problem = Problem::new(Kind::Config, "config.bad-value", "browser makers do not take this name")
            .hint("preload needs include-subdomains = true, and a max-age of 31536000 (a year) or more");
        return Err(place.mark(given.span(), problem));
    }
    Ok(policy::Hsts { on: raw.on.unwrap_or(true), max_age, include_subdomains, preload })
}

fn log(raw: Log) -> Observe {
    let usual = Observe::default();
    Observe {
        log_every: raw.every.unwrap_or(usual.log_every),
        log_query: raw.query.unwrap_or(usual.log_query),
        server_timing: raw.server_timing.unwrap_or(usual.server_timing),
    }
}

impl Place<'_> {
    /// Each of the words, as what they mean; a problem points at the list.
    fn list<T: FromStr<Err = Problem>>(&self, lines: Option<Spanned<Lines>>) -> Result<Vec<T>, Problem> {
        let Some(lines) = lines else { return Ok(Vec::new()) };
        let range = lines.span();
        if lines.get_ref().0.len() > MAX_ENTRIES {
            return Err(self.mark(range, too_many(MAX_ENTRIES)));
        }
        let parse =
            |word: &String| word.parse().map_err(|p: Problem| self.mark(range.clone(), about(word, p)));
        lines.get_ref().0.iter().map(parse).collect()
    }

    /// Words that `check` accepts.
    fn words(
        &self,
        lines: Option<Spanned<Lines>>,
        check: fn(&str) -> Result<(), Problem>,
    ) -> Result<Vec<String>, Problem> {
        let Some(lines) = lines else { return Ok(Vec::new()) };
        for word in &lines.get_ref().0 {
            check(word).map_err(|p| self.mark(lines.span(), about(word, p)))?;
        }
        Ok(lines.into_inner().0)
    }

    fn each<R, T>(
        &self,
        list: Vec<R>,
        resolve: fn(R, &Place<'_>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        if list.len() > MAX_ENTRIES {
            return Err(too_many(MAX_ENTRIES));
        }
        list.into_iter().map(|entry| resolve(entry, self)).collect()
    }

    fn refuse<T>(&self, range: std::ops::Range<usize>, title: &str) -> Result<T, Problem> {
        Err(self.mark(range, Problem::new(Kind::Config, "config.bad-value", title)))
    }
}

/// Says which of several words is meant.
fn about(word: &str, problem: Problem) -> Problem {
    let shown: String = word.chars().filter(|c| !c.is_control()).take(60).collect();
    let detail = if problem.detail.is_empty() { String::new() } else { format!("; {}", problem.detail) };
    problem.detail(format!("it is about \"{shown}\"{detail}"))
}

fn too_many(limit: usize) -> Problem {
    Problem::new(Kind::Config, "config.bad-value", format!("this list has more than {limit} entries"))
}

fn basic_auth(raw: BasicAuth, place: &Place<'_>) -> Result<policy::BasicAuth, Problem> {
    let mut users = BTreeMap::new();
    for (name, hash) in &raw.users {
        let is_name = (1..=64).contains(&name.get_ref().len())
            && name.get_ref().chars().all(|c| !c.is_control() && c != ':');
        if !is_name {
            return place.refuse(name.span(), "a user's name has 1 to 64 characters and no colon");
        }
        users.insert(name.get_ref().clone(), place.parse(hash)?);
    }
    let realm = match &raw.realm {
        Some(realm) => place.checked(realm, quotable)?,
        None => "Restricted".to_owned(),
    };
    Ok(policy::BasicAuth { on: raw.on.unwrap_or(true), realm, users, except: place.list(raw.except)? })
}

/// Text that stands between quotes in a header.
fn quotable(text: &str) -> Result<String, Problem> {
    let allowed = |b: u8| matches!(b, b' '..=b'~') && !b"\"\\".contains(&b);
    match text.len() <= 128 && text.bytes().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err(Problem::new(Kind::Config, "config.bad-header", "this text cannot stand in a header")
            .hint("use letters, digits and spaces, no quotes")),
    }
}

fn forward_auth(raw: ForwardAuth, place: &Place<'_>) -> Result<policy::ForwardAuth, Problem> {
    let url = place.checked(&raw.url, authority_url)?;
    let copy = place.words(raw.copy, |name| header_name(name, REQUEST_ONLY))?;
    Ok(policy::ForwardAuth { on: raw.on.unwrap_or(true), url, copy, except: place.list(raw.except)? })
}

/// `http://ADDRESS:PORT/path`: what is asked is a service of the installation, by address.
fn authority_url(text: &str) -> Result<String, Problem> {
    let rest = text.strip_prefix("http://");
    let is_good = rest.is_some_and(|rest| {
        let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        address.parse::<SocketAddr>().is_ok_and(|address| is_near(address.ip()))
            && (path.is_empty() || path::url_path(path).is_ok())
    });
    match is_good {
        true => Ok(text.to_owned()),
        false => Err(Problem::new(
            Kind::Config,
            "config.bad-address",
            "the service that decides cannot be asked there",
        )
        .hint("write address and port, on this machine or a private network: http://127.0.0.1:9091/verify")),
    }
}

/// This machine, or a network of one's own. What a cloud tells its machines at a link-local address is nobody's business.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

fn waf(raw: Waf, place: &Place<'_>) -> Result<policy::Waf, Problem> {
    let paranoia = raw.paranoia.as_ref().map_or(1, |level| *level.get_ref());
    if let Some(level) = raw.paranoia.filter(|_| !(1..=4).contains(&paranoia)) {
        return place.refuse(level.span(), "the paranoia of the request filter is 1, 2, 3 or 4");
    }
    let mut without = match raw.without {
        Some(rules) if rules.get_ref().len() > MAX_RULES_LEFT_OUT => {
            return place.refuse(rules.span(), "at most 100 rules are left out; use except for paths");
        }
        rules => rules.map(Spanned::into_inner).unwrap_or_default(),
    };
    // The same set of rules, whatever the order it is written in.
    without.sort_unstable();
    without.dedup();
    Ok(policy::Waf {
        mode: raw.mode.map(|mode| place.parse(&mode)).transpose()?.unwrap_or(policy::WafMode::Off),
        paranoia,
        except: place.list(raw.except)?,
        without,
    })
}

fn canary(raw: Canary, place: &Place<'_>) -> Result<policy::Canary, Problem> {
    let percent = raw.percent.as_ref().map_or(0, |percent| *percent.get_ref());
    if let Some(given) = raw.percent.filter(|_| percent > 100) {
        return place.refuse(given.span(), "a share of the visitors is 0 to 100 of a hundred");
    }
    let name = |name: Option<Text>| {
        name.map(|name| place.checked(&name, |text| token(text).map(|()| text.to_owned()))).transpose()
    };
    Ok(policy::Canary {
        app: place.parse(&raw.app)?,
        percent,
        header: name(raw.header)?,
        cookie: name(raw.cookie)?,
    })
}

fn maintenance(raw: Maintenance, place: &Place<'_>) -> Result<policy::Maintenance, Problem> {
    if let Some(text) = raw.text.as_ref().filter(|text| text.get_ref().len() > 16 << 10) {
        return place.refuse(text.span(), "the text has more than 16384 bytes; use a page");
    }
    Ok(policy::Maintenance {
        on: raw.on.unwrap_or(false),
        page: raw.page.map(|page| place.checked(&page, path::directory)).transpose()?,
        text: raw.text.map(Spanned::into_inner),
        retry_after: raw.retry_after.map(|v| place.seconds(&v)).transpose()?.unwrap_or(300),
        allow: place.list(raw.allow)?,
    })
}

fn pause(raw: Pause, place: &Place<'_>) -> Result<policy::Pause, Problem> {
    let max_wait = raw.max_wait.map(|v| place.seconds(&v)).transpose()?.unwrap_or(30);
    Ok(policy::Pause { on: raw.on.unwrap_or(false), max_wait })
}

fn redirect(raw: Redirect, place: &Place<'_>) -> Result<policy::Redirect, Problem> {
    let status = raw.status.as_ref().map_or(308, |status| *status.get_ref());
    if let Some(given) = raw.status.filter(|_| !matches!(status, 301 | 302 | 303 | 307 | 308)) {
        return place.refuse(given.span(), "the status of a redirect is 301, 302, 303, 307 or 308");
    }
    Ok(policy::Redirect {
        from: place.parse(&raw.from)?,
        to: place.parse(&raw.to)?,
        status,
        keep_query: raw.keep_query.unwrap_or(true),
    })
}

fn rewrite(raw: Rewrite, place: &Place<'_>) -> Result<policy::Rewrite, Problem> {
    Ok(policy::Rewrite { from: place.parse(&raw.from)?, to: place.parse(&raw.to)? })
}

/// Headers about the framing of a message or the way it came: the proxy's own.
const OWN: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const REQUEST_ONLY: &[&str] = &["expect", "forwarded", "proxy", "x-real-ip", "x-request-id"];
/// `Set-Cookie` may stand many times; setting it would take the app's own away.
const RESPONSE_ONLY: &[&str] = &["content-encoding", "set-cookie"];

fn header_name(name: &str, also: &[&str]) -> Result<(), Problem> {
    let lower = name.to_ascii_lowercase();
    let bad = |why: &str| Err(Problem::new(Kind::Config, "config.bad-header", format!("this header {why}")));
    if !is_token(name) || name.contains('_') {
        return bad("has a name that cannot be sent");
    }
    let is_own = OWN.iter().chain(also).any(|own| *own == lower) || lower.starts_with("x-forwarded-");
    if is_own { bad("is the proxy's own and cannot be changed") } else { Ok(()) }
}

fn header_value(value: &str) -> Result<String, Problem> {
    let allowed = |b: u8| matches!(b, b'\t' | b' '..=b'~' | 0x80..);
    match value.len() <= 4096 && value.bytes().all(allowed) && value.trim() == value {
        true => Ok(value.to_owned()),
        false => Err(Problem::new(Kind::Config, "config.bad-header", "this value cannot stand in a header")
            .detail(
                "it has a line end or another control character, blanks around it, or more than 4096 bytes",
            )),
    }
}

fn headers(raw: Headers, also: &[&str], place: &Place<'_>) -> Result<HeaderChange, Problem> {
    let mut change = HeaderChange::default();
    for (name, value) in &raw.set {
        header_name(name.get_ref(), also).map_err(|p| place.mark(name.span(), p))?;
        change.set.insert(name.get_ref().clone(), place.checked(value, header_value)?);
    }
    if let Some(remove) = raw.remove {
        for name in &remove.get_ref().0 {
            let is_fine = name.eq_ignore_ascii_case("set-cookie");
            let checked = if is_fine { Ok(()) } else { header_name(name, also) };
            checked.map_err(|p| place.mark(remove.span(), about(name, p)))?;
        }
        change.remove = remove.into_inner().0;
    }
    Ok(change)
}

fn rate_limits(raw: Vec<RateLimit>, place: &Place<'_>) -> Result<Vec<policy::RateLimit>, Problem> {
    if raw.len() > MAX_RATE_LIMITS {
        return Err(too_many(MAX_RATE_LIMITS));
    }
    place.each(raw, |raw, place| {
        let count = |value: &Spanned<u32>| match *value.get_ref() {
            count @ 1..=1_000_000 => Ok(count),
            _ => place.refuse(value.span(), "a number of requests is 1 to 1000000"),
        };
        let requests = count(&raw.requests)?;
        Ok(policy::RateLimit {
            path: raw.path.map_or(Ok(PathPattern::all()), |path| place.parse(&path))?,
            by: raw.by.map_or(Ok(RateKey::Ip), |by| place.parse(&by))?,
            requests,
            per: raw.per.map_or(Ok(Per::Minute), |per| place.checked(&per, period))?,
            burst: raw.burst.map_or(Ok(requests), |burst| count(&burst))?,
        })
    })
}

fn period(text: &str) -> Result<Per, Problem> {
    match text {
        "second" => Ok(Per::Second),
        "minute" => Ok(Per::Minute),
        "hour" => Ok(Per::Hour),
        "day" => Ok(Per::Day),
        _ => Err(Problem::new(Kind::Config, "config.bad-value", "a value cannot be used")
            .detail("one of these is wanted: second, minute, hour, day")),
    }
}

fn cors(raw: Cors, place: &Place<'_>) -> Result<policy::Cors, Problem> {
    let origins = place.words(raw.origins, origin)?;
    let credentials = raw.credentials.as_ref().is_some_and(|value| *value.get_ref());
    if let Some(given) = raw.credentials.filter(|_| credentials && origins.iter().any(|o| o == "*")) {
        return place
            .refuse(given.span(), "every site with the visitor's own rights is no policy; name the origins");
    }
    let mut methods = place.words(raw.methods, token)?;
    if methods.is_empty() {
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].map(str::to_owned).to_vec();
    }
    Ok(policy::Cors {
        on: raw.on.unwrap_or(true),
        origins,
        methods,
        headers: place.words(raw.headers, token)?,
        expose: place.words(raw.expose, token)?,
        credentials,
        max_age: raw.max_age.map(|v| place.seconds(&v)).transpose()?.unwrap_or(600),
    })
}

fn token(text: &str) -> Result<(), Problem> {
    match is_token(text) {
        true => Ok(()),
        false => {
            Err(Problem::new(Kind::Config, "config.bad-header", "this is no name of a header or method"))
        }
    }
}

/// A scheme, a host of which the first label may be `*`, a port.
fn origin(text: &str) -> Result<(), Problem> {
    let host = text.strip_prefix("https://").or(text.strip_prefix("http://"));
    let is_good = text == "*"
        || host.is_some_and(|host| {
            let host = host.strip_prefix("*.").unwrap_or(host);
            let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
            (1..=253).contains(&name.len())
                && name.bytes().all(allowed)
                && !name.starts_with('.')
                && port.is_none_or(|port| port.parse::<u16>().is_ok() && !port.starts_with(['+', '0']))
        });
    match is_good {
        true => Ok(()),
        false => Err(Problem::new(Kind::Config, "config.bad-origin", "this is no origin a browser sends")
            .hint("write scheme and host in lower case, without a path: https://example.org or https://*.example.org")),
    }
}

fn error_pages(raw: BTreeMap<Text, Text>, place: &Place<'_>) -> Result<BTreeMap<String, String>, Problem> {
    let mut pages = BTreeMap::new();
    for (status, file) in &raw {
        let text = status.get_ref().as_str();
        let is_status =
            text.parse::<u16>().is_ok_and(|status| (400..600).contains(&status) && text.len() == 3);
        if !is_status && !matches!(text, "4xx" | "5xx") {
            return place
                .refuse(status.span(), "an error page is for a status from 400 to 599, for 4xx or for 5xx");
        }
        pages.insert(text.to_owned(), place.checked(file, path::directory)?);
    }
    Ok(pages)
}

fn compression(raw: Compression) -> policy::Compression {
    policy::Compression {
        on: raw.on.unwrap_or(true),
        min_size: raw.min_size.map_or(1 << 10, |size| size.get_ref().0),
    }
}

fn cache(raw: Cache, place: &Place<'_>) -> Result<policy::Cache, Problem> {
    let size = |value: Option<Spanned<Size>>, default: u64| match value {
        None => Ok(default),
        Some(value) if (1..=MAX_CACHE).contains(&value.get_ref().0) => Ok(value.get_ref().0),
        Some(value) => place.refuse(value.span(), "a cache has at most 256m"),
    };
    Ok(policy::Cache {
        on: raw.on.unwrap_or(true),
        max_size: size(raw.max_size, 16 << 20)?,
        max_entry_size: size(raw.max_entry_size, 1 << 20)?,
        purged: raw.purged.unwrap_or(0),
    })
}
