// SPDX-License-Identifier: Apache-2.0
//! Bodies: how long one is, how far it has been read, and how it is written on.
//!
//! Invariant: a `Body` never hands out a byte beyond its message, and is done only when the message said so: an end
//! of file before that is a truncation.

use super::chunked::{BadChunk, Decoder};

/// How a message's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    None,
    Exact(u64),
    Chunked,
    /// Responses only: the end of the connection is the end of the body.
    UntilClose,
}

/// The reading side.
pub(crate) enum Body {
    Done,
    Exact(u64),
    Chunked(Decoder),
    UntilClose,
}

/// What one read buffer held: the first `data` bytes of the buffer are body, the first `consumed` were used up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) consumed: usize,
    pub(crate) data: usize,
}

impl Body {
    pub(crate) fn new(length: Length) -> Body {
        match length {
            Length::None | Length::Exact(0) => Body::Done,
            Length::Exact(left) => Body::Exact(left),
            Length::Chunked => Body::Chunked(Decoder::default()),
            Length::UntilClose => Body::UntilClose,
        }
    }

    /// A client's, whose trailers an app may take for its own (`Decoder::strict`).
    pub(crate) fn of_request(length: Length) -> Body {
        match length {
            Length::Chunked => Body::Chunked(Decoder::strict()),
            length => Body::new(length),
        }
    }

    /// How much of a body of known length is still to come, when it is this much and more.
    pub(crate) fn rest(&self, least: u64) -> Option<u64> {
        match self {
            Body::Exact(left) if *left >= least => Some(*left),
            _ => None,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Body::Done)
    }

    /// Takes what belongs to the body from the front of `buffer`, moving data over chunk framing in place.
    /// Trailers are appended to `trailers` when the body ends with some.
    pub(crate) fn take(&mut self, buffer: &mut [u8], trailers: &mut Vec<u8>) -> Result<Piece, BadChunk> {
        match self {
            Body::Done => Ok(Piece { consumed: 0, data: 0 }),
            Body::UntilClose => Ok(Piece { consumed: buffer.len(), data: buffer.len() }),
            Body::Exact(left) => {
                let data = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= data as u64;
                if *left == 0 {
                    *self = Body::Done;
                }
                Ok(Piece { consumed: data, data })
            }
            Body::Chunked(decoder) => {
                let piece = decoder.decode(buffer)?;
                if decoder.is_done() {
                    trailers.append(&mut decoder.take_trailers());
                    *self = Body::Done;
                }
                Ok(piece)
            }
        }
    }

    /// The connection ended. True when that is how the body ends.
    pub(crate) fn ends_at_close(&mut self) -> bool {
        let ends = matches!(self, Body::UntilClose | Body::Done);
        if ends {
            *self = Body::Done;
        }
        ends
    }
}

/// The writing side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// As many bytes as were announced, or until the connection ends.
    Raw,
    Chunked,
}

impl Framing {
    /// Appends one piece of body.
    pub(crate) fn write(self, out: &mut Vec<u8>, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        match self {
            Framing::Raw => out.extend_from_slice(data),
            Framing::Chunked => {
                push_hex(out, data.len());
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Appends the end of a body that arrived whole. `trailers` are complete lines.
    pub(crate) fn finish(self, out: &mut Vec<u8>, trailers: &[u8]) {
        if self == Framing::Chunked {
            out.extend_from_slice(b"0\r\n");
            out.extend_from_slice(trailers);
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn push_hex(out: &mut Vec<u8>, value: usize) {
    let digits = (usize::BITS - value.leading_zeros()).div_ceil(4).max(1);
    for i in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(value >> (4 * i)) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}
