// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 towards clients (RFC 9113), and WebSocket over it (RFC 8441).
//!
//! ```text
//! TLS ─▶ connection (frames: the h2 crate) ─▶ stream ─▶ exchange ══ memory ══ Client ─▶ route, policy, upstream
//!                                                        │   HTTP/1 within
//!                                                        └ head: one message in the other's words
//! ```
//! A stream becomes an HTTP/1 connection within the thread: everything behind it (routes, policies, time limits, the
//! log) is the same for all protocols, and so is the strict reading of what a client sent.

mod connection;
mod corked;
mod exchange;
pub(crate) mod head;

pub(crate) use connection::serve;
