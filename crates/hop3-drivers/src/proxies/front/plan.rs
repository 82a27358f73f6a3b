// SPDX-License-Identifier: Apache-2.0
//! `Plan`: a route table in the terms that every product has: hosts, paths, pools. What a product does not do as the
//! built-in proxy does is passed on to that one, which listens behind it; what cannot even be passed on is refused.
//!
//! Invariant: everything a service can ask for is named here, without `..`: what is added to the table does not
//! compile until somebody has decided what becomes of it. Every text in a plan is safe in any configuration file.

use super::name::{self, HostName};
use hop3_core::policy::{Policy, WafMode};
use hop3_core::problem::{Kind, Problem};
use hop3_core::route::{Address, Https, Pool, Route, RouteTable, Service, Target, Timeouts, Tls, Upstream};
use hop3_core::tcp::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a product can do beside routing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    /// Refuses bodies that are too large, whether or not they say how long they are.
    pub(crate) limits_bodies: bool,
    /// Its processes may open the Unix sockets of the control plane.
    pub(crate) opens_sockets: bool,
    /// Changes of its routes lose nobody's request.
    pub(crate) routes: bool,
}

/// Where issuers of certificates ask: always the built-in proxy, which passes on what it does not know.
pub(crate) const CHALLENGES: &str = "/.well-known/acme-challenge";

#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Hosts that are answered alike. A host that is in none is unknown, and passed on.
    pub(crate) sites: Vec<Site>,
    /// Services that are passed on, and why.
    pub(crate) passed_on: BTreeMap<String, BTreeSet<&'static str>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) hosts: Vec<HostName>,
    pub(crate) redirects: bool,
    /// Bytes.
    pub(crate) max_body: Option<u64>,
    /// The longest prefix first; one of the root is always there.
    pub(crate) ways: Vec<Way>,
}

#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Without a slash at its end, so that the root is empty.
    pub(crate) prefix: String,
    pub(crate) to: To,
}

#[derive(Clone, Debug)]
pub(crate) enum To {
    /// The built-in proxy.
    Behind,
    Pool {
        addresses: Vec<Address>,
        timeouts: Timeouts,
    },
}

impl Plan {
    /// # Errors
    /// What can be neither done nor passed on: the problem names the service and the feature.
    pub(crate) fn of(table: &RouteTable, able: Abilities, product: &str) -> Result<Plan, Problem> {
        let mut plan = Plan::default();
        // The last one that names a host has it.
        let mut owners: HashMap<HostName, usize> = HashMap::new();
        let mut mounts: HashMap<HostName, bool> = HashMap::new();
        for (index, service) in table.services.iter().enumerate() {
            let refused = |feature: &str| refused(product, &service.name, feature);
            for host in &service.hosts {
                owners.insert(HostName::of(host).ok_or_else(|| refused("a host of this spelling"))?, index);
            }
            for mount in &service.mounts {
                let host = HostName::of(&mount.host).ok_or_else(|| refused("a host of this spelling"))?;
                mounts.insert(host, redirects(&service.tls));
                plan.pass(&service.name, "a path of a domain");
            }
        }
        for (index, service) in table.services.iter().enumerate() {
            let mut site = plan.site(service, able, product)?;
            let own = service.hosts.iter().filter_map(HostName::of);
            for host in own.filter(|host| owners.get(host) == Some(&index)) {
                let is_mounted =
                    mounts.contains_key(&host) || host.wildcard().is_some_and(|w| mounts.contains_key(&w));
                if !is_mounted {
                    site.hosts.push(host);
                    continue;
                }
                mounts.remove(&host);
                plan.pass(&service.name, "its domain has paths of others");
                plan.sites.push(Site::behind(vec![host], site.redirects));
            }
            if !site.hosts.is_empty() {
                plan.sites.push(site);
            }
        }
        let mut rest: Vec<_> = mounts.into_iter().filter(|(host, _)| !owners.contains_key(host)).collect();
        rest.sort();
        plan.sites.extend(rest.into_iter().map(|(host, redirects)| Site::behind(vec![host], redirects)));
        Ok(plan)
    }

    /// Every host that is answered, for certificates.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.sites.iter().flat_map(|site| &site.hosts)
    }

    fn pass(&mut self, service: &str, why: &'static str) {
        self.passed_on.entry(service.to_owned()).or_default().insert(why);
    }

    /// The site of a service, without its hosts.
    fn site(&mut self, service: &Service, able: Abilities, product: &str) -> Result<Site, Problem> {
        let Service { name, hosts: _, routes, observe, mounts: _, canary, policy, pages: _, tls, tcp } =
            service;
        let Tls { https, client_ca, for_unnamed: _ } = tls;
        if client_ca.is_some() {
            return Err(refused(product, name, "certificates of its clients"));
        }
        // Ports of its own are opened by the built-in proxy, whoever has the others.
        if tcp.iter().any(|route| matches!(route.entry, Entry::Host(_))) {
            return Err(refused(product, name, "TLS that it ends itself"));
        }
        let mut whys = BTreeSet::new();
        if canary.is_some() {
            whys.insert("canary");
        }
        if *https == Https::Only {
            whys.insert("HTTPS only");
        }
        if observe.server_timing {
            whys.insert("Server-Timing");
        }
        let mut max_body = None;
        if let Some(policy) = policy {
            if !policy.trusted_proxies.is_empty() {
                return Err(refused(product, name, "trusted-proxies"));
            }
            whys.extend(features(policy, able));
            max_body = policy.max_body_size;
        }
        if whys.is_empty() && !able.routes {
            whys.insert("every request");
        }
        let is_whole = !whys.is_empty();
        let mut ways: Vec<Way> = Vec::new();
        for route in routes {
            let prefix = route.prefix.trim_end_matches('/');
            match way(route, able) {
                _ if is_whole => {}
                Ok(way) => ways.push(way),
                Err(why) => {
                    whys.extend(why);
                    let to = To::Behind;
                    ways.push(Way { prefix: prefix.to_owned(), to });
                }
            }
        }
        // A path that cannot be written is the built-in proxy's, and with it every other of the service.
        if ways.iter().any(|way| !name::is_plain_path(&way.prefix)) {
            whys.insert("a path of this spelling");
            ways.clear();
        }
        if !ways.iter().any(|way| way.prefix.is_empty()) {
            ways.push(Way { prefix: String::new(), to: To::Behind });
        }
        ways.sort_by_key(|way| std::cmp::Reverse(way.prefix.len()));
        whys.into_iter().for_each(|why| self.pass(name, why));
        let max_body = max_body.filter(|_| !is_whole);
        Ok(Site { hosts: Vec::new(), redirects: redirects(tls), max_body, ways })
    }
}

impl Site {
    fn behind(hosts: Vec<HostName>, redirects: bool) -> Site {
        let ways = vec![Way { prefix: String::new(), to: To::Behind }];
        Site { hosts, redirects, max_body: None, ways }
    }
}

fn redirects(tls: &Tls) -> bool {
    tls.https == Https::Redirect
}

fn refused(product: &str, service: &str, feature: &str) -> Problem {
    let title = format!("{product} cannot serve {service}: it asks for {feature}");
    Problem::new(Kind::Conflict, "proxy.cannot", title)
        .hint("the built-in proxy can; choose it with: hop3 proxy use built-in")
}

/// What becomes of a route, or why it is passed on; pages of the proxy's own need no reason.
fn way(route: &Route, able: Abilities) -> Result<Way, Option<&'static str>> {
    let Route { prefix, target } = route;
    let pool = match target {
        Target::Upstreams(_) if prefix.trim_end_matches('/') == CHALLENGES => return Err(None),
        Target::Page(_) => return Err(None),
        Target::Static(_) => return Err(Some("files")),
        Target::Upstreams(pool) => pool,
    };
    // The path that is asked for health is the built-in proxy's alone: products see failures as they come.
    let Pool { upstreams, timeouts, speaks, health_path: _, on_demand } = pool;
    if on_demand.is_some() {
        return Err(Some("sleep"));
    }
    if !speaks.is_http1() {
        return Err(Some("HTTP/2 to the app"));
    }
    if upstreams.is_empty() {
        return Err(None);
    }
    let addresses: Vec<Address> =
        upstreams.iter().map(|Upstream { id: _, address }| address.clone()).collect();
    let is_reached = |address: &Address| match address {
        Address::Tcp(_) => true,
        Address::Unix(path) => able.opens_sockets && path.to_str().is_some_and(name::is_plain_path),
    };
    if !addresses.iter().all(is_reached) {
        return Err(Some("a Unix socket"));
    }
    let prefix = prefix.trim_end_matches('/').to_owned();
    Ok(Way { prefix, to: To::Pool { addresses, timeouts: timeouts.clone() } })
}

/// What of a policy the built-in proxy must do.
fn features(policy: &Policy, able: Abilities) -> impl Iterator<Item = &'static str> {
    let Policy {
        canonical_host,
        trusted_proxies: _,
        // Both are said of TLS, too.
        https: _,
        client_ca: _,
        hsts,
        allow,
        deny,
        max_body_size,
        // Part of the pools.
        app_protocol: _,
        connect_timeout: _,
        response_timeout: _,
        idle_timeout: _,
        sticky,
        // Part of the files.
        asset_bridge: _,
        basic_auth,
        forward_auth,
        maintenance,
        pause,
        redirects,
        rewrites,
        request_headers,
        response_headers,
        rate_limits,
        cors,
        error_pages,
        compression,
        cache,
        waf,
        // Taken out of the policy by whoever made the service.
        canary: _,
        log: _,
    } = policy;
    let asked = [
        (canonical_host.is_some(), "canonical-host"),
        (hsts.is_some(), "hsts"),
        (!allow.is_empty(), "allow"),
        (!deny.is_empty(), "deny"),
        (max_body_size.is_some() && !able.limits_bodies, "max-body-size"),
        (*sticky, "sticky"),
        (basic_auth.is_some(), "basic-auth"),
        (forward_auth.is_some(), "forward-auth"),
        (maintenance.is_some(), "maintenance"),
        (pause.is_some(), "pause"),
        (!redirects.is_empty(), "redirects"),
        (!rewrites.is_empty(), "rewrites"),
        (!request_headers.is_none(), "request-headers"),
        (!response_headers.is_none(), "response-headers"),
        (!rate_limits.is_empty(), "rate-limits"),
        (cors.is_some(), "cors"),
        (!error_pages.is_empty(), "error-pages"),
        (compression.is_some(), "compression"),
        (cache.is_some(), "cache"),
        (waf.as_ref().is_some_and(|waf| waf.mode != WafMode::Off), "waf"),
    ];
    asked.into_iter().filter_map(|(is_asked, name)| is_asked.then_some(name))
}
