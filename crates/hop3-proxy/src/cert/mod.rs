// SPDX-License-Identifier: Apache-2.0
//! Certificates: which one answers for a host, where it lies, who made it.
//!
//! Reading order: `store` (files), `internal` (the authority of our own), `resolver` (host to certificate), `own`
//! (what people bring), `clients` (whose certificates visitors show), `hand` (what others end TLS with), `desk` (what
//! the control socket can ask), `challenge` (what an issuer asks), `acme` (how certificates are obtained and renewed by
//! themselves), `dns` (for wildcards).

pub mod acme;
mod challenge;
mod clients;
mod desk;
pub(crate) mod dns;
mod facts;
mod file;
mod hand;
mod internal;
mod own;
mod resolver;
mod store;

pub use challenge::Challenges;
pub use clients::check_client_ca;
pub(crate) use clients::client_roots;
pub use desk::Ask;
pub(crate) use desk::answer;
pub(crate) use resolver::{Resolver, Version};
pub use store::{Bundle, CertStore, Origin};
