// SPDX-License-Identifier: Apache-2.0
//! `Routes`: where connections of each port and of each host of TLS go; a part of the table.

use crate::metric::Metrics;
use crate::table::{LivePool, LiveService, key_of};
use hop3_core::tcp::{Entry, Port};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One route with its upstreams' state and its figures.
pub(crate) struct LiveTcp {
    pub(crate) entry: Entry,
    /// As figures and the log name it.
    pub(crate) label: String,
    pub(crate) pool: Arc<LivePool>,
    pub(crate) proxy_protocol: bool,
    pub(crate) metrics: Arc<Metrics>,
}

#[derive(Clone, Default)]
pub(crate) struct Routes {
    /// As the table's hosts: a wildcard's key is its part from the dot on.
    hosts: HashMap<String, Arc<LiveService>>,
    ports: BTreeMap<Port, Arc<LiveService>>,
}

impl Routes {
    pub(crate) fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.ports.is_empty()
    }

    /// Whose connections these are.
    pub(crate) fn owner(&self, entry: &Entry) -> Option<&Arc<LiveService>> {
        match entry {
            Entry::Host(host) => self.by_key(&key_of(host.as_str())),
            Entry::Port(port) => self.ports.get(port),
        }
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<&Arc<LiveService>> {
        self.hosts.get(key)
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = Port> {
        self.ports.keys().copied()
    }

    pub(crate) fn insert(&mut self, service: &Arc<LiveService>) {
        for route in &service.tcp {
            match &route.entry {
                Entry::Host(host) => drop(self.hosts.insert(key_of(host.as_str()), service.clone())),
                Entry::Port(port) => drop(self.ports.insert(*port, service.clone())),
            }
        }
    }

    /// Takes a service's routes away, except those that another service has taken over.
    pub(crate) fn remove(&mut self, service: &Arc<LiveService>) {
        self.hosts.retain(|_, owner| !Arc::ptr_eq(owner, service));
        self.ports.retain(|_, owner| !Arc::ptr_eq(owner, service));
    }
}
