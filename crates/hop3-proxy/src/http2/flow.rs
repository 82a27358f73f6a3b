// SPDX-License-Identifier: Apache-2.0
//! Bodies between a stream of HTTP/2 and memory that holds HTTP/1, with back-pressure both ways.

use super::head;
use crate::http1::body::{Body, Framing};
use crate::memory::Memory;
use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The stream was reset.
    Reset,
    /// The other side has done nothing for it and says so (RFC 9113, 8.7).
    Refused,
    /// The connection is gone.
    Lost,
    /// The memory's other end broke off.
    Broken,
}

impl From<h2::Error> for Cut {
    fn from(error: h2::Error) -> Cut {
        match error.is_remote() {
            // Of streams with lower numbers nothing is said at a GOAWAY: they go on.
            true if error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM) => Cut::Refused,
            true => Cut::Reset,
            false => Cut::Lost,
        }
    }
}

/// Brings a stream's body to the memory. Ends well also when nobody reads it there.
pub(super) async fn inward(mut body: RecvStream, link: &Memory, framing: Framing) -> Result<(), Cut> {
    let mut out = Vec::new();
    while let Some(data) = poll_fn(|cx| body.poll_data(cx)).await {
        let data = data?;
        if poll_fn(|cx| link.poll_room(cx)).await.is_err() {
            return Ok(());
        }
        match framing {
            Framing::Raw => link.put(&data),
            Framing::Chunked => {
                out.clear();
                framing.write(&mut out, &data);
                link.put(&out);
            }
        }
        // Only now may the other side send as much again.
        body.flow_control().release_capacity(data.len())?;
    }
    let trailers = poll_fn(|cx| body.poll_trailers(cx)).await?;
    out.clear();
    framing.finish(&mut out, &trailers.map(|trailers| head::trailer_lines(&trailers)).unwrap_or_default());
    link.put(&out);
    link.end();
    Ok(())
}

/// What comes out of the memory.
pub(super) struct Outward<'a> {
    link: &'a Memory,
    /// Taken from the memory and not yet used.
    held: BytesMut,
}

impl<'a> Outward<'a> {
    pub(super) fn new(link: &'a Memory) -> Outward<'a> {
        Outward { link, held: BytesMut::new() }
    }

    /// Waits until `parse` finds a whole head, or until the stream is reset.
    pub(super) async fn head<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Option<(T, usize)>,
        mut poll_reset: impl FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> Result<T, Cut> {
        loop {
            if let Some((head, used)) = parse(&self.held) {
                drop(self.held.split_to(used));
                return Ok(head);
            }
            let more = poll_fn(|cx| match self.link.poll_take(cx) {
                Poll::Ready(taken) => Poll::Ready(taken.ok().flatten().ok_or(Cut::Broken)),
                Poll::Pending => poll_reset(cx).map(|()| Err(Cut::Reset)),
            })
            .await?;
            if self.held.is_empty() {
                self.held = more;
            } else {
                self.held.extend_from_slice(&more);
            }
        }
    }

    /// Sends a body and its trailers. `moved` is called at each progress.
    pub(super) async fn body(
        &mut self,
        mut body: Body,
        stream: &mut SendStream<Bytes>,
        moved: impl Fn(),
    ) -> Result<(), Cut> {
        while !body.is_done() {
            if self.held.is_empty() {
                match poll_fn(|cx| self.poll_more(cx, stream)).await? {
                    Some(more) => self.held = more,
                    None if body.ends_at_close() => return end(stream, &[]),
                    None => return Err(Cut::Broken),
                }
            }
            let mut lines = Vec::new();
            let piece = body.take(&mut self.held, &mut lines).map_err(|_| Cut::Broken)?;
            let mut data = self.held.split_to(piece.consumed);
            data.truncate(piece.data);
            let is_last = body.is_done() && lines.is_empty();
            if !data.is_empty() {
                self.send(data.freeze(), is_last, stream, &moved).await?;
            } else if is_last {
                end(stream, &[])?;
            }
            if body.is_done() && !is_last {
                end(stream, &lines)?;
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        mut data: Bytes,
        is_last: bool,
        stream: &mut SendStream<Bytes>,
        moved: &impl Fn(),
    ) -> Result<(), Cut> {
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            while stream.capacity() == 0 {
                poll_fn(|cx| self.poll_window(cx, stream)).await?;
            }
            let piece = data.split_to(stream.capacity().min(data.len()));
            let ends = is_last && data.is_empty();
            stream.send_data(piece, ends).map_err(|_| Cut::Reset)?;
            moved();
        }
        Ok(())
    }

    /// More of the body, or its end; or the stream's reset.
    fn poll_more(
        &self,
        cx: &mut Context<'_>,
        stream: &mut SendStream<Bytes>,
    ) -> Poll<Result<Option<BytesMut>, Cut>> {
        match self.link.poll_take(cx) {
            Poll::Ready(taken) => Poll::Ready(taken.map_err(|_| Cut::Broken)),
            Poll::Pending => stream.poll_reset(cx).map(|_| Err(Cut::Reset)),
        }
    }

    /// The other side takes more; or there is no more for it.
    fn poll_window(&self, cx: &mut Context<'_>, stream: &mut SendStream<Bytes>) -> Poll<Result<(), Cut>> {
        match stream.poll_capacity(cx) {
            Poll::Ready(Some(Ok(_))) => Poll::Ready(Ok(())),
            Poll::Ready(_) => Poll::Ready(Err(Cut::Reset)),
            Poll::Pending => self.link.poll_broken(cx).map(|()| Err(Cut::Broken)),
        }
    }
}

fn end(stream: &mut SendStream<Bytes>, trailer_lines: &[u8]) -> Result<(), Cut> {
    let ended = if trailer_lines.is_empty() {
        stream.send_data(Bytes::new(), true)
    } else {
        stream.send_trailers(head::trailers(trailer_lines))
    };
    ended.map_err(|_| Cut::Reset)
}
