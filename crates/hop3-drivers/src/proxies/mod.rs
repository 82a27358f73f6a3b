// SPDX-License-Identifier: Apache-2.0
//! Proxy drivers, one file each. The built-in one is the default and the only one that needs nothing installed.

mod builtin;

pub use builtin::Builtin;
