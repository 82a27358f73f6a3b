// SPDX-License-Identifier: Apache-2.0
//! Starts, sandboxes, watches, restarts, limits and stops operating-system processes, and keeps what they write.
//!
//! The one privileged role, and a small one: it reads no configuration and speaks no network protocol; it does what
//! the owner of its socket asks. It may be killed at any moment: what it runs goes on, and the next one adopts it.
//!
//! Reading order: `protocol` (what can be asked), `role` (the main loop), `keeper` (the life of an instance),
//! `launcher` and `launch` (both sides of a start), `sandbox`, `tree` (finding every descendant), `log`, `client`.

mod client;
mod connection;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod keeper;
mod kernel;
mod launch;
mod launcher;
mod line;
mod log;
mod oneoff;
mod output;
mod place;
mod policy;
mod problem;
mod protocol;
mod reaper;
mod record;
mod role;
mod sandbox;
mod session;
mod top;
mod tree;

pub use client::Client;
pub use launch::launch_main;
pub use protocol::{Change, ChangeKind, LogRequest, RestartPolicy, Spec, Status};
pub use role::{AlreadyRunning, Options, run};
