// SPDX-License-Identifier: Apache-2.0
//! Node: `node_modules` in a layer, filled by the package manager whose lock file is there, then the `build` script.
//! Front ends without a server become static sites.
//!
//! Upstream: the documentation of npm, pnpm, Yarn and of the frameworks named in `site`. Needs `node`, and `pnpm` or
//! `yarn` where they are used.
//!
//! Reading order: `builder`, `package`, `install`, `site`, `start`.

mod builder;
mod install;
mod package;
mod site;
mod start;

pub use builder::Node;
pub(super) use builder::{front_end_of, has_front_end};
