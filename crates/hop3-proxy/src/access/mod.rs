// SPDX-License-Identifier: Apache-2.0
//! The access log: one JSON object a line for each request, and for each connection that was carried as it was, in the file `Layout::request_log` names.
//!
//! ```text
//! thread:  visit ──line──▶ sink (its own batch) ──full or old──▶ channel, bounded ──▶ writer (one thread) ──▶ file
//! ```
//! Promise: no request ever waits for the log. What the channel does not take is dropped, counted, and told in the
//! log itself. Reading order: `visit`, `json`, `sink`, `writer`.

pub(crate) mod json;
mod passage;
mod sink;
mod visit;
mod writer;

pub(crate) use passage::{Passage, passed};
pub(crate) use sink::{Outlet, Sink};
pub(crate) use visit::{Arrival, Visit, refused};
pub(crate) use writer::Writer;
