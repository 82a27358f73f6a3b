// SPDX-License-Identifier: Apache-2.0
//! Bytes both ways until both sides have ended, or either broke: after `101 Switching Protocols`, and where there never
//! was HTTP.
//!
//! Invariant: the end of one direction is passed on as an end of that direction only. Large amounts go through a pipe
//! in the kernel (`splice`), which is given back as soon as nothing more is there: a connection that idles owns none.

use crate::buffer::{Buffer, PIECE, with_scratch};
use crate::deadline::{Deadlines, Verdict, Watch};
use crate::splice::{self, Flow};
use crate::stream::Stream;
use crate::upload::write_now;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long nothing may move; zero is no limit.
#[derive(Clone, Copy)]
pub(crate) struct Silence {
    pub(crate) both: Duration,
    /// Once one side has ended: half a connection is seldom of use for long.
    pub(crate) one: Duration,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Both sides said that it was all.
    Whole,
    Broken,
    Late(Verdict),
}

/// Carries a connection to its end. Each stream comes with what was read of it already.
pub(crate) async fn carry(
    ((client, up), (upstream, down)): ((&Stream, Buffer), (&Stream, Buffer)),
    deadlines: &Deadlines,
    watch: &Watch,
    silence: Silence,
) -> Ended {
    let limit = Cell::new(silence.both);
    let moved = || deadlines.set(watch, limit.get());
    moved();
    let mut up = pin!(pump(client, upstream, up, moved));
    let mut down = pin!(pump(upstream, client, down, moved));
    let (mut up_ended, mut down_ended) = (false, false);
    poll_fn(|cx| {
        for (ended, side) in [(&mut up_ended, 0), (&mut down_ended, 1)] {
            if *ended {
                continue;
            }
            let polled = if side == 0 { up.as_mut().poll(cx) } else { down.as_mut().poll(cx) };
            match polled {
                Poll::Ready(Ok(())) => {
                    *ended = true;
                    limit.set(silence.one);
                    moved();
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Ended::Broken),
                Poll::Pending => {}
            }
        }
        if up_ended && down_ended { Poll::Ready(Ended::Whole) } else { watch.poll(cx).map(Ended::Late) }
    })
    .await
}

/// One direction. `pending` has what was read already.
async fn pump(from: &Stream, to: &Stream, mut pending: Buffer, moved: impl Fn()) -> io::Result<()> {
    loop {
        let mut sent = 0;
        while sent < pending.len() {
            sent += poll_fn(|cx| to.poll_write(cx, &pending[sent..])).await?;
            moved();
        }
        pending.release();
        let count = poll_fn(|cx| poll_piece(cx, from, to, &mut pending)).await?;
        if count == 0 {
            return to.finish().await;
        }
        moved();
        if count == PIECE
            && pending.is_empty()
            && splice::is_possible(from, to)
            && splice::flow(from, to, &moved).await? == Flow::Ended
        {
            return to.finish().await;
        }
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
