// SPDX-License-Identifier: Apache-2.0
//! Commands against a small real server that speaks the API's protocol on a unix socket.

mod arguments;
mod command;
mod config;
mod deploy;
mod plugin;
mod program;
mod proxy;
mod refusal;
mod run;
mod server;
