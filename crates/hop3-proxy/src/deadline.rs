// SPDX-License-Identifier: Apache-2.0
//! Deadlines that cost one store to move: each client connection has a `Watch`, each thread one sweeper that looks
//! at all of them four times a second and wakes those whose time is up or whose upstream is being cut off.
//!
//! ```text
//! connection: watch.set(60 s) ... watch.set(120 s) ... watch.set(75 s)      no timer is touched
//! sweeper:    every TICK: verdict = f(now, deadline, upstream) → wake the connection's task
//! ```

use crate::upstream::InFlight;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Precision of every time limit, and of cutting.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// Why a wait ended before what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    TimedOut,
    /// The upstream's drain deadline passed, or the proxy ends.
    Cut,
}

#[derive(Default)]
pub(crate) struct Watch {
    /// Milliseconds of the thread's clock; 0 is none.
    deadline: Cell<u64>,
    /// Between two requests: ends at once when the proxy stops.
    is_idle: Cell<bool>,
    /// Whoever waited is gone, and nothing can change that.
    is_left: Cell<bool>,
    verdict: Cell<Option<Verdict>>,
    /// The upstream that works for this connection; being held here counts as in flight.
    upstream: RefCell<Option<InFlight>>,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    pub(crate) fn poll(&self, cx: &mut Context) -> Poll<Verdict> {
        if let Some(verdict) = self.is_left.get().then_some(Verdict::Cut).or(self.verdict.get()) {
            return Poll::Ready(verdict);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Runs to the end, or to the verdict.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll(cx).map(|_| None),
        })
        .await
    }

    /// Cuts whatever is under way, now and from now on.
    pub(crate) fn leave(&self) {
        self.is_left.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(crate) fn is_left(&self) -> bool {
        self.is_left.get()
    }

    pub(crate) fn hold(&self, upstream: Option<InFlight>) {
        *self.upstream.borrow_mut() = upstream;
    }

    fn sweep(&self, now: u64, stop: Stop) {
        let cut = self.upstream.borrow().as_ref().is_some_and(InFlight::is_cut);
        let deadline = self.deadline.get();
        let verdict = if cut || stop == Stop::All || (stop == Stop::Idle && self.is_idle.get()) {
            Verdict::Cut
        } else if deadline != 0 && now >= deadline {
            Verdict::TimedOut
        } else {
            return;
        };
        self.verdict.set(Some(verdict));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// How far the proxy's end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    #[default]
    No,
    /// Connections between requests end now.
    Idle,
    /// Every connection ends now.
    All,
}

/// The watches of one thread.
pub(crate) struct Deadlines {
    start: Instant,
    now: Cell<u64>,
    watches: RefCell<Vec<Rc<Watch>>>,
    stop: Cell<Stop>,
    awake: Notify,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            start: Instant::now(),
            now: Cell::new(1),
            watches: RefCell::default(),
            stop: Cell::default(),
            awake: Notify::new(),
        }
    }
}

impl Deadlines {
    pub(crate) fn watch(&self) -> Rc<Watch> {
        let watch = Rc::new(Watch::default());
        let mut watches = self.watches.borrow_mut();
        if watches.is_empty() {
            self.read_clock();
            self.awake.notify_one();
        }
        watches.push(watch.clone());
        watch
    }

    /// Moves a deadline to `limit` from now; zero means no limit.
    pub(crate) fn set(&self, watch: &Watch, limit: Duration) {
        watch.is_idle.set(false);
        watch.verdict.set(None);
        let limit = limit.as_millis() as u64;
        // The clock is read once a tick, so it may be that much behind: late is allowed, early is not.
        let tick = TICK.as_millis() as u64;
        watch.deadline.set(if limit == 0 { 0 } else { self.now.get() + tick + limit });
    }

    pub(crate) fn set_idle(&self, watch: &Watch, limit: Duration) {
        self.set(watch, limit);
        watch.is_idle.set(true);
        if self.stop.get() != Stop::No {
            watch.verdict.set(Some(Verdict::Cut));
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.watches.borrow().iter().filter(|watch| Rc::strong_count(watch) > 1).count()
    }

    pub(crate) fn stop(&self, stop: Stop) {
        self.stop.set(stop);
        self.sweep();
    }

    /// Runs as long as the thread does. Without connections it sleeps for good.
    pub(crate) async fn run(&self) {
        loop {
            if self.watches.borrow().is_empty() {
                self.awake.notified().await;
            }
            tokio::time::sleep(TICK).await;
            self.sweep();
        }
    }

    /// Now, or up to a tick before.
    pub(crate) fn tick(&self) -> Instant {
        self.start + Duration::from_millis(self.now.get() - 1)
    }

    fn sweep(&self) {
        self.read_clock();
        let mut watches = self.watches.borrow_mut();
        watches.retain(|watch| Rc::strong_count(watch) > 1);
        for watch in watches.iter() {
            watch.sweep(self.now.get(), self.stop.get());
        }
    }

    fn read_clock(&self) {
        self.now.set(self.start.elapsed().as_millis() as u64 + 1);
    }
}
