// SPDX-License-Identifier: Apache-2.0
//! `Host`: the plugins that are enabled.

use super::addon::PluginAddon;
use super::builder::{Missed, PluginBuilder};
use super::check;
use super::program::{Program, Starter, log_group};
use crate::{addons, builders};
use hop3_core::driver::{Addon, Builder, LogLine, Plugins, Runner as _};
use hop3_core::layout::Layout;
use hop3_core::name::PluginName;
use hop3_core::plan::BuildPlan;
use hop3_core::plugin::{
    Accepted, CommandAnswer, CommandCall, EventCall, HookAnswer, HookCall, Introduction, Panel, PanelCall,
    PluginReport, method,
};
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use hop3_supervisor::{Client, LogRequest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A program that nobody has asked for so long is ended.
const IDLE: Duration = Duration::from_secs(60);

type Enabled = BTreeMap<PluginName, Arc<Program>>;

pub struct Host {
    starter: Arc<Starter>,
    enabled: Arc<Mutex<Enabled>>,
    /// Where servers of addons run.
    machine: Arc<addons::Host>,
}

impl Host {
    pub fn new(client: Client, layout: &Layout, machine: Arc<addons::Host>) -> Host {
        let starter = Arc::new(Starter { client, layout: layout.clone() });
        Host { starter, enabled: Arc::default(), machine }
    }

    /// Makes the plan of a source: builders of plugins are asked first, since somebody installed them for that.
    pub fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let missed = Missed::default();
        let mut all = self.builders(&missed);
        all.extend(builders::builders());
        let planned = builders::plan(&all, source, settings);
        let missed = std::mem::take(&mut *missed.lock().unwrap_or_else(PoisonError::into_inner));
        match planned {
            Ok(mut plan) => {
                plan.warnings.extend(missed.iter().map(|problem| problem.title.clone()));
                Ok(plan)
            }
            // Nobody knows the source, and one who might was not able to say so.
            Err(problem) => Err(missed.into_iter().next().unwrap_or(problem)),
        }
    }

    /// The kinds of addons that plugins bring.
    pub fn addons(&self) -> Vec<Arc<dyn Addon>> {
        let programs: Vec<Arc<Program>> = locked(&self.enabled).values().cloned().collect();
        let mut all: Vec<Arc<dyn Addon>> = Vec::new();
        for program in programs {
            for facts in &program.accepted.introduction.provides.addons {
                let (program, machine) = (Arc::clone(&program), Arc::clone(&self.machine));
                all.push(Arc::new(PluginAddon { program, machine, facts: facts.clone() }));
            }
        }
        all
    }

    fn builders(&self, missed: &Missed) -> Vec<Arc<dyn Builder>> {
        let programs: Vec<Arc<Program>> = locked(&self.enabled).values().cloned().collect();
        let mut all: Vec<Arc<dyn Builder>> = Vec::new();
        for program in programs {
            for offer in &program.accepted.introduction.provides.builders {
                let (program, missed) = (Arc::clone(&program), Arc::clone(missed));
                all.push(Arc::new(PluginBuilder { program, offer: offer.clone(), missed }));
            }
        }
        all
    }

    fn program(&self, name: &PluginName) -> Result<Arc<Program>, Problem> {
        locked(&self.enabled).get(name).cloned().ok_or_else(|| {
            Problem::new(Kind::Conflict, "plugin.disabled", format!("the plugin \"{name}\" is not enabled"))
                .hint(format!("enable it with: hop3 plugin enable {name}"))
        })
    }
}

impl Plugins for Host {
    fn introduce(&self, name: &PluginName, user: u32, folder: &Path) -> Result<Introduction, Problem> {
        self.starter.introduce(name, user, folder)
    }

    fn accept(&self, name: &PluginName, plugin: Option<Accepted>) {
        let Some(plugin) = plugin else {
            locked(&self.enabled).remove(name);
            return;
        };
        let folder = self.starter.layout.plugin_files(name);
        let program = Arc::new(Program::new(Arc::clone(&self.starter), plugin, folder));
        locked(&self.enabled).insert(name.clone(), Arc::clone(&program));
        let watched = Arc::downgrade(&program);
        std::thread::spawn(move || {
            while let Some(program) = watched.upgrade() {
                program.rest(IDLE);
                drop(program);
                std::thread::sleep(IDLE);
            }
        });
    }

    fn deliver(&self, name: &PluginName, event: &EventCall) -> Result<(), Problem> {
        self.program(name)?.call::<Value>(method::EVENT, event).map(drop)
    }

    fn hook(&self, name: &PluginName, call: &HookCall) -> Result<HookAnswer, Problem> {
        self.program(name)?.call(method::HOOK, call)
    }

    fn command(&self, name: &PluginName, call: &CommandCall) -> Result<CommandAnswer, Problem> {
        self.program(name)?.call(method::COMMAND, call)
    }

    fn panel(&self, name: &PluginName, call: &PanelCall) -> Result<Panel, Problem> {
        self.program(name)?.call(method::PANEL, call)
    }

    fn check(
        &self,
        name: &PluginName,
        user: u32,
        folder: &Path,
        servers: Range<u32>,
    ) -> Result<PluginReport, Problem> {
        let introduction = self.starter.introduce(name, user, folder)?;
        let accepted = Accepted { introduction, user };
        let program = Arc::new(Program::new(Arc::clone(&self.starter), accepted, folder.to_owned()));
        let mut report = check::check(&program, &self.starter.layout.plugin_check())?;
        for facts in &program.accepted.introduction.provides.addons {
            let (program, machine) = (Arc::clone(&program), Arc::clone(&self.machine));
            let driver = PluginAddon { program, machine, facts: facts.clone() };
            let servers = self.starter.client.is_privileged().then_some(servers.clone());
            report.checked.push(format!("addon {}", facts.kind));
            report.broken.extend(check::addon(&driver, &self.starter.layout, servers));
        }
        Ok(report)
    }

    fn logs(&self, name: &PluginName, last: usize) -> Result<Vec<LogLine>, Problem> {
        let request = LogRequest { group: log_group(name), last: Some(last), ..LogRequest::default() };
        self.starter.client.logs(&request)
    }
}

fn locked(enabled: &Mutex<Enabled>) -> MutexGuard<'_, Enabled> {
    enabled.lock().unwrap_or_else(PoisonError::into_inner)
}
