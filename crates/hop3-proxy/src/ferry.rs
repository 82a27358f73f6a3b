// SPDX-License-Identifier: Apache-2.0
//! `Ferry`: one request of HTTP/2 or HTTP/3, carried by a `Client` that knows HTTP/1 alone.
//!
//! ```text
//! client ──▶ up ──▶ memory ──▶ Client ─▶ upstream
//!        ◀── down ◀── memory ◀──
//! ```
//! Invariant: the work for a client that has left is ended; one that does not read loses its answer.

use crate::client::{Client, SEND_IDLE};
use crate::deadline::Watch;
use crate::memory::Memory;
use crate::worker::Worker;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// The client did not wait for the answer.
    Given,
    /// It was broken off here.
    Broken,
}

/// The client has left before its request was whole.
pub(crate) struct Left;

pub(crate) struct Ferry {
    worker: Rc<Worker>,
    watch: Rc<Watch>,
    /// The answer lies in the memory as far as it goes; what is left is the client's to take.
    is_served: Cell<bool>,
}

impl Ferry {
    pub(crate) fn new(client: &Client) -> Ferry {
        Ferry { worker: client.worker.clone(), watch: client.watch.clone(), is_served: Cell::new(false) }
    }

    /// Something has reached the client.
    pub(crate) fn moved(&self) {
        if self.is_served.get() {
            self.worker.deadlines.set(&self.watch, SEND_IDLE);
        }
    }

    /// Serves the request that `client` has, while `up` brings its body, if it has one, and `down` takes the answer.
    pub(crate) async fn carry(
        &self,
        client: Client,
        link: &Memory,
        mut up: Option<Pin<&mut impl Future<Output = Result<(), Left>>>>,
        mut down: Pin<&mut impl Future<Output = Fate>>,
    ) -> Fate {
        let mut served = pin!(client.serve_one());
        let mut fate = None;
        poll_fn(|cx| {
            if !self.is_served.get() && served.as_mut().poll(cx).is_ready() {
                self.is_served.set(true);
                self.moved();
            }
            if let Some(bringing) = &mut up
                && let Poll::Ready(sent) = bringing.as_mut().poll(cx)
            {
                up = None;
                if sent.is_err() && fate.is_none() {
                    fate = Some(self.give_up(link, Fate::Given));
                }
            }
            if fate.is_none()
                && let Poll::Ready(ended) = down.as_mut().poll(cx)
            {
                fate = Some(if ended == Fate::Answered { ended } else { self.give_up(link, ended) });
            }
            match fate {
                Some(fate) if self.is_served.get() => Poll::Ready(fate),
                None if self.is_served.get() => self.watch.poll(cx).map(|_| Fate::Broken),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Nobody waits for the answer any more.
    fn give_up(&self, link: &Memory, fate: Fate) -> Fate {
        self.watch.leave();
        link.abort();
        fate
    }
}
