// SPDX-License-Identifier: Apache-2.0
//! Makes external programs look like drivers. See `hop3_core::plugin` for what is said to them.
//!
//! `process` is one running program and the lines to and from it; `program` starts it when it is asked, one call at a
//! time; `builder` is a builder in it, `addon` a kind of addon; `host` has all that are enabled, `check` judges one. `problem` tells what programs get wrong.

mod addon;
mod builder;
mod check;
mod host;
mod problem;
mod process;
mod program;
mod source;

pub use host::Host;
