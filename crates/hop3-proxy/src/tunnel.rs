// SPDX-License-Identifier: Apache-2.0
//! After `101 Switching Protocols`: bytes both ways until both sides have ended, or either broke.
//!
//! Invariant: the end of one direction is passed on as an end of that direction only.

use crate::buffer::{Buffer, with_scratch};
use crate::stream::Stream;
use crate::upload::write_now;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

/// One direction. `pending` has what was read already.
pub(crate) async fn pump(
    from: &Stream,
    to: &Stream,
    mut pending: Buffer,
    moved: impl Fn(),
) -> io::Result<()> {
    loop {
        let mut sent = 0;
        while sent < pending.len() {
            sent += poll_fn(|cx| to.poll_write(cx, &pending[sent..])).await?;
            moved();
        }
        pending.release();
        if poll_fn(|cx| poll_piece(cx, from, to, &mut pending)).await? == 0 {
            return to.finish().await;
        }
        moved();
    }
}

fn poll_piece(cx: &mut Context, from: &Stream, to: &Stream, pending: &mut Buffer) -> Poll<io::Result<usize>> {
    with_scratch(|scratch| {
        let count = ready!(from.poll_read(cx, scratch))?;
        let written = if count == 0 { 0 } else { write_now(to, cx, &scratch[..count])? };
        if written < count {
            pending.open().extend_from_slice(&scratch[written..count]);
        }
        Poll::Ready(Ok(count))
    })
}
