// SPDX-License-Identifier: Apache-2.0
//! Upstreams that speak HTTP/2 without TLS (h2c with prior knowledge, RFC 9113, 3.3), as gRPC servers do. The exchange
//! talks HTTP/1 to memory; here it becomes a stream of a connection that all requests of the thread share.
//!
//! Invariants: a connection is open as long as its upstream is in the table or a stream is under way. A stream that fails
//! says nothing about its upstream; only a connection on which nothing was ever answered does.

use super::flow::{self, Cut, Outward};
use super::head::{self, Question};
use crate::http1::body::Body;
use crate::memory::{Memory, Sharing};
use crate::stream::{Stream, tune};
use crate::upstream::{Open, Upstream};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use hop3_core::route::Address;
use http::{Method, Request, Response, Uri};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Mutex, Notify};

/// How much an upstream may send ahead of what clients take: on one stream, and on all together.
const STREAM_WINDOW: u32 = 256 << 10;
const WINDOW: u32 = 4 << 20;

/// The connections of one thread, by the address of the upstream's state.
#[derive(Default)]
pub(crate) struct Connections(RefCell<HashMap<usize, Rc<Kept>>>);

/// One upstream's connection. Locked while it is being opened, so that the first requests open one and not many.
struct Kept {
    upstream: Arc<Upstream>,
    line: Mutex<Option<Line>>,
}

/// A connection, for one more request.
#[derive(Clone)]
struct Line {
    send: SendRequest<Bytes>,
    slots: Rc<Slots>,
    sharing: Sharing,
}

/// Streams of one connection that are under way. The h2 crate would queue what is one too many, and send it even when
/// nobody waits for the answer any more.
#[derive(Default)]
struct Slots {
    taken: Cell<usize>,
    freed: Notify,
    /// Something was answered here.
    is_proven: Cell<bool>,
}

struct Slot<'a>(&'a Slots);

impl Slots {
    async fn take(&self, send: &SendRequest<Bytes>) -> Slot<'_> {
        while self.taken.get() >= send.current_max_send_streams() {
            self.freed.notified().await;
        }
        self.taken.set(self.taken.get() + 1);
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.freed.notify_one();
    }
}

impl Connections {
    /// A stream to the upstream, as if it spoke HTTP/1 on a connection of its own.
    pub(crate) async fn connect(&self, upstream: &Arc<Upstream>) -> io::Result<Stream> {
        let kept = self.kept(upstream);
        let line = kept.line().await?;
        let (ours, theirs) = line.sharing.pair();
        tokio::task::spawn_local(async move {
            match carry(&line, &ours).await {
                Ok(()) => {}
                Err(Cut::Refused) => ours.refuse(),
                Err(Cut::Lost) if !line.slots.is_proven.get() => {
                    kept.upstream.failed();
                    ours.abort();
                }
                Err(_) => ours.abort(),
            }
        });
        Ok(Stream::memory(theirs))
    }

    fn kept(&self, upstream: &Arc<Upstream>) -> Rc<Kept> {
        let new = || Rc::new(Kept { upstream: upstream.clone(), line: Mutex::default() });
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
    async fn line(&self) -> io::Result<Line> {
        let mut kept = self.line.lock().await;
        let mut cx = Context::from_waker(Waker::noop());
        if let Some(line) = &mut *kept
            && !matches!(line.send.poll_ready(&mut cx), Poll::Ready(Err(_)))
        {
            return Ok(line.clone());
        }
        let open = Open::count(&self.upstream);
        let send = connect(&self.upstream.address, Some(open)).await?;
        Ok(kept.insert(Line { send, slots: Rc::default(), sharing: Sharing::begin() }).clone())
    }
}

/// The status of a GET on a connection of its own, which nobody counts.
pub(crate) async fn ask(address: &Address, path: &str) -> io::Result<u16> {
    let uri = Uri::builder().scheme("http").authority("localhost").path_and_query(path);
    let request = Request::get(uri.build().map_err(io::Error::other)?).header("user-agent", "hop3-health");
    let request = request.header("te", "trailers").body(()).map_err(io::Error::other)?;
    let mut send = connect(address, None).await?;
    let (answer, _) = send.send_request(request, true).map_err(io::Error::other)?;
    Ok(answer.await.map_err(io::Error::other)?.status().as_u16())
}

async fn connect(address: &Address, open: Option<Open>) -> io::Result<SendRequest<Bytes>> {
    let shaken = match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            tune(&stream);
            shake(stream, open).await
        }
        Address::Unix(path) => shake(UnixStream::connect(path).await?, open).await,
    };
    shaken.map_err(io::Error::other)
}

async fn shake<T>(stream: T, open: Option<Open>) -> Result<SendRequest<Bytes>, h2::Error>
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
            tracing::debug!(%error, upstream = open.as_ref().map(|open| &*open.upstream().id), "h2c");
        }
        drop(open);
    });
    Ok(send)
}

/// One request and its answer.
async fn carry(line: &Line, link: &Memory) -> Result<(), Cut> {
    let mut source = Outward::new(link);
    let Question { request, length } = source.head(head::question, |_| Poll::Pending).await?;
    let Some(request) = request else {
        link.put(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n");
        return Ok(());
    };
    let is_head = request.method() == Method::HEAD;
    let mut waiting = pin!(line.slots.take(&line.send));
    let _slot = poll_fn(|cx| match waiting.as_mut().poll(cx) {
        Poll::Ready(slot) => Poll::Ready(Ok(slot)),
        Poll::Pending => link.poll_left(cx).map(|()| Err(Cut::Broken)),
    })
    .await?;
    let body = Body::new(length);
    // What cannot be sent any more has not been sent.
    let sent = line.send.clone().send_request(request, body.is_done());
    let (answer, mut stream) = sent.map_err(|_| Cut::Refused)?;
    let done = both(link, source.body(body, &mut stream, || {}), down(line, link, answer, is_head)).await;
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

async fn down(line: &Line, link: &Memory, mut answer: ResponseFuture, is_head: bool) -> Result<(), Cut> {
    let mut out = Vec::new();
    let answer = loop {
        match poll_fn(|cx| poll_heard(&mut answer, cx)).await? {
            Heard::Hint(hint) => head::hint(&hint, &mut out),
            Heard::Answer(answer) => break answer,
        }
        link.put(&out);
        out.clear();
    };
    line.slots.is_proven.set(true);
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
        return Poll::Ready(hint.map(Heard::Hint).map_err(Cut::from));
    }
    Pin::new(answer).poll(cx).map(|found| found.map(Heard::Answer).map_err(Cut::from))
}
