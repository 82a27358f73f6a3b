// SPDX-License-Identifier: Apache-2.0
//! Every built-in driver: one folder per trait, one file per implementation.

pub mod runtimes;
