// SPDX-License-Identifier: Apache-2.0
//! The extension points. One trait, one file here; one folder of implementations in `hop3-drivers`.
//!
//! Rules shared by all: plain synchronous functions, called from threads that may block; idempotent and convergent
//! (calling twice equals calling once); no database, no globals; every external command goes through a `Runner`;
//! bad luck is a `Problem` with facts and a hint, never a panic.

mod addon;
mod authorities;
mod backup_store;
mod builder;
mod certificates;
mod daemons;
mod plugins;
mod proxy;
mod proxy_choice;
mod runner;
mod runtime;
mod toolchains;

pub use addon::{Addon, Counts, Tables, holds_nothing};
pub use authorities::Authorities;
pub use backup_store::{BackupPlace, BackupStore, Content, Progress, Save, Saved, Snapshot, Taken};
pub use builder::{Builder, Detected};
pub use certificates::Certificates;
pub use daemons::{Daemon, Daemons, KeptDaemon, Stop};
pub use plugins::Plugins;
pub use proxy::{Drained, Proxy, ProxyStatus, Traffic};
pub use proxy_choice::{PassedOn, ProxyChoice, ProxyChosen};
pub use runner::{Attached, Exit, Output, Runner, Stdio};
pub use runtime::{LogLine, LogQuery, Runtime, Session};
pub use toolchains::Toolchains;

use crate::plan::BuildPlan;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::source::SourceTree;
use std::sync::Arc;

/// Makes the whole plan of a source.
pub type Plan = dyn Fn(&SourceTree, &Settings) -> Result<BuildPlan, Problem> + Send + Sync;

/// One driver for each kind of addon there is now.
pub type Addons = dyn Fn() -> Vec<Arc<dyn Addon>> + Send + Sync;

/// Every driver of an installation, chosen in `hop3/src/wire.rs`.
#[derive(Clone)]
pub struct Registry {
    /// Asks the builders in their order and completes the plan of the first that recognises the source.
    pub plan: Arc<Plan>,
    pub runner: Arc<dyn Runner>,
    pub runtime: Arc<dyn Runtime>,
    pub proxy: Arc<dyn Proxy>,
    pub proxy_choice: Arc<dyn ProxyChoice>,
    pub certificates: Arc<dyn Certificates>,
    pub authorities: Arc<dyn Authorities>,
    pub toolchains: Arc<dyn Toolchains>,
    pub daemons: Arc<dyn Daemons>,
    pub addons: Arc<Addons>,
    pub plugins: Arc<dyn Plugins>,
    pub backups: Arc<dyn BackupStore>,
}
