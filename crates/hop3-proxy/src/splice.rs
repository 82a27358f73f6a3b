// SPDX-License-Identifier: Apache-2.0
//! Large bodies from socket to socket without a copy: the kernel moves pages through a pipe that stands between.
//!
//! Invariant: a pipe that is lent is empty, and exactly as many bytes pass as were asked for or as came, or an error
//! tells which side broke off.

use crate::buffer::{Buffer, PIECE, with_scratch};
use crate::stream::Stream;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::pin;
use std::task::{Poll, ready};

/// Less than this is copied: a pipe costs calls of its own.
pub(crate) const WORTH: u64 = 128 << 10;
/// What one pipe may hold. A system may allow less.
const PIPE_BYTES: usize = 1 << 20;
/// Pipes that one thread keeps.
const KEPT: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<(OwnedFd, OwnedFd)>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
pub(crate) enum Broken {
    /// It ended early, or failed.
    From,
    To,
}

/// Reading end and writing end.
struct Pipe<'a> {
    ends: Option<(OwnedFd, OwnedFd)>,
    held: &'a Cell<usize>,
}

impl<'a> Pipe<'a> {
    fn take(held: &'a Cell<usize>) -> io::Result<Pipe<'a>> {
        held.set(0);
        let spare = SPARE.with_borrow_mut(Vec::pop);
        let ends = match spare {
            Some(ends) => ends,
            None => {
                let ends = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
                // The default of 64 KiB works too.
                fcntl_setpipe_size(&ends.1, PIPE_BYTES).ok();
                ends
            }
        };
        Ok(Pipe { ends: Some(ends), held })
    }

    fn fill(&self, from: BorrowedFd, count: u64) -> io::Result<usize> {
        let Some((_, into)) = &self.ends else { return Ok(0) };
        let count = count.min(PIPE_BYTES as u64) as usize;
        Ok(splice(from, None, into, None, count, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
    }

    fn empty(&self, to: BorrowedFd) -> io::Result<usize> {
        let Some((out, _)) = &self.ends else { return Ok(0) };
        Ok(splice(out, None, to, None, self.held.get(), SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
    }
}

impl Drop for Pipe<'_> {
    fn drop(&mut self) {
        // One that holds bytes of a body that was broken off must never be used again.
        if self.held.get() == 0
            && let Some(ends) = self.ends.take()
        {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < KEPT {
                    spare.push(ends);
                }
            });
        }
    }
}

/// True when bytes can pass between these two inside the kernel.
pub(crate) fn is_possible(from: &Stream, to: &Stream) -> bool {
    from.is_socket() && to.is_socket()
}

/// Carries exactly `left` bytes. `held` tells meanwhile how many wait for the receiver.
pub(crate) async fn carry(
    from: &Stream,
    to: &Stream,
    mut left: u64,
    held: &Cell<usize>,
    moved: &impl Fn(),
) -> Result<(), Broken> {
    held.set(0);
    left -= ahead(from, to, left, moved).await?;
    let pipe = Pipe::take(held).map_err(|_| Broken::To)?;
    while left > 0 {
        let count = from.read_with(|fd| pipe.fill(fd, left)).await.map_err(|_| Broken::From)?;
        if count == 0 {
            return Err(Broken::From);
        }
        held.set(count);
        left -= count as u64;
        moved();
        drain(&pipe, to, moved).await.map_err(|_| Broken::To)?;
    }
    Ok(())
}

/// Copies what was received before the kernel was to carry the rest, at most `left` bytes.
async fn ahead(from: &Stream, to: &Stream, left: u64, moved: &impl Fn()) -> Result<u64, Broken> {
    let mut count = 0;
    let mut piece = Buffer::default();
    while count < left && from.rest().await {
        let room = (left - count).min(PIECE as u64) as usize;
        let read = poll_fn(|cx| {
            with_scratch(|scratch| {
                let read = ready!(from.poll_read(cx, &mut scratch[..room]))?;
                piece.open().extend_from_slice(&scratch[..read]);
                Poll::Ready(io::Result::Ok(read))
            })
        });
        count += read.await.map_err(|_| Broken::From)? as u64;
        to.write_all(&piece).await.map_err(|_| Broken::To)?;
        piece.release();
        moved();
    }
    Ok(count)
}

/// Passes all that the pipe holds on.
async fn drain(pipe: &Pipe<'_>, to: &Stream, moved: &impl Fn()) -> io::Result<()> {
    while pipe.held.get() > 0 {
        let count = to.write_with(|fd| pipe.empty(fd)).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        pipe.held.set(pipe.held.get() - count);
        moved();
    }
    Ok(())
}

/// Why bytes stopped flowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Ended,
    /// Nothing is there at the moment.
    Paused,
}

/// Carries whatever comes, for as long as it comes without a pause.
pub(crate) async fn flow(from: &Stream, to: &Stream, moved: &impl Fn()) -> io::Result<Flow> {
    ahead(from, to, u64::MAX, moved).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
    let held = Cell::new(0);
    let pipe = Pipe::take(&held)?;
    loop {
        let Some(count) = fill_now(&pipe, from).await? else { return Ok(Flow::Paused) };
        if count == 0 {
            return Ok(Flow::Ended);
        }
        held.set(count);
        moved();
        drain(&pipe, to, moved).await?;
    }
}

/// `None` when nothing is there, even after others had their turn.
async fn fill_now(pipe: &Pipe<'_>, from: &Stream) -> io::Result<Option<usize>> {
    let mut reading = pin!(from.read_with(|fd| pipe.fill(fd, PIPE_BYTES as u64)));
    for is_last in [false, true] {
        let read = poll_fn(|cx| match reading.as_mut().poll(cx) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending => Poll::Ready(None),
        });
        match read.await {
            Some(read) => return read.map(Some),
            None if is_last => break,
            None => tokio::task::yield_now().await,
        }
    }
    Ok(None)
}
