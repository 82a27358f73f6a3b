// SPDX-License-Identifier: Apache-2.0
//! Proxy drivers, one file each. The built-in one is the default and the only one that needs nothing installed.

mod builtin;
mod chosen;
mod front;

pub use builtin::Builtin;
pub use chosen::Chosen;
pub use front::{Keeper, become_front, end_fronts, end_leftovers, front_accepts, refuse_introducers};
