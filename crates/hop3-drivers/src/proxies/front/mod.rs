// SPDX-License-Identifier: Apache-2.0
//! Proxies that others make: nginx, HAProxy, Traefik and Caddy. One of them accepts the connections when the operator
//! chooses it; the built-in proxy goes on behind it, has the whole table, obtains the certificates and does what the
//! product cannot.
//!
//! ```text
//! table ──▶ plan ──▶ nginx | haproxy | traefik | caddy (text) ──▶ files (judged, then made to count) ──▶ process (reload)
//!             └ what is passed on to the built-in proxy, and why
//! ```
//! Reading order: `plan`, `nginx`, `files`, `process`, then who keeps it running: `keeper`, `launch`.

mod caddy;
pub(crate) mod choice;
mod door;
pub(crate) mod files;
mod haproxy;
mod keeper;
mod launch;
pub(crate) mod name;
mod nginx;
pub(crate) mod plan;
pub(crate) mod process;
pub(crate) mod product;
mod shared;
mod traefik;

pub use choice::refuse_introducers;
pub use keeper::{Keeper, end_fronts, end_leftovers, front_accepts};
pub use launch::become_front;

#[cfg(test)]
mod tests;
