// SPDX-License-Identifier: Apache-2.0
//! HTTP/1 without I/O: bytes in, facts and bytes out. Nothing here reads a socket, a clock or the route table, so
//! every rule is tested as data and any driver of sockets can use it.
//!
//! Invariant: what leaves towards an upstream is written by us from parsed parts, or copied where it lies exactly as
//! we would write it (`lines`), so the upstream cannot see another message boundary than we did.
//!
//! Reading order: `request` (what is refused), `forward` (what is rewritten), `response`, `body`, `chunked`.

pub(crate) mod body;
pub(crate) mod chunked;
pub(crate) mod forward;
pub(crate) mod header;
pub(crate) mod lines;
pub(crate) mod request;
pub(crate) mod response;

#[cfg(test)]
mod tests;
