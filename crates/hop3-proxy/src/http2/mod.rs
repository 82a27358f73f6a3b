// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 (RFC 9113) towards clients, with WebSocket over it (RFC 8441), and towards upstreams that want it.
//!
//! ```text
//! TLS ─▶ connection (frames: the h2 crate) ─▶ stream ─▶ exchange ══ memory ══ Client ─▶ route, policy, upstream
//!                                                        │   HTTP/1 within
//!                                                        └ head: one message in the other's words
//!
//!          Client ─▶ exchange ══ memory ══ upstream ─▶ stream ─▶ shared connection ─▶ gRPC server
//! ```
//! A stream becomes an HTTP/1 connection within the thread: everything behind it (routes, policies, time limits, the
//! log) is the same for all protocols, and so is the strict reading of what a client sent.

mod connection;
mod corked;
mod crew;
mod exchange;
mod flow;
pub(crate) mod head;
mod upstream;

pub(crate) use connection::serve;
pub(crate) use crew::Crew;
pub(crate) use upstream::Connections;
