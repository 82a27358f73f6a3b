// SPDX-License-Identifier: Apache-2.0
//! `Frames`: cuts what a client sends on a request's stream into pieces, before h3 reads them.
//!
//! h3 reads two pieces for each frame of data and takes one, so that small frames in large pieces would pile up; it
//! waits for all of any other frame, however long; it takes a frame of no data, and a stream that ends within a frame,
//! for the end of a body; and it refuses a request that names a protocol which it does not know.
//!
//! Invariants: a piece is the start of a frame, or payload of one frame; no frame of data is empty, and no other is
//! longer than the limit; a request's head leaves without `:protocol`, which is told apart from it.

use super::protocol::{self, Asked};
use bytes::{Buf, Bytes};
use h3::error::Code;
use std::cell::Cell;
use std::rc::Rc;

const DATA: u64 = 0x0;
const HEADERS: u64 = 0x1;

pub(crate) struct Frames {
    limit: usize,
    asked: Rc<Cell<Asked>>,
    place: Place,
    /// What came of a frame's start, or of the head, and is not whole.
    held: Vec<u8>,
    is_headed: bool,
}

/// Where in a frame the next byte lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// In the request's head, which is this long.
    Head(usize),
    /// In payload of which so much is still to come.
    Payload(usize),
}

impl Frames {
    pub(crate) fn new(limit: usize, asked: Rc<Cell<Asked>>) -> Frames {
        Frames { limit, asked, place: Place::Start, held: Vec::new(), is_headed: false }
    }

    /// Takes the next piece from what has come; `None` when more has to come.
    ///
    /// # Errors
    /// The code to break the stream off with.
    pub(crate) fn next(&mut self, rest: &mut Bytes) -> Result<Option<Bytes>, Code> {
        while !rest.is_empty() {
            let piece = match self.place {
                Place::Start => self.start(rest)?,
                Place::Head(length) => self.head(length, rest),
                Place::Payload(left) => {
                    let piece = rest.split_to(left.min(rest.len()));
                    self.place = Place::within(left - piece.len());
                    Some(piece)
                }
            };
            if piece.is_some() {
                return Ok(piece);
            }
        }
        Ok(None)
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn end(&self) -> Result<(), Code> {
        let is_between = self.place == Place::Start && self.held.is_empty();
        if is_between { Ok(()) } else { Err(Code::H3_FRAME_ERROR) }
    }

    fn start(&mut self, rest: &mut Bytes) -> Result<Option<Bytes>, Code> {
        if self.held.is_empty()
            && let Some((kind, length, used)) = start(rest)
        {
            let piece = rest.split_to(used);
            return self.begin(kind, length, piece);
        }
        while rest.has_remaining() {
            self.held.push(rest.get_u8());
            if let Some((kind, length, _)) = start(&self.held) {
                let piece = Bytes::from(std::mem::take(&mut self.held));
                return self.begin(kind, length, piece);
            }
        }
        Ok(None)
    }

    fn begin(&mut self, kind: u64, length: u64, start: Bytes) -> Result<Option<Bytes>, Code> {
        let length = usize::try_from(length).map_err(|_| Code::H3_EXCESSIVE_LOAD)?;
        if kind != DATA && length > self.limit {
            return Err(Code::H3_EXCESSIVE_LOAD);
        }
        if kind == HEADERS && !self.is_headed && length > 0 {
            self.is_headed = true;
            self.place = Place::Head(length);
            return Ok(None);
        }
        self.place = Place::within(length);
        Ok(Some(start).filter(|_| kind != DATA || length > 0))
    }

    fn head(&mut self, length: usize, rest: &mut Bytes) -> Option<Bytes> {
        let more = rest.split_to((length - self.held.len()).min(rest.len()));
        self.held.extend_from_slice(&more);
        if self.held.len() < length {
            return None;
        }
        self.place = Place::Start;
        let mut lines = std::mem::take(&mut self.held);
        self.asked.set(protocol::take(&mut lines));
        Some(framed(&lines))
    }
}

impl Place {
    fn within(left: usize) -> Place {
        if left == 0 { Place::Start } else { Place::Payload(left) }
    }
}

/// A frame's type, the length of its payload, and how many bytes said so (RFC 9114, 7.1).
pub(crate) fn start(bytes: &[u8]) -> Option<(u64, u64, usize)> {
    let (kind, used) = number(bytes)?;
    let (length, more) = number(&bytes[used..])?;
    Some((kind, length, used + more))
}

/// A number and how many bytes it has (RFC 9000, 16).
fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let size = 1 << (first >> 6);
    let rest = bytes.get(1..size)?;
    let number = rest.iter().fold(u64::from(first & 0x3f), |number, byte| number << 8 | u64::from(*byte));
    Some((number, size))
}

fn framed(lines: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(5 + lines.len());
    out.push(HEADERS as u8);
    // In four bytes, whatever it is.
    out.extend_from_slice(&(0x8000_0000 | lines.len() as u32).to_be_bytes());
    out.extend_from_slice(lines);
    out.into()
}
