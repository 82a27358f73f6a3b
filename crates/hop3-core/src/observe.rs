// SPDX-License-Identifier: Apache-2.0
//! What a proxy tells of the requests it served: how much of them a service wants recorded, and the figures of a route.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is recorded of a service's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Observe {
    /// One request in so many is logged, and each that was answered with a status of 500 and above; 0 logs none.
    #[serde(rename = "every")]
    pub log_every: u32,
    /// The query of a path is logged too. Without, only that there was one.
    #[serde(rename = "query")]
    pub log_query: bool,
    /// Responses tell in `Server-Timing` how long the upstream and the proxy took.
    pub server_timing: bool,
}

impl Default for Observe {
    fn default() -> Observe {
        Observe { log_every: 1, log_query: true, server_timing: false }
    }
}

impl Observe {
    /// Nothing unusual is asked, so that it need not be written down.
    pub fn is_default(&self) -> bool {
        *self == Observe::default()
    }
}

/// The figures of one route since the proxy began, or since the route was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteFigures {
    pub service: String,
    /// Empty for requests that no route of the service answers for.
    pub prefix: String,
    pub requests: u64,
    pub in_flight: u64,
    /// Ended requests by the first digit of their status; the first place is for those that ended without one.
    pub statuses: [u64; 6],
    /// Heads and bodies, as they came from clients.
    pub bytes_in: u64,
    /// Heads and bodies, as they went to clients.
    pub bytes_out: u64,
    /// All requests' time together, upgraded connections left out.
    pub total_us: u64,
    /// How many requests took less than so many microseconds and not less than the step before. Steps that nothing
    /// fell into are left out.
    pub latency: Vec<(u64, u64)>,
}

impl RouteFigures {
    /// The time that this part of the requests did not exceed, to the precision of the steps.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let count: u64 = self.latency.iter().map(|(_, count)| count).sum();
        let rank = (count as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        let step = self.latency.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        step.map(|(below, _)| Duration::from_micros(*below))
    }

    /// How many requests took less than this.
    pub fn below(&self, limit_us: u64) -> u64 {
        self.latency.iter().filter(|(below, _)| *below <= limit_us).map(|(_, count)| count).sum()
    }
}
