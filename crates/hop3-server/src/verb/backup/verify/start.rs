// SPDX-License-Identifier: Apache-2.0
//! Whether an app starts on what was restored: its release is started as an app for the moment, which nobody is led to,
//! on the restored files and scratch addons, and must pass its health check as at a deployment.
//!
//! Only its web process is started, once: no worker, no release command, no line of cron. It knows by HOP3_PROOF what
//! it is.

use super::super::manifest::{SavedApp, SavedRelease};
use super::super::restore::{Swaps, Work};
use super::super::scratch::Scratch;
use super::say;
use crate::deploy::{self, Context};
use crate::server::internal;
use crate::store::App;
use crate::verb;
use hop3_core::name::{AddonName, EnvKey, ProcessName};
use hop3_core::problem::{Kind, Problem};
use hop3_core::settings::EnvDefault;
use std::sync::PoisonError;

/// Tells a process that it belongs to a proof.
const PROOF: &str = "HOP3_PROOF";

impl Work<'_> {
    /// The apps to start: those that say so, unless it is said for all of them.
    pub(super) fn started(&self, start: Option<bool>) -> Vec<&SavedApp> {
        let says = |app: &SavedApp| {
            let own =
                app.release.as_ref().is_some_and(|release| release.artifact.processes.backup.proof_start);
            start.unwrap_or(own)
        };
        let wanted = self.manifest.apps.iter().filter(|app| says(app));
        let able = wanted.filter(|app| match self.hindrance(app) {
            None => true,
            Some(why) => {
                say(self.tell, format!("no copy of {} is started: {why}", app.name));
                false
            }
        });
        able.collect()
    }

    /// Why no copy of an app can be started here.
    fn hindrance(&self, app: &SavedApp) -> Option<String> {
        let Some(release) = &app.release else { return Some("nothing was deployed".to_owned()) };
        if !release.artifact.processes.processes.contains_key(&ProcessName::web()) {
            return Some("it has no web process".to_owned());
        }
        if self.manifest.root != self.server.layout.root() {
            return Some(format!("it was built to lie in {}", self.manifest.root.display()));
        }
        let is_saved = |name: &AddonName| self.manifest.streams.iter().any(|stream| stream.name == *name);
        let missing = app.bindings.iter().find(|binding| !is_saved(&binding.addon));
        missing.map(|binding| format!("its addon {} is in no backup", binding.addon))
    }

    /// Starts a copy and removes it again.
    pub(super) fn start_copy(&self, saved: &SavedApp, scratch: &mut Scratch<'_>) -> Result<(), Problem> {
        let Some(release) = &saved.release else { return Ok(()) };
        let (server, name) = (self.server, scratch.app()?);
        say(self.tell, format!("starting a copy of {}", saved.name));
        self.put_built(saved)?;
        let taken = || internal(anyhow::anyhow!("the name {name} is taken"));
        let app = server.store.create_app(&name).map_err(internal)?.ok_or_else(taken)?;
        let tried = {
            // Whoever repairs what runs without a release comes after this.
            let lock = server.lock_of(&app);
            let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.on_its_files(saved, &app, || self.try_out(saved, (release, &app), scratch))
        };
        let removed = verb::app::destroy(server, &name, name.as_str());
        self.remove_built(saved, &app);
        tried.map_err(|problem| not_started(saved, &problem)).and(removed)?;
        say(self.tell, format!("{}: its copy started and was healthy", saved.name));
        Ok(())
    }

    /// Does something while the restored directories are the app's.
    fn on_its_files(
        &self,
        saved: &SavedApp,
        app: &App,
        body: impl FnOnce() -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let layout = &self.server.layout;
        for directory in [layout.data(&app.name), layout.home(&app.name)] {
            self.give(&directory, app.uid())?;
        }
        let swaps: Swaps = self.swaps(saved, app)?;
        let done = self.swap(&swaps).and_then(|()| body());
        done.and(self.swap_back(app, &swaps))
    }

    fn try_out(
        &self,
        saved: &SavedApp,
        (release, app): (&SavedRelease, &App),
        scratch: &Scratch<'_>,
    ) -> Result<(), Problem> {
        let (server, way) = (self.server, self.way());
        for binding in &saved.bindings {
            if let Some(addon) = scratch.addon_of(&binding.addon) {
                way.bind(app, addon, binding)?;
            }
        }
        let mut artifact = release.artifact.clone();
        for value in artifact.processes.late_env.values_mut() {
            if let EnvDefault::Addon { addon, .. } = value
                && let Some(name) = scratch.addon_of(addon)
            {
                addon.clone_from(name);
            }
        }
        let mut config = release.config.clone();
        config.insert(PROOF.parse::<EnvKey>()?, "yes".to_owned());
        let reason = format!("Proof of {}", self.backup.info.id);
        let made = server.store.create_release(app, &artifact, &config, &reason).map_err(internal)?;
        deploy::try_out(&Context::new(server, app.clone(), None), &made)
    }

    /// What was built and was brought back for this alone goes again.
    fn remove_built(&self, saved: &SavedApp, scratch: &App) {
        let app = App { id: saved.id, ..scratch.clone() };
        let lock = self.server.lock_of(&app);
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        deploy::remove_unused(self.server, &app);
    }
}

fn not_started(saved: &SavedApp, problem: &Problem) -> Problem {
    let name = &saved.name;
    let title = format!("all of {name} is there, but a copy of it does not start");
    Problem::new(Kind::Conflict, "backup.copy-not-started", title)
        .detail(format!("{}\n{}", problem.title, problem.detail).trim_end())
        .hint(format!(
            "try one that stays: hop3 backup restore ID -a {name} --as NEW; \
             if a copy of it cannot start here, prove it without: hop3 backup verify --no-start"
        ))
}
