// SPDX-License-Identifier: Apache-2.0
//! `Plugins`: external programs that look like drivers. Which of them count is the server's to say.
//!
//! A program that hangs, ends, lies or floods fails the call it was asked, with a problem of kind `Plugin`, and nothing
//! else. It is started again at the next call.

use super::LogLine;
use crate::name::PluginName;
use crate::plugin::{
    Accepted, CommandAnswer, CommandCall, EventCall, HookAnswer, HookCall, Introduction, Panel, PanelCall,
    PluginReport,
};
use crate::problem::Problem;
use std::ops::Range;
use std::path::Path;

pub trait Plugins: Send + Sync {
    /// Starts the program in a folder as that user, says hello and ends it.
    fn introduce(&self, name: &PluginName, user: u32, folder: &Path) -> Result<Introduction, Problem>;

    /// From now on it is asked as it was accepted, or not at all; the program that ran until now ends.
    fn accept(&self, name: &PluginName, plugin: Option<Accepted>);

    /// Tells it what happened.
    fn deliver(&self, name: &PluginName, event: &EventCall) -> Result<(), Problem>;

    fn hook(&self, name: &PluginName, call: &HookCall) -> Result<HookAnswer, Problem>;

    fn command(&self, name: &PluginName, call: &CommandCall) -> Result<CommandAnswer, Problem>;

    fn panel(&self, name: &PluginName, call: &PanelCall) -> Result<Panel, Problem>;

    /// Starts the program in a folder and judges all that it provides by the contracts of drivers. Servers of addons
    /// that are made for that get these users.
    fn check(
        &self,
        name: &PluginName,
        user: u32,
        folder: &Path,
        servers: Range<u32>,
    ) -> Result<PluginReport, Problem>;

    /// What it wrote to stderr, the newest lines.
    fn logs(&self, name: &PluginName, last: usize) -> Result<Vec<LogLine>, Problem>;
}
