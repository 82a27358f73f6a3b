// SPDX-License-Identifier: Apache-2.0
//! What `redis-cli --rdb -` writes too much: the mark by which the server tells it where the data end.

use std::io::{self, Write};

/// So many hexadecimal digits. The data themselves end with a byte of ones and a checksum of eight.
const MARK: usize = 40;

/// Passes on all but a mark at the end.
pub(super) struct WithoutMark<'a> {
    to: &'a mut dyn Write,
    held: Vec<u8>,
}

impl<'a> WithoutMark<'a> {
    pub(super) fn new(to: &'a mut dyn Write) -> WithoutMark<'a> {
        WithoutMark { to, held: Vec::new() }
    }

    pub(super) fn end(self) -> io::Result<()> {
        let is_mark = self.held.len() == MARK && self.held.iter().all(u8::is_ascii_hexdigit);
        if is_mark { Ok(()) } else { self.to.write_all(&self.held) }
    }
}

impl Write for WithoutMark<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        let certain = self.held.len().saturating_sub(MARK);
        self.to.write_all(&self.held[..certain])?;
        self.held.drain(..certain);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
