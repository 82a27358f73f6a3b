// SPDX-License-Identifier: Apache-2.0
//! Sockets over io_uring: what many connections want is asked of the kernel in one call for each turn of the loop.
//!
//! ```text
//! Socket ──wants──▶ Driver ──entries──▶ Queue ══one call══▶ kernel
//!        ◀─wakes───        ◀─completions─       ◀═══════════
//! ```
//! Promise: a socket here behaves as one of tokio does. What was written is sent even when the socket is dropped, unless
//! it was aborted; what nobody reads stays with the sender. A connection that waits owns no buffer: all receive into
//! those of the thread. Reading order: `queue` (the only unsafe code), `driver`, `socket`.

mod driver;
mod io;
mod queue;
mod socket;
#[cfg(test)]
mod tests;

pub(crate) use driver::{current, sweep};
pub use io::Io;
pub(crate) use socket::Socket;
