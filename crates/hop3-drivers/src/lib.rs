// SPDX-License-Identifier: Apache-2.0
//! Every built-in driver: one folder for each trait of `hop3-core`, one file for each implementation.

pub mod builders;
