// SPDX-License-Identifier: Apache-2.0
//! The PROXY protocol: a header before the first byte of a connection by which a proxy tells who connected to it.
//!
//! Source: "The PROXY protocol, Versions 1 & 2", Willy Tarreau, 2020/03/05, in HAProxy's sources as
//! `doc/proxy-protocol.txt` (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>). Sections are named where a
//! rule of it is meant.
//!
//! Invariant: whether a header comes is never guessed (§5). From addresses that the operator trusts there is one, or
//! the connection ends; from all others there is none, and what looks like one is the client's own bytes.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod header;
mod read;
#[cfg(test)]
mod tests;

pub(crate) use header::write;
pub(crate) use read::{Rules, read};

use std::net::SocketAddr;

/// The two ends of a connection, as they count: where it comes from, and where it went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}
