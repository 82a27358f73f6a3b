// SPDX-License-Identifier: Apache-2.0
//! TLS towards clients: 1.2 and 1.3, one provider of cryptography, a certificate for each host.
//!
//! ```text
//! accepted ─▶ hello (host, protocols) ─▶ configuration: usual, client certificates, an issuer's challenge
//!                  │ nobody serves it          │
//!                  ▼                           ▼
//!            unrecognised_name          handshake ─▶ Stream ─▶ Client
//! ```
//! Reading order: `hello`, `configuration`, `session` (bytes both ways), `secure` (what requests ask of it).

mod alert;
mod configuration;
mod handshake;
mod hello;
mod secure;
mod session;
mod subject;
mod wire;

pub(crate) use configuration::{Mutual, Terminator};
pub(crate) use handshake::{Handshakes, serve};
pub(crate) use secure::Secure;
pub(crate) use session::Session;
pub(crate) use subject::text as name_text;
