// SPDX-License-Identifier: Apache-2.0
//! The contract of `Addon` over a kind that a plugin brings. The plugin is the client too: it comes in with what an app
//! would be told. Servers made for it have numbers and users that no other has.

use super::super::addon::PluginAddon;
use super::super::program::Program;
use crate::contract::addon::{Client, Ground, broken_rules};
use hop3_core::addon::{AddonServer, Binding};
use hop3_core::driver::Addon;
use hop3_core::layout::Layout;
use hop3_core::plugin::{AddonEntry, method};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

/// Where there are no users, servers are numbered from here on.
const FIRST_NUMBER: u32 = 1_000_000;

/// Rules that the kind breaks. `servers` are users, where the supervisor can give some.
pub(in crate::plugin) fn addon(
    driver: &PluginAddon,
    layout: &Layout,
    servers: Option<Range<u32>>,
) -> Vec<String> {
    let client = PluginClient(&driver.program);
    let first_user = servers.map(|users| users.start - 1);
    let kill = |server: &AddonServer, pid: u32| {
        // Only its own user may.
        let job = driver.machine.job(server, "check", ["kill", "-KILL", &pid.to_string()]);
        driver.machine.ask(&job, "").map(drop).map_err(|problem| problem.to_string())
    };
    let ground = Ground {
        driver,
        client: &client,
        daemons: driver.machine.daemons(),
        layout,
        first_user,
        first_number: first_user.unwrap_or(FIRST_NUMBER),
        kill: &kill,
        settings: BTreeMap::new(),
    };
    let kind = driver.facts().kind;
    broken_rules(&ground).into_iter().map(|rule| format!("addon {kind}: {rule}")).collect()
}

struct PluginClient<'a>(&'a Program);

impl Client for PluginClient<'_> {
    fn write(&self, binding: &Binding, key: &str, value: &str) -> Result<(), String> {
        let value = Some(value.to_owned());
        let entry = AddonEntry { binding: binding.clone(), key: key.to_owned(), value };
        let written = self.0.call::<Value>(method::WRITE, &entry);
        written.map(drop).map_err(|problem| problem.to_string())
    }

    fn read(&self, binding: &Binding, key: &str) -> Result<Option<String>, String> {
        let entry = AddonEntry { binding: binding.clone(), key: key.to_owned(), value: None };
        self.0.call(method::READ, &entry).map_err(|problem| problem.to_string())
    }
}
