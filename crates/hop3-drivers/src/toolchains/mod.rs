// SPDX-License-Identifier: Apache-2.0
//! Toolchains: what is installed on this machine, and what a package registry can give.
//!
//! Reading order: `installed` (the driver), `tool` (the table), `search` (where things lie), `version`, `obtain`.

mod installed;
mod obtain;
mod search;
mod tool;
mod version;

pub use installed::Installed;
