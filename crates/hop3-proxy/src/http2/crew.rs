// SPDX-License-Identifier: Apache-2.0
//! `Crew`: the tasks of one thread that answer streams. A task has all the room that a request needs, so that making one
//! costs more than a short request should; one that has ended its stream waits for the next.

use super::connection::Load;
use super::exchange;
use crate::client::Way;
use crate::worker::Worker;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// More than this do not wait.
const MOST: usize = 256;

/// A stream to be answered.
pub(super) struct Stream {
    pub(super) worker: Rc<Worker>,
    pub(super) way: Way,
    pub(super) request: Request<RecvStream>,
    pub(super) respond: SendResponse<Bytes>,
    pub(super) load: Rc<Load>,
}

#[derive(Default)]
pub(crate) struct Crew {
    waiting: RefCell<Vec<Rc<Seat>>>,
    /// The fewest that have waited since the last sweep.
    least: Cell<usize>,
}

/// Where a task waits.
#[derive(Default)]
struct Seat {
    next: RefCell<Option<Stream>>,
    is_over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Crew {
    /// Has a stream answered by a task that waits, or by a new one.
    pub(super) fn answer(&self, stream: Stream) {
        let mut waiting = self.waiting.borrow_mut();
        let Some(seat) = waiting.pop() else {
            tokio::task::spawn_local(work(stream));
            return;
        };
        self.least.set(self.least.get().min(waiting.len()));
        *seat.next.borrow_mut() = Some(stream);
        seat.wake();
    }

    /// Ends those that nobody needed since the last time.
    pub(crate) fn sweep(&self) {
        let mut waiting = self.waiting.borrow_mut();
        let unused = self.least.get().min(waiting.len());
        for seat in waiting.drain(..unused) {
            seat.is_over.set(true);
            seat.wake();
        }
        self.least.set(waiting.len());
    }

    /// False when enough wait already.
    fn rest(&self, seat: &Rc<Seat>) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let has_room = waiting.len() < MOST;
        if has_room {
            waiting.push(seat.clone());
        }
        has_room
    }
}

impl Seat {
    /// `None` when there is nothing more to do.
    async fn next(&self) -> Option<Stream> {
        poll_fn(|cx| {
            if let Some(stream) = self.next.take() {
                return Poll::Ready(Some(stream));
            }
            if self.is_over.get() {
                return Poll::Ready(None);
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

async fn work(first: Stream) {
    let seat = Rc::<Seat>::default();
    let mut next = Some(first);
    while let Some(Stream { worker, way, request, respond, load }) = next {
        load.ended(exchange::run(worker.clone(), way, request, respond).await);
        // Who waits keeps nothing alive.
        drop(load);
        let is_resting = worker.streams.rest(&seat);
        drop(worker);
        next = if is_resting { seat.next().await } else { None };
    }
}
