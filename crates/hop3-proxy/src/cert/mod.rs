// SPDX-License-Identifier: Apache-2.0
//! Certificates: which one answers for a host, where it lies, who made it.
//!
//! Reading order: `store` (files), `challenge` (what an issuer asks), `acme` (how certificates are obtained and
//! renewed by themselves), `dns` (for wildcards).

pub mod acme;
mod challenge;
mod dns;
mod file;
mod store;

pub use challenge::Challenges;
pub use store::{Bundle, CertStore, Origin};
