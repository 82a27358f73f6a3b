// SPDX-License-Identifier: Apache-2.0
//! `ProxyChoice`: which program accepts the connections, by the operator's choice.

use crate::problem::Problem;
use crate::route::RouteTable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The proxy that is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProxyChosen {
    /// `built-in`, `nginx`, `haproxy`, `traefik`, `caddy`.
    pub driver: String,
    pub version: String,
    /// It accepts connections.
    pub runs: bool,
    /// What it leaves to the built-in proxy behind it.
    pub passed_on: Vec<PassedOn>,
}

/// A service of which at least a part is passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PassedOn {
    pub service: String,
    /// The features that the product lacks.
    pub why: Vec<String>,
}

pub trait ProxyChoice: Send + Sync {
    fn shown(&self) -> Result<ProxyChosen, Problem>;

    /// Has another program accept the connections, and answer them by this table; no request is dropped. What was
    /// chosen before goes on when that fails.
    fn choose(&self, name: &str, table: &RouteTable) -> Result<ProxyChosen, Problem>;
}
