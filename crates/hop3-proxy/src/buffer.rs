// SPDX-License-Identifier: Apache-2.0
//! Memory for bytes under way: one read buffer per thread, and growing buffers that are used again.
//!
//! Invariant: a connection that waits for its next request owns none of either.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// One read takes at most this much, so no more than this waits in memory for a slow reader, each way.
pub(crate) const PIECE: usize = 64 << 10;
const FIRST_CAPACITY: usize = 4 << 10;
const KEPT: usize = 256;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE]);
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Lends the thread's read buffer for the time of one poll.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| work(scratch))
}

/// A byte vector that comes from a free list and goes back to it.
#[derive(Default)]
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    /// The vector, with room to begin with.
    pub(crate) fn open(&mut self) -> &mut Vec<u8> {
        if self.0.capacity() == 0 {
            self.0 = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(FIRST_CAPACITY));
        }
        &mut self.0
    }

    /// Gives the memory back.
    pub(crate) fn release(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        if bytes.capacity() == 0 || bytes.capacity() > 2 * PIECE {
            return;
        }
        bytes.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT {
                spare.push(bytes);
            }
        });
    }

    /// Drops the first `count` bytes, and the memory with the last of them.
    pub(crate) fn consume(&mut self, count: usize) {
        if count >= self.0.len() {
            self.release();
        } else {
            self.0.drain(..count);
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.release();
    }
}
