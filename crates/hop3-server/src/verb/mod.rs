// SPDX-License-Identifier: Apache-2.0
//! What can be asked of a server, one function per verb, whoever asks (API, dashboard, schedule). Plain blocking
//! functions that take the lock they need.

pub(crate) mod access;
pub(crate) mod acme;
pub(crate) mod addon;
pub(crate) mod app;
pub(crate) mod backup;
pub(crate) mod certificate;
pub(crate) mod change;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod domain;
pub(crate) mod fetch;
pub(crate) mod log;
pub(crate) mod plugin;
pub(crate) mod proxy;
pub(crate) mod push;
pub(crate) mod release;
pub(crate) mod run;
pub(crate) mod storage;
pub(crate) mod tcp;
pub(crate) mod traffic;
