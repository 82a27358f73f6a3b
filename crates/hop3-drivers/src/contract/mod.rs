// SPDX-License-Identifier: Apache-2.0
//! What every driver of a trait must keep, as functions that name the broken rules. Tests run them over the built-in
//! drivers; the same functions judge drivers from outside.

pub mod addon;
pub mod backup_store;
pub mod builder;
pub mod proxy;
