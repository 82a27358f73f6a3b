// SPDX-License-Identifier: Apache-2.0
//! Toolchains: what is installed on this machine, and what a package registry can give.
//!
//! Reading order: `installed` (the driver), `tool` (the table), `search` (where things lie), `version`, `obtain`.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod installed;
mod obtain;
mod search;
mod tool;
mod version;

pub use installed::Installed;
