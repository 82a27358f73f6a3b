// SPDX-License-Identifier: Apache-2.0
//! Dumps as they are read back: what they make belongs to whoever reads them, and one that claims to be a dump must
//! have its end.

use std::io::{self, BufRead, BufReader, Read};

/// How lines begin that say in whose name a view, a trigger, a routine or an event acts. Values of rows never begin a
/// line: dumps write line ends in them as `\n`.
const DEFINER_LINES: [&[u8]; 6] = [
    b"CREATE DEFINER=",
    b"/*!50013 DEFINER=",
    b"/*!50003 CREATE*/ /*!50017 DEFINER=",
    b"/*!50003 CREATE*/ /*!50020 DEFINER=",
    b"/*!50106 CREATE*/ /*!50117 DEFINER=",
    b"/*!50001 CREATE DEFINER=",
];

const DEFINER: &[u8] = b"DEFINER=";

/// Of a line, so much is looked at and held.
const PIECE: u64 = 64 * 1024;

/// What says that it is a dump stands in so many bytes of its beginning.
const HEAD: usize = 512;

/// What says that it is whole stands in so many bytes of its end.
const TAIL: usize = 128;

pub(super) struct Dump<R> {
    lines: BufReader<R>,
    piece: Vec<u8>,
    at: usize,
    is_line_start: bool,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl<R: Read> Dump<R> {
    pub(super) fn new(from: R) -> Dump<R> {
        let lines = BufReader::with_capacity(PIECE as usize, from);
        Dump { lines, piece: Vec::new(), at: 0, is_line_start: true, head: Vec::new(), tail: Vec::new() }
    }

    /// There is something to read.
    pub(super) fn is_empty(&mut self) -> io::Result<bool> {
        Ok(self.lines.fill_buf()?.is_empty())
    }

    /// After all was read: nothing is missing, as far as it tells.
    pub(super) fn is_whole(&self) -> bool {
        let has = |text: &[u8], words: &[u8]| text.windows(words.len()).any(|window| window == words);
        let is_dump = has(&self.head, b"-- MariaDB dump") || has(&self.head, b"-- MySQL dump");
        !is_dump || has(&self.tail, b"-- Dump completed")
    }

    fn next_piece(&mut self) -> io::Result<()> {
        self.piece.clear();
        self.at = 0;
        (&mut self.lines).take(PIECE).read_until(b'\n', &mut self.piece)?;
        let missing = HEAD.saturating_sub(self.head.len());
        self.head.extend(self.piece.iter().take(missing));
        self.tail.extend_from_slice(&self.piece);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        let begins_line = std::mem::replace(&mut self.is_line_start, self.piece.ends_with(b"\n"));
        if begins_line && DEFINER_LINES.iter().any(|start| self.piece.starts_with(start)) {
            without_definer(&mut self.piece);
        }
        Ok(())
    }
}

impl<R: Read> Read for Dump<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            self.next_piece()?;
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// Takes the first ``DEFINER=`user`@`host` `` out of a line.
fn without_definer(line: &mut Vec<u8>) {
    let Some(start) = line.windows(DEFINER.len()).position(|window| window == DEFINER) else { return };
    let user = start + DEFINER.len();
    let Some(mut end) = quoted(line, user) else { return };
    if line.get(end) == Some(&b'@') {
        end = quoted(line, end + 1).unwrap_or(end);
    }
    line.drain(start..end);
}

/// Where a name in back quotes that begins there ends.
fn quoted(line: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    if line.get(at) != Some(&b'`') {
        return None;
    }
    loop {
        at += 1 + line.get(at + 1..)?.iter().position(|byte| *byte == b'`')? + 1;
        // Two of them are one of the name's.
        if line.get(at) != Some(&b'`') {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests;
