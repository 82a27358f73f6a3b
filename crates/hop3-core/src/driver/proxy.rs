// SPDX-License-Identifier: Apache-2.0
//! `Proxy`: brings requests to instances.

use crate::observe::RouteFigures;
use crate::problem::Problem;
use crate::route::{RouteTable, Service};
use crate::tcp::Port;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a drain saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Requests and upgraded connections still open at the deadline, which were cut.
    pub cut: u64,
}

/// Figures of a running proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyStatus {
    pub services: u64,
    pub requests: u64,
    pub in_flight: u64,
    /// Upstreams left out now, by id.
    pub unhealthy: Vec<String>,
    /// Services with upstreams on demand.
    #[serde(default)]
    pub on_demand: BTreeMap<String, Traffic>,
    /// Upstreams that have left the table and still work on requests, by id.
    #[serde(default)]
    pub leaving: Vec<String>,
    /// Ports that the table leads from and that cannot be listened on.
    #[serde(default)]
    pub closed_ports: Vec<Port>,
}

/// What one service has been asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests begun since the proxy started.
    pub requests: u64,
    /// Of these, not ended yet; an upgraded connection counts until it is closed.
    pub in_flight: u64,
}

pub trait Proxy: Send + Sync {
    fn name(&self) -> &'static str;

    /// Makes the table the one that answers. When it returns, every new request is routed by it; requests under way
    /// end where they began.
    fn apply(&self, table: &RouteTable) -> Result<(), Problem>;

    /// Adds or replaces one service, all at once, and leaves the others as they are.
    fn put(&self, service: &Service) -> Result<(), Problem>;

    /// Takes one service away. Absent is fine.
    fn remove(&self, service: &str) -> Result<(), Problem>;

    /// Waits until nothing is in flight on these upstreams, at most until the deadline, then cuts the rest.
    fn drain(&self, upstreams: &[String], deadline: Duration) -> Result<Drained, Problem>;

    fn status(&self) -> Result<ProxyStatus, Problem>;

    /// What each route has served. Empty from a product that does not tell.
    fn figures(&self) -> Result<Vec<RouteFigures>, Problem> {
        Ok(Vec::new())
    }
}
