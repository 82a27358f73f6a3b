// SPDX-License-Identifier: Apache-2.0
//! Backup stores: where snapshots are kept.

mod restic;

pub use restic::Restic;
