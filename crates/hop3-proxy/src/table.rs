// SPDX-License-Identifier: Apache-2.0
//! `Table`: the route table as requests use it. One immutable version answers each look-up.
//!
//! Hosts lie in shards that are shared between versions, so changing one service among 10,000 hosts copies a list of
//! pointers and the one shard that holds its host, and parses nothing anew.

use crate::metric::Metrics;
use crate::policy::Live;
use crate::tcp::{LiveTcp, Routes};
use crate::upstream::Upstream;
use crate::wake::Sleeper;
use hop3_core::route::{OnDemand, Page, Service, Speaks, StaticFiles, Timeouts};
use hop3_core::tcp::{Entry, Port};
use std::collections::HashMap;
use std::sync::Arc;

const SHARDS: usize = 256;

type Shard = HashMap<Box<str>, Arc<LiveService>>;

#[derive(Clone)]
pub(crate) struct Table {
    shards: Box<[Arc<Shard>]>,
    /// By host, the longest path first. Few have any.
    mounts: Arc<HashMap<String, Vec<Mounted>>>,
    /// Answers TLS clients that name no host.
    unnamed: Option<Arc<LiveService>>,
    /// What is no HTTP to us. Few have any.
    tcp: Arc<Routes>,
}

/// A path of a host that goes to a service of its own.
#[derive(Clone)]
struct Mounted {
    prefix: String,
    service: Arc<LiveService>,
}

/// A service with its upstreams' state and its figures.
pub(crate) struct LiveService {
    /// As it was put, to be saved and compared.
    pub(crate) source: Service,
    /// Made at the first handshake when clients must show certificates.
    pub(crate) mutual: crate::tls::Mutual,
    /// The longest prefix first.
    pub(crate) routes: Vec<LiveRoute>,
    pub(crate) tcp: Vec<LiveTcp>,
    /// Of requests that no route answers for. Kept over changes of the service, as are the routes'.
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sleeper: Arc<Sleeper>,
    pub(crate) policy: Option<Arc<Live>>,
}

pub(crate) struct LiveRoute {
    /// Without a trailing slash, so that the root is empty.
    pub(crate) prefix: String,
    pub(crate) target: LiveTarget,
    pub(crate) metrics: Arc<Metrics>,
}

pub(crate) enum LiveTarget {
    Upstreams(Arc<LivePool>),
    Static(StaticFiles),
    Page(Page),
}

pub(crate) struct LivePool {
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) timeouts: Timeouts,
    pub(crate) speaks: Speaks,
    pub(crate) health_path: Option<String>,
    pub(crate) on_demand: Option<OnDemand>,
}

impl Default for Table {
    fn default() -> Table {
        let shards = (0..SHARDS).map(|_| Arc::default()).collect();
        Table { shards, mounts: Arc::default(), unnamed: None, tcp: Arc::default() }
    }
}

impl Table {
    /// Finds who answers for a `Host` header and a path: a path of its own first, then the exact name, then `*.` in
    /// place of its first label.
    pub(crate) fn service(&self, host: &[u8], path: &str) -> Option<&Arc<LiveService>> {
        let mut buffer = [0_u8; 255];
        let host = normal_host(host, &mut buffer)?;
        if !self.mounts.is_empty() {
            let path = without_query(path);
            let wild = host.find('.').map_or("", |dot| &host[dot..]);
            let mounted = [host, wild].into_iter().filter_map(|host| self.mounts.get(host)).flatten();
            let found = mounted.into_iter().find(|mounted| covers(&mounted.prefix, path));
            if let Some(mounted) = found {
                return Some(&mounted.service);
            }
        }
        self.get(host).or_else(|| self.get(&host[host.find('.')?..]))
    }

    /// Whose host it is: who answers for it beside paths that have gone elsewhere, or else who has one of those.
    pub(crate) fn owner(&self, host: &str) -> Option<&Arc<LiveService>> {
        let mut buffer = [0_u8; 255];
        let host = normal_host(host.as_bytes(), &mut buffer)?;
        let wild = || &host[host.find('.').unwrap_or(host.len())..];
        let whole = self.get(host).or_else(|| self.get(wild()));
        let mounted = |host: &str| self.mounts.get(host)?.first().map(|mounted| &mounted.service);
        whole.or_else(|| mounted(host)).or_else(|| mounted(wild()))
    }

    /// Who answers TLS clients that name no host.
    pub(crate) fn unnamed(&self) -> Option<&Arc<LiveService>> {
        self.unnamed.as_ref()
    }

    /// The host's own route for TLS that is not ended here: an exact name before a wildcard, whatever they lead to.
    pub(crate) fn passthrough(&self, host: &str) -> Option<Entry> {
        if self.tcp.is_empty() {
            return None;
        }
        let wild = || &host[host.find('.').unwrap_or(host.len())..];
        let found = match self.tcp.by_key(host) {
            None if self.get(host).is_some() || self.mounts.contains_key(host) => None,
            None => self.tcp.by_key(wild()).map(|service| (service, wild())),
            Some(service) => Some((service, host)),
        };
        let (service, key) = found?;
        let is_it = |entry: &&Entry| matches!(entry, Entry::Host(name) if key_of(name.as_str()) == key);
        service.tcp.iter().map(|route| &route.entry).find(is_it).cloned()
    }

    /// Where connections of an entry go.
    pub(crate) fn tcp(&self, entry: &Entry) -> Option<(&Arc<LiveService>, &LiveTcp)> {
        let service = self.tcp.owner(entry)?;
        Some((service, service.tcp.iter().find(|route| route.entry == *entry)?))
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = Port> {
        self.tcp.ports()
    }

    /// Somebody answers for a wildcard, written `*.` and a name.
    pub(crate) fn serves_beneath(&self, wildcard: &str) -> bool {
        wildcard.starts_with("*.") && self.get(&wildcard[1..]).is_some()
    }

    fn get(&self, key: &str) -> Option<&Arc<LiveService>> {
        self.shards[shard_of(key)].get(key)
    }

    /// All hosts and entries of the service lead to it.
    pub(crate) fn owns(&self, service: &Arc<LiveService>) -> bool {
        let is_it = |owner: Option<&Arc<LiveService>>| owner.is_some_and(|owner| Arc::ptr_eq(owner, service));
        if !service.tcp.iter().all(|route| is_it(self.tcp.owner(&route.entry))) {
            return false;
        }
        let mut keys = service.source.hosts.iter().map(|host| key_of(&host.0));
        keys.all(|key| is_it(self.get(&key)))
    }

    pub(crate) fn insert(&mut self, service: &Arc<LiveService>) {
        if service.source.tls.for_unnamed {
            self.unnamed = Some(service.clone());
        }
        if !service.tcp.is_empty() {
            Arc::make_mut(&mut self.tcp).insert(service);
        }
        for host in &service.source.hosts {
            let key = key_of(&host.0);
            Arc::make_mut(&mut self.shards[shard_of(&key)]).insert(key.into_boxed_str(), service.clone());
        }
        for mount in &service.source.mounts {
            let prefix = mount.prefix.trim_end_matches('/').to_owned();
            let of_host = Arc::make_mut(&mut self.mounts).entry(key_of(&mount.host.0)).or_default();
            of_host.retain(|mounted| mounted.prefix != prefix);
            of_host.push(Mounted { prefix, service: service.clone() });
            of_host.sort_by_key(|mounted| std::cmp::Reverse(mounted.prefix.len()));
        }
    }

    /// Takes a service's hosts away, except those that another service has taken over.
    pub(crate) fn remove(&mut self, service: &Arc<LiveService>) {
        self.unnamed = self.unnamed.take().filter(|unnamed| !Arc::ptr_eq(unnamed, service));
        for host in &service.source.hosts {
            let key = key_of(&host.0);
            if self.get(&key).is_some_and(|owner| Arc::ptr_eq(owner, service)) {
                Arc::make_mut(&mut self.shards[shard_of(&key)]).remove(key.as_str());
            }
        }
        if !service.tcp.is_empty() {
            Arc::make_mut(&mut self.tcp).remove(service);
        }
        if !service.source.mounts.is_empty() {
            let mounts = Arc::make_mut(&mut self.mounts);
            mounts.values_mut().for_each(|of| of.retain(|mounted| !Arc::ptr_eq(&mounted.service, service)));
            mounts.retain(|_, of_host| !of_host.is_empty());
        }
    }
}

impl LiveService {
    /// The figures of its routes with their prefixes, and those of no route under an empty one.
    pub(crate) fn all_metrics(&self) -> impl Iterator<Item = (&str, &Metrics)> {
        let routes = self.routes.iter().map(|route| match route.prefix.as_str() {
            "" => ("/", &*route.metrics),
            prefix => (prefix, &*route.metrics),
        });
        let tcp = self.tcp.iter().map(|route| (route.label.as_str(), &*route.metrics));
        routes.chain(tcp).chain([("", &*self.metrics)])
    }

    /// The figures of those that ask for what may sleep: processes beside it do not count.
    pub(crate) fn wanted_metrics(&self) -> impl Iterator<Item = &Metrics> {
        let routes = self.routes.iter().map(|route| &*route.metrics);
        let tcp = self.tcp.iter().filter(|route| route.pool.on_demand.is_some());
        routes.chain(tcp.map(|route| &*route.metrics)).chain([&*self.metrics])
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = &Arc<LivePool>> {
        let routes = self.routes.iter().filter_map(|route| match &route.target {
            LiveTarget::Upstreams(pool) => Some(pool),
            _ => None,
        });
        routes.chain(self.tcp.iter().map(|route| &route.pool))
    }

    pub(crate) fn is_on_demand(&self) -> bool {
        self.pools().any(|pool| pool.on_demand.is_some())
    }

    /// The route whose prefix covers the path on a segment boundary; the longest.
    pub(crate) fn route(&self, path: &str) -> Option<&LiveRoute> {
        let path = without_query(path);
        self.routes.iter().find(|route| covers(&route.prefix, path))
    }
}

impl LivePool {
    pub(crate) fn pick(&self, turn: usize) -> Option<&Arc<Upstream>> {
        least_busy(&self.upstreams, turn)
    }
}

/// The least busy of the healthy upstreams, or of all when none is; among equals, each in its turn.
pub(crate) fn least_busy(upstreams: &[Arc<Upstream>], turn: usize) -> Option<&Arc<Upstream>> {
    let count = upstreams.len();
    let in_turn = || (0..count).map(|i| &upstreams[(turn.wrapping_add(i)) % count]);
    let healthy = in_turn().filter(|upstream| upstream.is_healthy()).min_by_key(|u| u.in_flight());
    healthy.or_else(|| in_turn().min_by_key(|upstream| upstream.in_flight()))
}

fn without_query(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}

/// On a segment boundary.
fn covers(prefix: &str, path: &str) -> bool {
    let is_whole = |rest: &str| rest.is_empty() || rest.starts_with('/');
    prefix.is_empty() || path.strip_prefix(prefix).is_some_and(is_whole)
}

/// The key of a host as a service names it. A wildcard's is its part from the dot on, which no host name equals.
pub(crate) fn key_of(host: &str) -> String {
    host.strip_prefix('*').unwrap_or(host).trim_end_matches('.').to_ascii_lowercase()
}

/// Lower case, without port and trailing dot.
pub(crate) fn normal_host<'a>(host: &[u8], buffer: &'a mut [u8; 255]) -> Option<&'a str> {
    let name = match host.iter().rposition(|b| *b == b':') {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    };
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.is_empty() || name.len() > buffer.len() || name[0] == b'.' {
        return None;
    }
    let buffer = &mut buffer[..name.len()];
    buffer.copy_from_slice(name);
    buffer.make_ascii_lowercase();
    std::str::from_utf8(buffer).ok()
}

/// FNV-1a: whoever made all names fall into one shard would have slower changes, and no slower look-ups.
fn shard_of(key: &str) -> usize {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    key.bytes().fold(0xcbf2_9ce4_8422_2325, step) as usize % SHARDS
}
