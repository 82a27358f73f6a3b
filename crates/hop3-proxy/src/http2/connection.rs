// SPDX-License-Identifier: Apache-2.0
//! One connection: accepts streams, gives each a task, and ends as it should.
//!
//! ```text
//! preface ─▶ streams ──▶ idle ──75 s, stopping──▶ GOAWAY ──last stream──▶ closed
//!              ▲          │
//!              └──────────┘        a client that only resets what it asked for ──▶ GOAWAY, closed at once
//! ```

use super::corked::Corked;
use super::crew;
use crate::client::Way;
use crate::deadline::{Verdict, Watch};
use crate::ferry::Fate;
use crate::limit::Limits;
use crate::memory::Sharing;
use crate::stream::Stream;
use crate::worker::Worker;
use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// So long a connection that ends may take to be told so.
const FAREWELL: Duration = Duration::from_secs(2);
/// A client may reset this many streams without having waited for as many answers (CVE-2023-44487).
const RESETS: u32 = 100;
/// How much a client may send ahead of what an app takes: on one stream, and on all together.
const STREAM_WINDOW: u32 = 256 << 10;
const WINDOW: u32 = 1 << 20;
/// How much of an answer waits here for a client that is slow.
const SEND_BUFFER: usize = 32 << 10;

/// Serves a connection on a task of its own.
pub(crate) fn serve(worker: Rc<Worker>, stream: Stream, way: Way) {
    // Here, so that a thread that ends waits for it.
    let watch = worker.deadlines.watch();
    tokio::task::spawn_local(begin(worker, watch, stream, way));
}

async fn begin(worker: Rc<Worker>, watch: Rc<Watch>, stream: Stream, way: Way) {
    let (stream, way) = (Rc::new(stream), Way { protocol: "HTTP/2.0", sharing: Sharing::begin(), ..way });
    worker.deadlines.set(&watch, worker.limits.head_timeout);
    let shaking = builder(&worker.limits).handshake::<_, Bytes>(Corked::new(stream.clone()));
    if let Some(Ok(frames)) = watch.in_time(shaking).await {
        let load = Rc::new(Load::default());
        let connection = Connection { worker, way, frames, watch, load, is_idle: false, is_leaving: false };
        connection.run(&stream).await;
    }
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .enable_connect_protocol();
    builder
}

/// What the streams of a connection tell it.
#[derive(Default)]
pub(super) struct Load {
    streams: Cell<usize>,
    answered: Cell<u32>,
    given: Cell<u32>,
    waker: RefCell<Option<Waker>>,
}

impl Load {
    pub(super) fn ended(&self, fate: Fate) {
        self.streams.set(self.streams.get() - 1);
        let count = if fate == Fate::Given { &self.given } else { &self.answered };
        count.set(count.get().saturating_add(1));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn is_abused(&self) -> bool {
        self.given.get() > RESETS && self.given.get() > self.answered.get()
    }
}

struct Connection {
    worker: Rc<Worker>,
    way: Way,
    frames: h2::server::Connection<Corked, Bytes>,
    watch: Rc<Watch>,
    load: Rc<Load>,
    /// No stream is open, and the watch knows.
    is_idle: bool,
    /// The client was told to open no more streams.
    is_leaving: bool,
}

/// Why no more streams are accepted, or not for long.
enum Event {
    Over,
    Late(Verdict),
    Abuse,
}

impl Connection {
    /// Serves to the end.
    async fn run(mut self, stream: &Stream) {
        self.accept().await;
        self.worker.deadlines.set(&self.watch, FAREWELL);
        self.watch.in_time(poll_fn(|cx| self.frames.poll_closed(cx))).await;
        self.watch.in_time(stream.linger(|| ())).await;
    }

    /// Accepts streams until there are to be no more.
    async fn accept(&mut self) {
        loop {
            match poll_fn(|cx| self.poll_event(cx)).await {
                Event::Late(verdict)
                    if !self.is_leaving && (self.is_idle || verdict == Verdict::TimedOut) =>
                {
                    self.leave();
                }
                Event::Over | Event::Late(_) => return,
                Event::Abuse => return self.frames.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM),
            }
        }
    }

    fn begin(&mut self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        self.load.streams.set(self.load.streams.get() + 1);
        let (worker, way, load) = (self.worker.clone(), self.way.clone(), self.load.clone());
        self.worker.streams.answer(crew::Stream { worker, way, request, respond, load });
    }

    fn leave(&mut self) {
        self.is_leaving = true;
        self.is_idle = false;
        self.frames.graceful_shutdown();
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.is_leaving && !self.worker.may_stay() {
            self.leave();
        }
        loop {
            if self.load.is_abused() {
                return Poll::Ready(Event::Abuse);
            }
            match self.frames.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.begin(request, respond),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Event::Over),
                Poll::Pending => break,
            }
        }
        *self.load.waker.borrow_mut() = Some(cx.waker().clone());
        self.settle();
        self.watch.poll(cx).map(Event::Late)
    }

    /// Streams have time limits of their own; a connection without any has one too.
    fn settle(&mut self) {
        let is_idle = self.load.streams.get() == 0;
        if is_idle == self.is_idle {
            return;
        }
        self.is_idle = is_idle;
        let deadlines = &self.worker.deadlines;
        match (is_idle, self.is_leaving) {
            (false, _) => deadlines.set(&self.watch, Duration::ZERO),
            (true, true) => deadlines.set(&self.watch, FAREWELL),
            (true, false) => deadlines.set_idle(&self.watch, self.worker.limits.idle_timeout),
        }
    }
}
