// SPDX-License-Identifier: Apache-2.0
//! `Toolchains`: finds the compiler or interpreter of a plan on this machine, or obtains it from a package registry.

use crate::plan::Toolchain;
use crate::problem::Problem;
use crate::release::FoundToolchain;

pub trait Toolchains: Send + Sync {
    /// Finds the newest installed version that satisfies `wanted`, or obtains one. `report` gets progress lines.
    ///
    /// # Errors
    /// `toolchain.unavailable`, naming what was asked for, by which file, and which versions can be had.
    fn provide(&self, wanted: &Toolchain, report: &mut dyn FnMut(&str)) -> Result<FoundToolchain, Problem>;

    /// What is installed now, for `hop3 doctor`: name and version.
    fn installed(&self) -> Vec<(String, FoundToolchain)>;
}
