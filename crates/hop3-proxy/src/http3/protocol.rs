// SPDX-License-Identifier: Apache-2.0
//! What a request's head asks for by `:protocol` (RFC 9220), read from the field lines as they are on the wire
//! (QPACK, RFC 9204, 4.5) and taken out of them.
//!
//! Invariant: lines that are not understood are left as they are, for h3 to refuse.

use std::ops::Range;

/// The protocol that a stream shall carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Asked {
    /// HTTP.
    #[default]
    Nothing,
    WebSocket,
    Other,
}

impl Asked {
    /// As `head::request` wants it.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Asked::Nothing => None,
            Asked::WebSocket => Some("websocket"),
            Asked::Other => Some("other"),
        }
    }
}

/// A word as it is, and in the one way there is to write it in Huffman's code (RFC 7541, 5.2).
struct Word {
    plain: &'static [u8],
    coded: &'static [u8],
}

const PROTOCOL: Word = Word { plain: b":protocol", coded: b"\xb9\x5d\x87\x49\xc8\x7a\x3f" };
const WEBSOCKET: Word = Word { plain: b"websocket", coded: b"\xf0\x58\xd0\x72\x75\x2a\x7f" };

impl Word {
    fn is(&self, text: &Text<'_>) -> bool {
        text.bytes == if text.is_coded { self.coded } else { self.plain }
    }
}

/// Removes the line that names a protocol. Where several do, they are left: h3 refuses what it finds there.
pub(super) fn take(lines: &mut Vec<u8>) -> Asked {
    let Some((line, asked)) = find(lines) else { return Asked::Nothing };
    lines.drain(line);
    asked
}

/// The only line that names a protocol.
fn find(lines: &[u8]) -> Option<(Range<usize>, Asked)> {
    let mut reader = Reader { bytes: lines, at: 0 };
    // With what was said on other streams: nothing, since no client is offered a table there.
    reader.number(8)?;
    reader.number(7)?;
    let mut found = None;
    while reader.at < lines.len() {
        let from = reader.at;
        let Some((name, value)) = reader.line()? else { continue };
        if PROTOCOL.is(&name) {
            let asked = if WEBSOCKET.is(&value) { Asked::WebSocket } else { Asked::Other };
            if found.replace((from..reader.at, asked)).is_some() {
                return None;
            }
        }
    }
    found
}

struct Text<'b> {
    bytes: &'b [u8],
    is_coded: bool,
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    /// Name and value of the next line where it says both itself; the outer `None` when it cannot be read.
    fn line(&mut self) -> Option<Option<(Text<'b>, Text<'b>)>> {
        let first = *self.bytes.get(self.at)?;
        match first.leading_zeros() {
            // A line of a table.
            0 => drop(self.number(6)?),
            // A name of a table.
            1 => {
                self.number(4)?;
                self.text(7)?;
            }
            2 => return Some(Some((self.text(3)?, self.text(7)?))),
            // The same two of the table that no client is offered.
            3 => drop(self.number(4)?),
            _ => {
                self.number(3)?;
                self.text(7)?;
            }
        }
        Some(None)
    }

    /// A text whose length has so many bits of its first byte; the bit before them tells whether it is coded.
    fn text(&mut self, bits: u32) -> Option<Text<'b>> {
        let is_coded = *self.bytes.get(self.at)? >> bits & 1 == 1;
        let length = self.number(bits)?;
        let bytes = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(Text { bytes, is_coded })
    }

    /// A number that begins with so many bits of the next byte (RFC 7541, 5.1).
    fn number(&mut self, bits: u32) -> Option<usize> {
        let most = (1_usize << bits) - 1;
        let mut number = usize::from(self.next()?) & most;
        if number < most {
            return Some(number);
        }
        // No head is longer than three of them can say.
        for shift in [0, 7, 14] {
            let byte = self.next()?;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }
}
