// SPDX-License-Identifier: Apache-2.0
//! Code comes in by `git push`: over smart HTTP or over SSH, both end in git's own `receive-pack`, whose pre-receive
//! hook deploys the pushed commit and decides the push.
//!
//! Invariant: git runs with an argument list and an environment made here; what a pusher sends reaches it only
//! as bytes of the protocol, never as a path, an option or a variable.
//!
//! Reading order: `repository` (one app's), `command` (how git is run), `http` and `shell` (the two doors), `cgi`,
//! `hook` (what a push means), `tree_size` (whether it is small enough), `key` (who may come by SSH).

pub mod access;
mod cgi;
mod command;
pub mod hook;
pub mod http;
pub mod key;
pub mod repository;
pub mod shell;
mod shown;
pub(crate) mod tree_size;

pub use access::{Admitted, GitAccess, Refusal, Service};
pub use hook::{DeployTarget, HookEnv};
pub use repository::Repository;
