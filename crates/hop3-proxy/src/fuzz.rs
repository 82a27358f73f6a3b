// SPDX-License-Identifier: Apache-2.0
//! What must hold for any bytes, one function for each parser of this crate.
//!
//! The parsers are private, and the programs that search for bytes that break a rule are crates of their own (the
//! folder `fuzz` at the top), so that the rules live here: they are built into those programs (`cfg(fuzzing)`) and into
//! the tests, which try them on what is known to be difficult. The product has none of it.

mod answer;
mod framing;
mod place;
mod question;
mod stream;
#[cfg(test)]
mod tests;

pub use crate::policy::fuzz::{auth_answer, freshness, head_edit, visit};
pub use crate::proxy_protocol::fuzz::proxy_header;
pub use answer::{dns_answer, log_line, response_head};
pub use framing::{body_framing, chunked_body};
pub use place::{condition, file_path, host, journal};
pub(crate) use question::{PEER, forwarded, read};
pub use question::{request_head, request_of_http2, request_pieces};
pub use stream::stream_frames;

use crate::limit::Limits;
use std::sync::LazyLock;

static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::default);

/// Takes a byte off the front: what it chooses is up to who asked.
pub(crate) fn choice(data: &mut &[u8]) -> u8 {
    let Some((first, rest)) = data.split_first() else { return 0 };
    *data = rest;
    *first
}

/// Splits at the first zero byte.
pub(crate) fn split<'a>(data: &mut &'a [u8]) -> &'a [u8] {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (first, rest) = data.split_at(end);
    *data = rest.get(1..).unwrap_or_default();
    first
}

pub(crate) fn text<'a>(data: &mut &'a [u8]) -> std::borrow::Cow<'a, str> {
    String::from_utf8_lossy(split(data))
}
