// SPDX-License-Identifier: Apache-2.0
//! A client of HTTP/3 whose heads are written by the test: h3's own knows no WebSocket, and says nothing wrong.

use super::harness::*;
use super::http3::{HOST, dial};
use bytes::{Buf, Bytes};
use h3::client::SendRequest;
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, SendStreamUnframed, StreamErrorIncoming, StreamId, WriteBuf};
use http::Request;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

pub(crate) type Stream = h3::client::RequestStream<Spoken<h3_quinn::BidiStream<Bytes>>, Bytes>;

/// A client's connection.
pub(crate) struct Speaker {
    send: SendRequest<Opener, Bytes>,
    head: Arc<Mutex<Bytes>>,
    pub(crate) quic: quinn::Connection,
    /// Ends with the connection.
    pub(crate) driver: JoinHandle<h3::error::ConnectionError>,
    _endpoint: quinn::Endpoint,
}

impl Speaker {
    pub(crate) async fn connect(proxy: &Proxy) -> Speaker {
        let (quic, endpoint) = dial(proxy, HOST).await.unwrap();
        let head = Arc::<Mutex<Bytes>>::default();
        let dialled = Dialled { inner: h3_quinn::Connection::new(quic.clone()), head: head.clone() };
        // Its frames of no meaning come at a stream's end, where they could be what a frame that was cut off lacks.
        let (mut driver, send) = h3::client::builder().send_grease(false).build(dialled).await.unwrap();
        let driver = tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
        Speaker { send, head, quic, driver, _endpoint: endpoint }
    }

    /// Opens a stream with these bytes.
    pub(crate) async fn open(&mut self, head: Vec<u8>) -> Stream {
        *self.head.lock().unwrap() = head.into();
        self.send.send_request(super::http2::get("/")).await.unwrap()
    }

    /// Asks for a WebSocket at `/chat`.
    pub(crate) async fn websocket(&mut self, more: &[(&str, &str)]) -> Stream {
        self.open(head(&[&ASKED, more].concat())).await
    }

    pub(crate) async fn request(&mut self, request: Request<()>) -> Stream {
        self.head.lock().unwrap().clear();
        self.send.send_request(request).await.unwrap()
    }
}

pub(crate) const ASKED: [(&str, &str); 5] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":authority", HOST),
    (":path", "/chat"),
];

/// A frame with these field lines, each in full.
pub(crate) fn head(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0, 0];
    for (name, value) in lines {
        number(&mut block, 0x20, 3, name.len());
        block.extend_from_slice(name.as_bytes());
        number(&mut block, 0, 7, value.len());
        block.extend_from_slice(value.as_bytes());
    }
    frame(1, &block)
}

pub(crate) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&(0x8000_0000 | payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// RFC 7541, 5.1.
pub(crate) fn number(out: &mut Vec<u8>, first: u8, bits: u32, number: usize) {
    let most = (1 << bits) - 1;
    if number < most {
        return out.push(first | number as u8);
    }
    out.push(first | most as u8);
    let mut rest = number - most;
    while rest >= 128 {
        out.push(rest as u8 | 128);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The next piece of data; `None` at the end.
pub(crate) async fn data(stream: &mut Stream) -> Result<Option<Bytes>, h3::error::StreamError> {
    Ok(stream.recv_data().await?.map(|mut data| data.copy_to_bytes(data.remaining())))
}

/// All data to the end.
pub(crate) async fn rest(stream: &mut Stream) -> Result<Vec<u8>, h3::error::StreamError> {
    let mut all = Vec::new();
    while let Some(piece) = data(stream).await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// What a stream was reset with.
pub(crate) fn code(error: &h3::error::StreamError) -> Option<Code> {
    match error {
        h3::error::StreamError::RemoteTerminate { code, .. } => Some(*code),
        _ => None,
    }
}

struct Dialled {
    inner: h3_quinn::Connection,
    head: Arc<Mutex<Bytes>>,
}

pub(crate) struct Opener {
    inner: h3_quinn::OpenStreams,
    head: Arc<Mutex<Bytes>>,
}

/// A stream that says something else at first than it is told to, if there is anything.
pub(crate) struct Spoken<S> {
    inner: S,
    head: Bytes,
    is_first: bool,
}

impl<S> Spoken<S> {
    fn new(inner: S, head: &Mutex<Bytes>) -> Spoken<S> {
        let head = std::mem::take(&mut *head.lock().unwrap());
        Spoken { inner, is_first: !head.is_empty(), head }
    }
}

impl quic::Connection<Bytes> for Dialled {
    type RecvStream = h3_quinn::RecvStream;
    type OpenStreams = Opener;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        quic::Connection::<Bytes>::poll_accept_recv(&mut self.inner, cx)
    }

    fn poll_accept_bidi(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        Poll::Pending
    }

    fn opener(&self) -> Opener {
        Opener { inner: quic::Connection::<Bytes>::opener(&self.inner), head: self.head.clone() }
    }
}

macro_rules! opens {
    ($name:ty) => {
        impl quic::OpenStreams<Bytes> for $name {
            type BidiStream = Spoken<h3_quinn::BidiStream<Bytes>>;
            type SendStream = h3_quinn::SendStream<Bytes>;

            fn poll_open_bidi(
                &mut self,
                cx: &mut Context<'_>,
            ) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
                let stream = ready!(quic::OpenStreams::<Bytes>::poll_open_bidi(&mut self.inner, cx))?;
                Poll::Ready(Ok(Spoken::new(stream, &self.head)))
            }

            fn poll_open_send(
                &mut self,
                cx: &mut Context<'_>,
            ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
                quic::OpenStreams::<Bytes>::poll_open_send(&mut self.inner, cx)
            }

            fn close(&mut self, code: Code, reason: &[u8]) {
                quic::OpenStreams::<Bytes>::close(&mut self.inner, code, reason);
            }
        }
    };
}

opens!(Dialled);
opens!(Opener);

impl<S: SendStreamUnframed<Bytes>> quic::SendStream<Bytes> for Spoken<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while self.head.has_remaining() {
            ready!(self.inner.poll_send(cx, &mut self.head))?;
        }
        self.inner.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        if std::mem::take(&mut self.is_first) { Ok(()) } else { self.inner.send_data(data) }
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        self.inner.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.inner.send_id()
    }
}

impl<S: quic::RecvStream> quic::RecvStream for Spoken<S> {
    type Buf = S::Buf;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<S::Buf>, StreamErrorIncoming>> {
        self.inner.poll_data(cx)
    }

    fn stop_sending(&mut self, code: u64) {
        self.inner.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.inner.recv_id()
    }
}

impl quic::BidiStream<Bytes> for Spoken<h3_quinn::BidiStream<Bytes>> {
    type SendStream = Spoken<h3_quinn::SendStream<Bytes>>;
    type RecvStream = h3_quinn::RecvStream;

    fn split(self) -> (Self::SendStream, Self::RecvStream) {
        let (inner, receiving) = quic::BidiStream::<Bytes>::split(self.inner);
        (Spoken { inner, head: self.head, is_first: self.is_first }, receiving)
    }
}
