// SPDX-License-Identifier: Apache-2.0
//! Upstreams that speak HTTP/2 without TLS (h2c with prior knowledge, RFC 9113, 3.3), as gRPC servers do. The exchange
//! talks HTTP/1 to memory; here it becomes a stream of a connection that all requests of the thread share.
//!
//! Invariant: a connection is open as long as its upstream is in the table or a stream is under way.

use super::flow::{self, Cut, Outward};
use super::head::{self, Question};
use crate::http1::body::Body;
use crate::memory::{self, Memory};
use crate::stream::Stream;
use crate::upstream::{Open, Upstream};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use hop3_core::route::Address;
use http::{Method, Response};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;

/// How much an upstream may send ahead of what clients take: on one stream, and on all together.
const STREAM_WINDOW: u32 = 256 << 10;
const WINDOW: u32 = 4 << 20;

/// The connections of one thread, by the address of the upstream's state.
#[derive(Default)]
pub(crate) struct Connections(RefCell<HashMap<usize, Rc<Kept>>>);

/// One upstream's connection. Locked while it is being opened, so that the first requests open one and not many.
struct Kept {
    upstream: Arc<Upstream>,
    send: Mutex<Option<SendRequest<Bytes>>>,
}

impl Connections {
    /// A stream to the upstream, as if it spoke HTTP/1 on a connection of its own.
    pub(crate) async fn connect(&self, upstream: &Arc<Upstream>) -> io::Result<Stream> {
        let kept = self.kept(upstream);
        let send = kept.sender().await?;
        let (ours, theirs) = memory::pair();
        tokio::task::spawn_local(async move {
            if carry(send, &ours).await.is_err() {
                ours.abort();
            }
        });
        Ok(Stream::memory(theirs))
    }

    fn kept(&self, upstream: &Arc<Upstream>) -> Rc<Kept> {
        let new = || Rc::new(Kept { upstream: upstream.clone(), send: Mutex::default() });
        if upstream.is_retired() {
            return new();
        }
        self.0.borrow_mut().entry(Arc::as_ptr(upstream) as usize).or_insert_with(new).clone()
    }

    /// Closes what belongs to upstreams that left the table, when its last stream has ended.
    pub(crate) fn drop_retired(&self) {
        self.0.borrow_mut().retain(|_, kept| !kept.upstream.is_retired());
    }
}

impl Kept {
    async fn sender(&self) -> io::Result<SendRequest<Bytes>> {
        let mut kept = self.send.lock().await;
        let mut cx = Context::from_waker(Waker::noop());
        if let Some(send) = &mut *kept
            && !matches!(send.poll_ready(&mut cx), Poll::Ready(Err(_)))
        {
            return Ok(send.clone());
        }
        let open = Open::count(&self.upstream);
        let opened = match &self.upstream.address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                shake(stream, open).await
            }
            Address::Unix(path) => shake(UnixStream::connect(path).await?, open).await,
        };
        Ok(kept.insert(opened.map_err(io::Error::other)?).clone())
    }
}

async fn shake<T>(stream: T, open: Open) -> Result<SendRequest<Bytes>, h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(STREAM_WINDOW as usize);
    let (send, connection) = builder.handshake(stream).await?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, upstream = open.upstream().id, "h2c");
        }
        drop(open);
    });
    Ok(send)
}

/// One request and its answer.
async fn carry(send: SendRequest<Bytes>, link: &Memory) -> Result<(), Cut> {
    let mut source = Outward::new(link);
    let Question { request, length } = source.head(head::question, |_| Poll::Pending).await?;
    let Some(request) = request else {
        link.put(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n");
        return Ok(());
    };
    let is_head = request.method() == Method::HEAD;
    let mut send = send.ready().await.map_err(|_| Cut::Reset)?;
    let body = Body::new(length);
    let (answer, mut stream) = send.send_request(request, body.is_done()).map_err(|_| Cut::Reset)?;
    drop(send);
    let done = both(link, source.body(body, &mut stream, || {}), down(link, answer, is_head)).await;
    if done.is_err() {
        stream.send_reset(Reason::CANCEL);
    }
    done
}

/// Moves both ways until the answer is whole, or nobody waits for it any more.
async fn both(
    link: &Memory,
    up: impl Future<Output = Result<(), Cut>>,
    down: impl Future<Output = Result<(), Cut>>,
) -> Result<(), Cut> {
    let (mut up, mut down) = (pin!(up), pin!(down));
    let mut is_up = true;
    poll_fn(|cx| {
        if is_up && let Poll::Ready(sent) = up.as_mut().poll(cx) {
            is_up = false;
            // An upstream may answer without having heard all.
            if sent == Err(Cut::Broken) {
                return Poll::Ready(sent);
            }
        }
        match down.as_mut().poll(cx) {
            Poll::Pending => link.poll_left(cx).map(|()| Err(Cut::Broken)),
            done => done,
        }
    })
    .await
}

async fn down(link: &Memory, mut answer: ResponseFuture, is_head: bool) -> Result<(), Cut> {
    let mut out = Vec::new();
    let answer = loop {
        match poll_fn(|cx| poll_heard(&mut answer, cx)).await? {
            Heard::Hint(hint) => head::hint(&hint, &mut out),
            Heard::Answer(answer) => break answer,
        }
        link.put(&out);
        out.clear();
    };
    let (parts, body) = answer.into_parts();
    let framing = head::reply(&parts, is_head, body.is_end_stream(), &mut out);
    link.put(&out);
    flow::inward(body, link, framing).await
}

enum Heard {
    Hint(Response<()>),
    Answer(Response<RecvStream>),
}

fn poll_heard(answer: &mut ResponseFuture, cx: &mut Context<'_>) -> Poll<Result<Heard, Cut>> {
    if let Poll::Ready(Some(hint)) = answer.poll_informational(cx) {
        return Poll::Ready(hint.map(Heard::Hint).map_err(|_| Cut::Reset));
    }
    Pin::new(answer).poll(cx).map(|found| found.map(Heard::Answer).map_err(|_| Cut::Reset))
}
