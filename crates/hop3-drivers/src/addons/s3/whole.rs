// SPDX-License-Identifier: Apache-2.0
//! The end of what is written out: after the archive, which has its own end and whose readers stop there, a digest of
//! it. What was cut off or changed on its way has no end that fits.

use super::signed::hex;
use aws_lc_rs::digest::{Context, SHA256};
use std::io::{self, Read, Write};

const WORDS: &str = "\nhop3 objects sha256 ";

/// The words, the digest, a line's end.
const END: usize = WORDS.len() + 64 + 1;

fn end(context: Context) -> String {
    format!("{WORDS}{}\n", hex(context.finish().as_ref()))
}

/// Passes on what is written, and its end when it is over.
pub(super) struct Ending<'a> {
    to: &'a mut dyn Write,
    context: Context,
}

impl<'a> Ending<'a> {
    pub(super) fn new(to: &'a mut dyn Write) -> Ending<'a> {
        Ending { to, context: Context::new(&SHA256) }
    }

    pub(super) fn end(self) -> io::Result<()> {
        self.to.write_all(end(self.context).as_bytes())
    }
}

impl Write for Ending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.context.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Gives all but the end, and knows afterwards whether that fits.
pub(super) struct Whole<'a> {
    from: &'a mut dyn Read,
    context: Context,
    /// Read and not given: what may be the end.
    held: Vec<u8>,
}

impl<'a> Whole<'a> {
    pub(super) fn new(from: &'a mut dyn Read) -> Whole<'a> {
        Whole { from, context: Context::new(&SHA256), held: Vec::new() }
    }

    /// Reads what nobody read, and tells.
    pub(super) fn ends_whole(mut self) -> io::Result<bool> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.held == end(self.context).as_bytes())
    }
}

impl Read for Whole<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        while self.held.len() <= END {
            let count = self.from.read(&mut buffer)?;
            if count == 0 {
                return Ok(0);
            }
            self.held.extend_from_slice(&buffer[..count]);
        }
        let count = into.len().min(self.held.len() - END);
        into[..count].copy_from_slice(&self.held[..count]);
        self.held.drain(..count);
        self.context.update(&into[..count]);
        Ok(count)
    }
}
