// SPDX-License-Identifier: Apache-2.0
//! `PluginBuilder`: a builder in a plugin, made for one source. What goes wrong while it is asked whether the source is
//! for it is kept, since that is worth telling whoever pushes, and the next builder is asked.

use super::program::Program;
use super::source;
use crate::contract;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::BuildPlan;
use hop3_core::plugin::{BuilderCall, BuilderOffer, Detection, method};
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use std::sync::{Arc, Mutex, PoisonError};

/// Problems of builders that were asked in vain.
pub(super) type Missed = Arc<Mutex<Vec<Problem>>>;

pub(super) struct PluginBuilder {
    pub(super) program: Arc<Program>,
    pub(super) offer: BuilderOffer,
    pub(super) missed: Missed,
}

impl PluginBuilder {
    fn call(&self, source: &SourceTree, settings: &Settings) -> BuilderCall {
        BuilderCall {
            builder: self.offer.name.clone(),
            source: source::data(&self.offer, source),
            settings: settings.clone(),
        }
    }
}

impl Builder for PluginBuilder {
    fn name(&self) -> &str {
        &self.offer.name
    }

    fn looks_for(&self) -> &str {
        &self.offer.looks_for
    }

    fn detect(&self, source: &SourceTree, settings: &Settings) -> Option<Detected> {
        if !source::is_of_interest(&self.offer, source) {
            return None;
        }
        let asked: Result<Option<Detection>, Problem> =
            self.program.call(method::DETECT, &self.call(source, settings));
        let detected = asked.unwrap_or_else(|problem| {
            self.missed.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
            None
        });
        detected.map(|detection| Detected { reason: detection.reason })
    }

    fn plan(&self, source: &SourceTree, settings: &Settings) -> Result<BuildPlan, Problem> {
        let mut plan: BuildPlan = self.program.call(method::PLAN, &self.call(source, settings))?;
        if !settings.run.processes.is_empty() {
            // The author's processes are all there are.
            plan.processes.clear();
        }
        // It came from outside: what the built-in builders are tested for is asked of it every time.
        let broken = contract::builder::broken_in_plan(&plan, &self.offer.name, source, settings);
        if broken.is_empty() {
            return Ok(plan);
        }
        let name = self.program.name();
        Err(Problem::new(
            Kind::Plugin,
            "plugin.bad-plan",
            format!("the plan of the plugin \"{name}\" is none"),
        )
        .detail(broken.join("\n"))
        .hint(format!("tell its author; they see the same with: hop3 plugin check {name}")))
    }
}
