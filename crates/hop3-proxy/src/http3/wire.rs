// SPDX-License-Identifier: Apache-2.0
//! `Wire`: quinn's connection as h3 wants it, and what h3 has no word for: when the other side has heard a stream to its
//! end, or wants no more of it, and what protocol a request names.
//!
//! The streams that carry requests are ours; the others are those of `h3_quinn`.

use super::frame::Frames;
use super::protocol::Asked;
use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::{ConnectionError, ReadError, StoppedError, VarInt, WriteError};
use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Ends when all that was sent on a stream was acknowledged (`None`), when the client wants no more of it (its code),
/// or with the connection.
pub(super) type Heard = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>>>>;

type Accepted = Result<(quinn::SendStream, quinn::RecvStream), ConnectionError>;

pub(super) struct Wire {
    quic: quinn::Connection,
    others: h3_quinn::Connection,
    accepting: Option<Pin<Box<dyn Future<Output = Accepted>>>>,
    /// How long a frame of a request may be that is no data.
    limit: usize,
    latest: Latest,
}

/// What h3 does not tell of a request's stream.
pub(super) struct Aside {
    pub(super) heard: Heard,
    /// There with the request's head.
    pub(super) asked: Rc<Cell<Asked>>,
}

/// The stream that was accepted last.
#[derive(Clone, Default)]
pub(super) struct Latest(Rc<Cell<Option<Aside>>>);

impl Latest {
    pub(super) fn take(&self) -> Option<Aside> {
        self.0.take()
    }
}

impl Wire {
    pub(super) fn new(quic: quinn::Connection, limit: usize) -> (Wire, Latest) {
        let (others, latest) = (h3_quinn::Connection::new(quic.clone()), Latest::default());
        (Wire { quic, others, accepting: None, limit, latest: latest.clone() }, latest)
    }
}

impl quic::Connection<Bytes> for Wire {
    type RecvStream = h3_quinn::RecvStream;
    type OpenStreams = Opener<h3_quinn::OpenStreams>;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        quic::Connection::<Bytes>::poll_accept_recv(&mut self.others, cx)
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        let quic = &self.quic;
        let accepting = self.accepting.get_or_insert_with(|| {
            let quic = quic.clone();
            Box::pin(async move { quic.accept_bi().await })
        });
        let accepted = ready!(accepting.as_mut().poll(cx));
        self.accepting = None;
        let (send, recv) = accepted.map_err(lost)?;
        let id = StreamId::try_from(u64::from(send.id()));
        let id = id.map_err(|error| ConnectionErrorIncoming::InternalError(error.to_string()))?;
        let asked = Rc::<Cell<Asked>>::default();
        self.latest.0.set(Some(Aside { heard: Box::pin(send.stopped()), asked: asked.clone() }));
        let send = Sending { id, stream: send, writing: None };
        let frames = Frames::new(self.limit, asked);
        Poll::Ready(Ok(Both { send, recv: Receiving { id, stream: recv, rest: Bytes::new(), frames } }))
    }

    fn opener(&self) -> Self::OpenStreams {
        Opener(quic::Connection::<Bytes>::opener(&self.others))
    }
}

impl quic::OpenStreams<Bytes> for Wire {
    type BidiStream = Both;
    type SendStream = h3_quinn::SendStream<Bytes>;

    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Both, StreamErrorIncoming>> {
        Poll::Ready(Err(not_opened()))
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        quic::OpenStreams::<Bytes>::poll_open_send(&mut self.others, cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<Bytes>::close(&mut self.others, code, reason);
    }
}

pub(super) struct Opener<O>(O);

impl quic::OpenStreams<Bytes> for Opener<h3_quinn::OpenStreams> {
    type BidiStream = Both;
    type SendStream = h3_quinn::SendStream<Bytes>;

    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Both, StreamErrorIncoming>> {
        Poll::Ready(Err(not_opened()))
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        quic::OpenStreams::<Bytes>::poll_open_send(&mut self.0, cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<Bytes>::close(&mut self.0, code, reason);
    }
}

/// Requests come from clients alone (RFC 9114, 6.1).
fn not_opened() -> StreamErrorIncoming {
    let connection_error = ConnectionErrorIncoming::InternalError("a server opens no request".to_owned());
    StreamErrorIncoming::ConnectionErrorIncoming { connection_error }
}

/// Both directions of a request's stream.
pub(super) struct Both {
    send: Sending,
    recv: Receiving,
}

impl quic::BidiStream<Bytes> for Both {
    type SendStream = Sending;
    type RecvStream = Receiving;

    fn split(self) -> (Sending, Receiving) {
        (self.send, self.recv)
    }
}

impl quic::RecvStream for Both {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let data = ready!(self.recv.poll_data(cx));
        // There is no request yet that could be broken off.
        if let Err(StreamErrorIncoming::StreamTerminated { error_code }) = data {
            quic::SendStream::<Bytes>::reset(self, error_code);
        }
        Poll::Ready(data)
    }

    fn stop_sending(&mut self, code: u64) {
        self.recv.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.recv.recv_id()
    }
}

impl quic::SendStream<Bytes> for Both {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.send.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        self.send.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.send.send_id()
    }
}

pub(super) struct Receiving {
    id: StreamId,
    stream: quinn::RecvStream,
    /// What has come and is not yet cut.
    rest: Bytes,
    frames: Frames,
}

impl Receiving {
    /// False at the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, StreamErrorIncoming>> {
        // It keeps nothing from one poll to the next.
        let chunk = ready!(pin!(self.stream.read_chunk(usize::MAX, true)).poll(cx));
        let chunk = chunk.map_err(|error| match error {
            ReadError::Reset(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into() },
            ReadError::ConnectionLost(error) => {
                StreamErrorIncoming::ConnectionErrorIncoming { connection_error: lost(error) }
            }
            error => StreamErrorIncoming::Unknown(Box::new(error)),
        })?;
        self.rest = chunk.map(|chunk| chunk.bytes).unwrap_or_default();
        Poll::Ready(Ok(!self.rest.is_empty()))
    }

    fn refuse(&mut self, code: Code) -> StreamErrorIncoming {
        quic::RecvStream::stop_sending(self, code.value());
        StreamErrorIncoming::StreamTerminated { error_code: code.value() }
    }
}

impl quic::RecvStream for Receiving {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        loop {
            match self.frames.next(&mut self.rest) {
                Ok(None) => {}
                piece => return Poll::Ready(piece.map_err(|code| self.refuse(code))),
            }
            if !ready!(self.poll_more(cx))? {
                let ended = self.frames.end();
                return Poll::Ready(ended.map(|()| None).map_err(|code| self.refuse(code)));
            }
        }
    }

    fn stop_sending(&mut self, code: u64) {
        // One that has ended needs no stop.
        self.stream.stop(VarInt::from_u64(code).unwrap_or(VarInt::MAX)).ok();
    }

    fn recv_id(&self) -> StreamId {
        self.id
    }
}

pub(super) struct Sending {
    id: StreamId,
    stream: quinn::SendStream,
    writing: Option<WriteBuf<Bytes>>,
}

impl quic::SendStream<Bytes> for Sending {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while let Some(data) = self.writing.as_mut().filter(|data| data.has_remaining()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, data.chunk()));
            data.advance(written.map_err(|error| match error {
                WriteError::Stopped(code) => {
                    StreamErrorIncoming::StreamTerminated { error_code: code.into() }
                }
                WriteError::ConnectionLost(error) => {
                    StreamErrorIncoming::ConnectionErrorIncoming { connection_error: lost(error) }
                }
                error => StreamErrorIncoming::Unknown(Box::new(error)),
            })?);
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    /// Called when what was given before has been written.
    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        Poll::Ready(self.stream.finish().map_err(|error| StreamErrorIncoming::Unknown(Box::new(error))))
    }

    fn reset(&mut self, code: u64) {
        // One that has ended needs no reset.
        self.stream.reset(VarInt::from_u64(code).unwrap_or(VarInt::MAX)).ok();
    }

    fn send_id(&self) -> StreamId {
        self.id
    }
}

fn lost(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            ConnectionErrorIncoming::ApplicationClose { error_code: close.error_code.into() }
        }
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        error => ConnectionErrorIncoming::Undefined(Arc::new(error)),
    }
}
