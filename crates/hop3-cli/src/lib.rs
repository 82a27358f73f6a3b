// SPDX-License-Identifier: Apache-2.0
//! Arguments to API calls, answers to text.
//!
//! Knows the types of `hop3_core::api` and nothing of the server's insides. Reading order: `cli` (every command on
//! one page), `argv` (what happens before parsing), `connection` and `client` (how the server is reached), `trust` (how it proves who it is),
//! `commands/` (one file per command), `render/` (how answers look). Everything is plain blocking code; async stays
//! inside `client` and `run`.

mod argv;
mod cli;
mod client;
mod commands;
mod connection;
mod context;
mod deployment;
mod dotenv;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod login;
mod pack;
mod problem;
mod reference;
mod render;
mod terminal;
mod trust;
mod upload;
mod wire;

pub use argv::parse;
pub use cli::{ClientCommand, GlobalArgs, PlanFn, Program, ProxyCommand, ServerCommand, StopArgs, run};
pub use deployment::{Pushed, app_of_push, stream_deployment};
pub use reference::command_reference;
pub use render::{Style, render_event};

#[cfg(test)]
mod tests;
