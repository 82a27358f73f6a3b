// SPDX-License-Identifier: Apache-2.0
//! Every built-in driver: one folder for each trait of `hop3_core::driver`, one file for each implementation.

pub mod addons;
pub mod backups;
pub mod builders;
pub mod contract;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod plugin;
pub mod proxies;
pub mod runtimes;
pub mod toolchains;
