// SPDX-License-Identifier: Apache-2.0
//! Every built-in driver: one folder for each trait, one file for each driver.

pub mod proxies;
