// SPDX-License-Identifier: Apache-2.0
//! Connections that are no HTTP here: carried byte for byte to an instance, chosen by the port they came to or by the
//! host their TLS hello names.
//!
//! ```text
//! port of its own ──▶ entries ─┐                                  ┌─ PROXY header, if asked for
//!                              ├─▶ carry ─▶ least busy instance ──┤
//! port for HTTPS ──▶ tls::hello┘            (in flight: drained   └─ bytes both ways ─▶ a line in the log
//!                                            as a request is)
//! ```
//! Reading order: `routes` (what leads where), `ports` (what is open), `entries` (a thread's listeners), `carry`.

mod carry;
mod entries;
mod ports;
mod routes;

pub(crate) use carry::{Arrived, Outcome, accept, carry};
pub(crate) use entries::Entries;
pub(crate) use ports::{Ports, Snapshot};
pub(crate) use routes::{LiveTcp, Routes};
