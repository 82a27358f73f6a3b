// SPDX-License-Identifier: Apache-2.0
//! The commands: one file each, an `Args` struct whose doc comments are the help, and `run`. `carry` is what those that
//! export and import share.

pub(crate) mod addon;
pub(crate) mod app;
pub(crate) mod backup;
pub(crate) mod build;
pub(crate) mod carry;
pub(crate) mod cert;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod domain;
pub(crate) mod exec;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod logs;
pub(crate) mod open;
pub(crate) mod plugin;
pub(crate) mod proxy;
pub(crate) mod ps;
pub(crate) mod release;
pub(crate) mod restart;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod server;
pub(crate) mod status;
pub(crate) mod storage;
pub(crate) mod token;
pub(crate) mod user;
pub(crate) mod version;
