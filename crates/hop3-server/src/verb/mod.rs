// SPDX-License-Identifier: Apache-2.0
//! What can be asked of a server, one function per verb, whoever asks (API, dashboard, schedule). Plain blocking
//! functions that take the lock they need.

pub mod access;
pub mod app;
pub mod change;
pub mod deploy;
pub mod doctor;
pub mod domain;
pub mod fetch;
pub mod log;
pub mod release;
pub mod run;
