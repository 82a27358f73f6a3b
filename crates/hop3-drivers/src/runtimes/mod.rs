// SPDX-License-Identifier: Apache-2.0
//! Runtimes: where instances run.

mod daemons;
mod native;

pub use daemons::Kept;
pub use native::Native;
