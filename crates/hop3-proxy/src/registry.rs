// SPDX-License-Identifier: Apache-2.0
//! `Registry`: the one place where the table changes. Builds the next version beside the current one, makes it
//! current with one pointer swap, and only then retires the upstreams nobody routes to any more.
//!
//! Invariant: an upstream in the current table is never retired; see `upstream` for what that gives a drain.

use crate::metric::Metrics;
use crate::policy::{Key, Live};
use crate::table::{LivePool, LiveRoute, LiveService, LiveTarget, Table};
use crate::tcp::LiveTcp;
use crate::upstream::Upstream;
use crate::wake::Sleeper;
use arc_swap::ArcSwap;
use hop3_core::driver::{ProxyStatus, Traffic};
use hop3_core::observe::RouteFigures;
use hop3_core::route::{Address, Pool, RouteTable, Service, Target};
use hop3_core::tcp::{Entry, Port};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(crate) struct Registry {
    current: ArcSwap<Table>,
    changes: AtomicU64,
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    services: HashMap<String, Arc<LiveService>>,
    /// Upstreams of the current table, and how many routes name each.
    upstreams: HashMap<(String, Address), (Arc<Upstream>, usize)>,
    /// Out of the table, with connections left.
    retired: Vec<Arc<Upstream>>,
    /// Services that were changed, to be told after the swap.
    changed: Vec<Arc<Sleeper>>,
    /// Policies that others have taken the place of in the next table.
    replaced: Vec<Arc<Live>>,
    key: Key,
}

/// An upstream was to be drained that requests are still routed to.
#[derive(Debug, thiserror::Error)]
#[error("upstream {0} is still in the table")]
pub(crate) struct StillRouted(pub(crate) String);

impl Registry {
    pub(crate) fn new(key: Key) -> Registry {
        Registry { writer: Mutex::new(Writer { key, ..Writer::default() }), ..Registry::default() }
    }

    /// The policy of the service that answers for a `Host` header and a path.
    pub(crate) fn policy(&self, host: &[u8], path: &str) -> Option<Arc<Live>> {
        self.table().service(host, path).and_then(|service| service.policy.clone())
    }

    /// The service of this name has the port.
    pub(crate) fn has_port(&self, name: &str, port: Port) -> bool {
        let table = self.table();
        table.tcp(&Entry::Port(port)).is_some_and(|(service, _)| service.source.name == name)
    }

    /// Those the table leads from.
    pub(crate) fn ports(&self) -> BTreeSet<Port> {
        self.table().ports().collect()
    }

    /// How often the table has changed; whoever reads the table after this number reads that one or a newer one.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Acquire)
    }

    pub(crate) fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.current.load()
    }

    pub(crate) fn replace(&self, table: RouteTable) {
        self.change(|writer, next| {
            let kept: HashSet<&str> = table.services.iter().map(|s| s.name.as_str()).collect();
            let gone: Vec<String> =
                writer.services.keys().filter(|name| !kept.contains(name.as_str())).cloned().collect();
            for name in gone {
                writer.remove(next, &name);
            }
            for service in table.services {
                writer.put(next, service);
            }
        });
    }

    pub(crate) fn put(&self, service: Service) {
        self.change(|writer, next| writer.put(next, service));
    }

    pub(crate) fn remove(&self, name: &str) {
        self.change(|writer, next| writer.remove(next, name));
    }

    fn change(&self, edit: impl FnOnce(&mut Writer, &mut Table)) {
        let mut writer = self.lock();
        let mut next = Table::clone(&self.current.load());
        edit(&mut writer, &mut next);
        self.current.store(Arc::new(next));
        self.changes.fetch_add(1, Release);
        writer.replaced.drain(..).for_each(|policy| policy.retire());
        writer.retire();
        writer.changed.drain(..).for_each(|sleeper| sleeper.changed());
    }

    /// The upstreams of these names that have left the table and may still be busy.
    pub(crate) fn leaving(&self, ids: &[String]) -> Result<Vec<Arc<Upstream>>, StillRouted> {
        let writer = self.lock();
        if let Some((id, _)) = writer.upstreams.keys().find(|(id, _)| ids.contains(id)) {
            return Err(StillRouted(id.clone()));
        }
        Ok(writer.retired.iter().filter(|upstream| ids.contains(&upstream.id)).cloned().collect())
    }

    /// What must be asked regularly, with the path to ask for.
    pub(crate) fn probed(&self) -> Vec<Arc<LivePool>> {
        let writer = self.lock();
        let routes = writer.services.values().flat_map(|service| &service.routes);
        let pools = routes.filter_map(|route| match &route.target {
            LiveTarget::Upstreams(pool) if pool.health_path.is_some() => Some(pool.clone()),
            _ => None,
        });
        pools.collect()
    }

    /// The service is there, just like this.
    pub(crate) fn has(&self, service: &Service) -> bool {
        let writer = self.lock();
        // Its hosts may have been taken over by another; putting it again takes them back.
        writer
            .services
            .get(&service.name)
            .is_some_and(|live| live.source == *service && self.table().owns(live))
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.lock().services.contains_key(name)
    }

    /// What to save, by name.
    pub(crate) fn services(&self) -> Vec<Arc<LiveService>> {
        let mut services: Vec<_> = self.lock().services.values().cloned().collect();
        services.sort_by(|a, b| a.source.name.cmp(&b.source.name));
        services
    }

    pub(crate) fn status(&self) -> ProxyStatus {
        let writer = self.lock();
        let metrics = writer.services.values().flat_map(|service| service.all_metrics());
        let (requests, in_flight) =
            metrics.fold((0, 0), |(begun, now), (_, m)| (begun + m.begun(), now + m.in_flight()));
        let upstreams = writer.upstreams.values().map(|(upstream, _)| upstream);
        let mut unhealthy: Vec<String> =
            upstreams.filter(|upstream| !upstream.is_healthy()).map(|upstream| upstream.id.clone()).collect();
        unhealthy.sort();
        let traffic = |service: &LiveService| Traffic {
            requests: service.wanted_metrics().map(Metrics::begun).sum(),
            in_flight: service.wanted_metrics().map(Metrics::in_flight).sum(),
        };
        let on_demand = writer.services.iter().filter(|(_, service)| service.is_on_demand());
        ProxyStatus {
            services: writer.services.len() as u64,
            requests,
            in_flight,
            unhealthy,
            on_demand: on_demand.map(|(name, service)| (name.clone(), traffic(service))).collect(),
            leaving: writer.retired.iter().filter(|u| u.in_flight() > 0).map(|u| u.id.clone()).collect(),
            closed_ports: Vec::new(),
        }
    }

    /// No change has come between.
    pub(crate) fn is_current(&self, service: &Arc<LiveService>) -> bool {
        self.lock().services.get(&service.source.name).is_some_and(|current| Arc::ptr_eq(current, service))
    }

    /// Upstreams that left the table a short time ago.
    pub(crate) fn retired(&self) -> Vec<String> {
        self.lock().retired.iter().map(|upstream| upstream.id.clone()).collect()
    }

    /// What each route has served, in the order of names and prefixes.
    pub(crate) fn figures(&self) -> Vec<RouteFigures> {
        let services = self.services();
        let routes = services.iter().flat_map(|service| {
            service.all_metrics().map(|(prefix, metrics)| metrics.figures(&service.source.name, prefix))
        });
        routes.filter(|figures| !figures.prefix.is_empty() || figures.requests > 0).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().expect("no code that holds this lock panics")
    }
}

impl Writer {
    fn put(&mut self, next: &mut Table, service: Service) {
        let old = self.services.get(&service.name).cloned();
        if old.as_ref().is_some_and(|old| old.source == service) {
            // Its hosts may have been taken over by a service that no longer has them.
            return old.iter().for_each(|old| next.insert(old));
        }
        let metrics = old.as_ref().map(|old| old.metrics.clone()).unwrap_or_default();
        let sleeper = old.as_ref().map(|old| old.sleeper.clone()).unwrap_or_default();
        let routes = self.routes(&service, old.as_deref());
        let tcp = self.tcp(&service, old.as_deref());
        let policy = Live::new(&service, old.as_ref().and_then(|old| old.policy.as_ref()), &self.key);
        let mutual = crate::tls::Mutual::default();
        let live = Arc::new(LiveService { routes, tcp, metrics, sleeper, policy, source: service, mutual });
        self.changed.push(live.sleeper.clone());
        // The new one first: an upstream that both name is never without a reference.
        if let Some(old) = old {
            next.remove(&old);
            self.release(&old);
        }
        next.insert(&live);
        self.services.insert(live.source.name.clone(), live);
    }

    fn remove(&mut self, next: &mut Table, name: &str) {
        if let Some(old) = self.services.remove(name) {
            next.remove(&old);
            self.release(&old);
            self.changed.push(old.sleeper.clone());
        }
    }

    /// Routes keep the figures of those they replace.
    fn routes(&mut self, service: &Service, old: Option<&LiveService>) -> Vec<LiveRoute> {
        let known = |prefix: &str| Some(old?.routes.iter().find(|r| r.prefix == prefix)?.metrics.clone());
        let mut routes: Vec<LiveRoute> = service
            .routes
            .iter()
            .map(|route| LiveRoute {
                prefix: route.prefix.trim_end_matches('/').to_owned(),
                metrics: known(route.prefix.trim_end_matches('/')).unwrap_or_default(),
                target: match &route.target {
                    Target::Static(files) => LiveTarget::Static(files.clone()),
                    Target::Page(page) => LiveTarget::Page(*page),
                    Target::Upstreams(pool) => LiveTarget::Upstreams(Arc::new(self.pool(pool))),
                },
            })
            .collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        routes
    }

    /// As above.
    fn tcp(&mut self, service: &Service, old: Option<&LiveService>) -> Vec<LiveTcp> {
        let known =
            |entry: &Entry| Some(old?.tcp.iter().find(|route| route.entry == *entry)?.metrics.clone());
        let routes = service.tcp.iter().map(|route| LiveTcp {
            label: route.entry.to_string(),
            metrics: known(&route.entry).unwrap_or_default(),
            pool: Arc::new(self.pool(&route.pool)),
            proxy_protocol: route.proxy_protocol,
            entry: route.entry.clone(),
        });
        routes.collect()
    }

    fn pool(&mut self, pool: &Pool) -> LivePool {
        let upstreams: Vec<_> = pool.upstreams.iter().map(|u| self.upstream(&u.id, &u.address)).collect();
        if pool.health_path.is_none() {
            // Nobody asks any more, so an old verdict would stand for ever.
            upstreams.iter().for_each(|upstream| upstream.probed(true));
        }
        LivePool {
            upstreams,
            timeouts: pool.timeouts.clone(),
            speaks: pool.speaks,
            health_path: pool.health_path.clone(),
            on_demand: pool.on_demand.clone(),
        }
    }

    /// The state of an upstream: the one it has, the one it had, or a new one.
    fn upstream(&mut self, id: &str, address: &Address) -> Arc<Upstream> {
        let retired = &mut self.retired;
        let entry = self.upstreams.entry((id.to_owned(), address.clone())).or_insert_with(|| {
            let known = retired.iter().position(|u| u.id == id && u.address == *address);
            let upstream = match known {
                Some(place) => retired.swap_remove(place),
                None => Arc::new(Upstream::new(id.to_owned(), address.clone())),
            };
            upstream.revive();
            (upstream, 0)
        });
        entry.1 += 1;
        entry.0.clone()
    }

    /// Takes back the references a service's routes hold.
    fn release(&mut self, service: &LiveService) {
        self.replaced.extend(service.policy.clone());
        for upstream in service.pools().flat_map(|pool| &pool.upstreams) {
            let key = (upstream.id.clone(), upstream.address.clone());
            if let Some(entry) = self.upstreams.get_mut(&key) {
                entry.1 -= 1;
                if entry.1 == 0 {
                    self.upstreams.remove(&key);
                    self.retired.push(upstream.clone());
                }
            }
        }
    }

    /// After the swap: those released are told, and those long unused forgotten.
    fn retire(&mut self) {
        self.retired.retain(|upstream| !(upstream.is_retired() && upstream.is_unused()));
        for upstream in &self.retired {
            upstream.retire();
        }
    }
}
