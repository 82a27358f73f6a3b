// SPDX-License-Identifier: Apache-2.0
//! `Queue`: the ring that is shared with the kernel, and the memory the kernel works on, made safe.
//!
//! Invariant: memory that the kernel may still read or write is owned here until the kernel has said that it is done.
//! What is to be sent comes in by value and goes out again with its completion; what was received lies in a `Piece`,
//! which is given back by value. A queue that is dropped cancels what is under way and waits for it; what the kernel
//! does not let go of even then is never freed.

#![expect(unsafe_code, reason = "the kernel is handed memory; each use says why it is sound")]

use crate::buffer::Buffer;
use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering::Release, Ordering::SeqCst, fence};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Entries that wait for the call; more are submitted early.
const ENTRIES: u32 = 512;
const COMPLETIONS: u32 = 4096;
/// So many are taken in one turn: what comes of them is on its way before the next are looked at.
const TAKEN: usize = 32;
/// Buffers all connections of a thread receive into. A power of two. Few, so that they stay in the processor's cache.
const PIECES: u16 = 64;
const PIECE_BYTES: usize = 16 << 10;
/// From one to the next: the beginnings of all would have the same few places in the cache otherwise.
const STRIDE: usize = PIECE_BYTES + 320;
const GROUP: u16 = 0;
/// How long a queue that is dropped waits for what it has cancelled.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is asked of the kernel for a slot. One of each kind at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All that comes, until it is cancelled, ends or there is no piece left.
    Receive,
    /// The whole of some bytes.
    Send,
    /// That something is there to be read.
    Readable,
    /// That something could be written.
    Writable,
    Cancel,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Receive, Kind::Send, Kind::Readable, Kind::Writable, Kind::Cancel];
}

pub(super) struct Completion {
    pub(super) slot: u32,
    pub(super) kind: Kind,
    pub(super) result: Result<usize, Errno>,
    /// The same entry will complete again.
    pub(super) more: bool,
    /// Where the bytes lie.
    pub(super) piece: Option<Piece>,
}

/// One of the queue's buffers, which the kernel has filled. Not to be copied: there is one for each buffer that is away.
pub(super) struct Piece(u16);

pub(super) struct Queue {
    ring: IoUring,
    pieces: Pieces,
    /// By slot: what the kernel sends.
    sends: Vec<Option<Buffer>>,
    /// Entries that did not fit.
    late: VecDeque<squeue::Entry>,
    /// Entries whose last completion has not come.
    under_way: usize,
}

impl Queue {
    /// # Errors
    /// The kernel does not have all this, or does not let us.
    pub(super) fn new() -> io::Result<Queue> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_defer_taskrun()
            .setup_cqsize(COMPLETIONS)
            .build(ENTRIES)?;
        let pieces = Pieces::new();
        // SAFETY: the entries are page-aligned, as long as said, and freed after the ring is closed (`drop`).
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                pieces.entries.as_ptr() as u64,
                PIECES,
                GROUP,
                0,
            )?;
        }
        Ok(Queue { ring, pieces, sends: Vec::new(), late: VecDeque::new(), under_way: 0 })
    }

    /// A descriptor that becomes readable when something completes while the bell is on.
    pub(super) fn bell(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        self.ring.submitter().register_eventfd(bell.as_raw_fd())?;
        // SAFETY: the descriptor is owned by what is made, and always the same.
        Ok(unsafe { AsyncFd::register_with_interest(bell, Interest::READABLE) }?)
    }

    pub(super) fn ring_bell(&mut self, is_on: bool) {
        let completions = self.ring.completion();
        if is_on {
            completions.enable_eventfd();
            // Whatever completes before this is seen by `has_work`, whatever completes later rings.
            fence(SeqCst);
        } else {
            completions.disable_eventfd();
        }
    }

    /// A call would bring or submit something.
    pub(super) fn has_work(&mut self) -> bool {
        let entries = self.ring.submission();
        let is_called_for = !entries.is_empty() || entries.taskrun() || entries.cq_overflow();
        drop(entries);
        is_called_for || !self.ring.completion().is_empty()
    }

    pub(super) fn receive(&mut self, slot: u32, from: BorrowedFd) {
        let entry = opcode::RecvMulti::new(Fd(from.as_raw_fd()), GROUP).build();
        self.push(entry, slot, Kind::Receive);
    }

    /// Sends all of `bytes`, which are kept until `take_sent`.
    pub(super) fn send(&mut self, slot: u32, to: BorrowedFd, bytes: Buffer) {
        let place = slot as usize;
        if self.sends.len() <= place {
            self.sends.resize_with(place + 64, || None);
        }
        assert!(self.sends[place].is_none(), "the kernel still sends the bytes of this slot");
        let flags = SendFlags::NOSIGNAL.bits() as i32 | MSG_WAITALL;
        let entry = opcode::Send::new(Fd(to.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32).flags(flags);
        self.push(entry.build(), slot, Kind::Send);
        // The bytes lie on the heap, so that moving the buffer does not move them.
        self.sends[place] = Some(bytes);
    }

    /// What has been sent, after the completion.
    pub(super) fn take_sent(&mut self, completion: &Completion) -> Option<Buffer> {
        match completion.kind {
            Kind::Send => self.sends.get_mut(completion.slot as usize)?.take(),
            _ => None,
        }
    }

    pub(super) fn poll(&mut self, slot: u32, fd: BorrowedFd, kind: Kind) {
        let wanted = if kind == Kind::Readable { PollFlags::IN | PollFlags::RDHUP } else { PollFlags::OUT };
        let entry = opcode::PollAdd::new(Fd(fd.as_raw_fd()), u32::from(wanted.bits())).build();
        self.push(entry, slot, kind);
    }

    pub(super) fn cancel(&mut self, slot: u32, kind: Kind) {
        self.push(opcode::AsyncCancel::new(user_data(slot, kind)).build(), slot, Kind::Cancel);
    }

    fn push(&mut self, entry: squeue::Entry, slot: u32, kind: Kind) {
        let entry = entry.user_data(user_data(slot, kind));
        self.under_way += 1;
        if !self.late.is_empty() || !self.submit(&entry) {
            self.late.push_back(entry);
        }
    }

    /// False when the queue is full.
    fn submit(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: what the entry points to is kept by `sends` until its completion, or is nothing.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    fn submit_late(&mut self) {
        while let Some(entry) = self.late.pop_front() {
            if !self.submit(&entry) {
                return self.late.push_front(entry);
            }
        }
    }

    /// The one call: submits, and takes what has completed.
    pub(super) fn turn(&mut self, into: &mut Vec<Completion>) {
        let count = self.ring.submission().len();
        // SAFETY: the arguments are those of a call that has none.
        let entered = unsafe {
            let flags = EnterFlags::GETEVENTS.bits();
            self.ring.submitter().enter::<()>(count as u32, 0, flags, None)
        };
        // It is repeated at the next turn.
        if let Err(error) = entered {
            tracing::debug!(%error, "io_uring_enter");
        }
        self.reap(into);
        self.submit_late();
    }

    fn reap(&mut self, into: &mut Vec<Completion>) {
        for entry in self.ring.completion().take(TAKEN) {
            let more = cqueue::more(entry.flags());
            self.under_way -= usize::from(!more);
            into.push(Completion {
                slot: (entry.user_data() >> 8) as u32,
                kind: Kind::ALL[entry.user_data() as usize & 0xff],
                result: match entry.result() {
                    count @ 0.. => Ok(count as usize),
                    error => Err(Errno::from_raw_os_error(-error)),
                },
                more,
                piece: cqueue::buffer_select(entry.flags()).map(Piece),
            });
        }
    }

    /// The bytes of a completion.
    pub(super) fn bytes(&self, piece: &Piece, count: usize) -> &[u8] {
        self.pieces.bytes(piece, count)
    }

    pub(super) fn give_back(&mut self, piece: Piece) {
        self.pieces.give(piece.0);
    }

    /// Waits a moment for a completion.
    pub(super) fn wait(&mut self, limit: Duration, into: &mut Vec<Completion>) {
        let limit = Timespec::from(limit);
        self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&limit)).ok();
        self.reap(into);
        self.submit_late();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let everything = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        self.push(everything, u32::MAX, Kind::Cancel);
        let end = Instant::now() + PATIENCE;
        let mut done = Vec::new();
        while self.under_way > 0 && Instant::now() < end {
            self.wait(Duration::from_millis(50), &mut done);
            done.clear();
        }
        if self.under_way > 0 {
            tracing::error!(count = self.under_way, "the kernel does not let go of buffers");
            mem::forget(mem::take(&mut self.sends));
            self.pieces.is_lost = true;
        } else {
            self.ring.submitter().unregister_buf_ring(GROUP).ok();
        }
    }
}

const MSG_WAITALL: i32 = 0x100;

fn user_data(slot: u32, kind: Kind) -> u64 {
    u64::from(slot) << 8 | kind as u64
}

/// The buffers, and the ring in which the kernel finds those that are free.
struct Pieces {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    tail: u16,
    /// The kernel may still write here.
    is_lost: bool,
}

impl Pieces {
    const ENTRIES: Layout = layout(PIECES as usize * size_of::<BufRingEntry>());
    const BYTES: Layout = layout(PIECES as usize * STRIDE);

    fn new() -> Pieces {
        let (entries, bytes) = (allocate(Pieces::ENTRIES).cast(), allocate(Pieces::BYTES));
        let mut pieces = Pieces { entries, bytes, tail: 0, is_lost: false };
        for id in 0..PIECES {
            pieces.give(id);
        }
        pieces
    }

    /// Lets the kernel fill a buffer, which nobody else has.
    fn give(&mut self, id: u16) {
        let place = usize::from(self.tail & (PIECES - 1));
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `place` and `id` are below `PIECES`, as many as were allocated, and zeroed memory is an entry. The
        // kernel reads an entry only once the tail says so; the tail lies in a part of the first one that is no
        // entry's, and is written here alone.
        unsafe {
            let entry = self.entries.add(place).as_mut();
            entry.set_addr(self.bytes.add(usize::from(id) * STRIDE).as_ptr() as u64);
            entry.set_len(PIECE_BYTES as u32);
            entry.set_bid(id);
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.tail, Release);
        }
    }

    fn bytes(&self, piece: &Piece, count: usize) -> &[u8] {
        let start = usize::from(piece.0 & (PIECES - 1)) * STRIDE;
        // SAFETY: inside what was allocated. Whoever has the piece has the buffer to himself: the kernel has filled it
        // and gets it back by `give_back` alone, which ends the borrow.
        unsafe { slice::from_raw_parts(self.bytes.add(start).as_ptr(), count.min(PIECE_BYTES)) }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if self.is_lost {
            return;
        }
        // SAFETY: allocated with these layouts, and the kernel has said that nothing is under way.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), Pieces::ENTRIES);
            dealloc(self.bytes.as_ptr(), Pieces::BYTES);
        }
    }
}

const fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, 4096) {
        Ok(layout) => layout,
        Err(_) => panic!("a size that fits"),
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layout is not empty.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
