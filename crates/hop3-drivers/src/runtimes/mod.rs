// SPDX-License-Identifier: Apache-2.0
//! Runtimes: where instances run.

mod native;

pub use native::Native;
