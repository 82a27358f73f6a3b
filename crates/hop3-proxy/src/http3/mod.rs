// SPDX-License-Identifier: Apache-2.0
//! HTTP/3 (RFC 9114) towards clients: QUIC on the port of HTTPS, told to those who come by HTTP/2 (`Alt-Svc`).
//!
//! One thread serves it, the first: a client may go on from another address, which the kernel would give to another
//! thread. While an old proxy finishes what it has on the port, its successor has none and does not offer it; clients
//! come by TCP then.
//!
//! ```text
//! quinn ──▶ frame (protocol) ──▶ h3 ──▶ exchange ──▶ memory ──▶ Client
//! ```

mod connection;
mod endpoint;
mod exchange;
pub(crate) mod frame;
mod load;
pub(crate) mod protocol;
mod wire;

pub(crate) use endpoint::serve;
pub(crate) use load::Load;
