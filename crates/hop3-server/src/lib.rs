// SPDX-License-Identifier: Apache-2.0
//! The control plane: API, git, deployments, schedules. It owns the store and knows driver traits, no driver.
//!
//! Reading order: `deploy` (the way of a push), `reconcile` (what repairs every crash), `verb` (what can be asked),
//! `api` (who asks), `store` (what is kept).

pub mod api;
pub mod checkout;
mod deploy;
mod disk;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod git;
mod jobs;
mod linger;
mod listen;
mod random;
pub mod reconcile;
mod routes;
mod seal;
mod server;
mod sleep;
mod store;
mod verb;

pub use listen::serve;
pub use server::{Parts, Server, Site, StopScope};
pub use store::Store;
pub use verb::backup::rebuild;
pub use verb::doctor::local_checks;
