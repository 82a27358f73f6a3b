// SPDX-License-Identifier: Apache-2.0
//! `PluginAddon`: a kind of addon in a plugin. The plugin says what is to run and talks to the server; Hop3 keeps the
//! server running, in a sandbox as those of the built-in kinds, and carries the data.

use super::program::Program;
use crate::addons::Host;
use hop3_core::addon::{AddonServer, AddonStatus, Binding, KindFacts, WantedAddon};
use hop3_core::driver::Addon;
use hop3_core::plugin::{AddonProcess, method};
use hop3_core::sandbox::{Job, Mount};
use hop3_core::{Kind, Problem};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Between SIGTERM and SIGKILL.
const STOP_GRACE_SECS: u32 = 30;

pub(super) struct PluginAddon {
    pub(super) program: Arc<Program>,
    pub(super) machine: Arc<Host>,
    pub(super) facts: KindFacts,
}

impl PluginAddon {
    /// What the plugin says, as a job of the server's user that sees the plugin's folder too.
    fn job(&self, server: &AddonServer, process: &AddonProcess) -> Result<Job, Problem> {
        let name = self.program.name();
        if process.command.first().is_none_or(String::is_empty) {
            let title = format!("the plugin \"{name}\" names no program for the server {}", server.name);
            return Err(Problem::new(Kind::Plugin, "plugin.no-process", title)
                .hint(format!("tell its author; what it wrote: hop3 plugin logs {name}")));
        }
        let (files, data) = (self.program.folder(), self.machine.directory(server));
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        let fill = |word: &String| word.replace("{files}", &shown(files)).replace("{data}", &shown(&data));
        let mut job = self.machine.job(server, name.as_str(), process.command.iter().map(fill));
        job.env.extend(process.env.iter().map(|(key, value)| (key.clone(), fill(value))));
        job.sandbox.mounts.push(Mount { source: files.into(), target: files.into(), writable: false });
        Ok(job)
    }

    fn ask_process(&self, method: &str, addon: &WantedAddon) -> Result<Job, Problem> {
        self.job(&addon.server, &self.program.call(method, addon)?)
    }
}

impl Addon for PluginAddon {
    fn facts(&self) -> KindFacts {
        self.facts.clone()
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        self.machine.make_directory(server)?;
        if !self.facts.capabilities.serves {
            return Ok(());
        }
        let job = self.job(server, &self.program.call(method::SERVE, server)?)?;
        self.machine.keep(server, job, STOP_GRACE_SECS, &|| Host::listens(server))
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        self.program.call(method::PROVISION, addon)
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        if self.facts.capabilities.serves && !Host::listens(&addon.server) {
            let trouble = Some("nobody listens on its port".to_owned());
            return Ok(AddonStatus {
                is_up: false,
                version: None,
                size_bytes: None,
                connections: None,
                trouble,
                pool: None,
            });
        }
        self.program.call(method::STATUS, addon)
    }

    fn backup(&self, addon: &WantedAddon, as_of_ms: Option<u64>, to: &mut dyn Write) -> Result<(), Problem> {
        if as_of_ms.is_some() {
            let title = "addons of plugins do not remember what they held";
            return Err(Problem::new(Kind::NotFound, "addon.no-history", title));
        }
        self.machine.drain(&self.ask_process(method::BACKUP, addon)?, to)
    }

    fn restore(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        self.machine.feed(&self.ask_process(method::RESTORE, addon)?, from).map(drop)
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        self.program.call::<Value>(method::DESTROY, addon).map(drop)
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.machine.retire(server)
    }
}
