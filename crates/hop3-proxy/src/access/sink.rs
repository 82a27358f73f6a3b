// SPDX-License-Identifier: Apache-2.0
//! `Sink`: where one thread puts its lines. They are gathered in a batch that is handed over when it is large or a
//! quarter of a second old, so that neither a lock nor a system call is paid for each request.

use jiff::Timestamp;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const BATCH_BYTES: usize = 96 << 10;
/// A line is at most this long: every text in it is bounded.
const LINE_BYTES: usize = 5 << 10;
const BATCH_AGE: Duration = Duration::from_millis(250);

/// The way to the writer, for all threads.
#[derive(Clone)]
pub(crate) struct Outlet {
    pub(super) batches: SyncSender<Vec<u8>>,
    /// Lines that the writer could not be given, until it tells so.
    pub(super) lost: Arc<AtomicU64>,
}

pub(crate) struct Sink {
    outlet: Outlet,
    batch: RefCell<Vec<u8>>,
    lines: Cell<u64>,
    begun: Notify,
    clock: Clock,
}

impl Sink {
    pub(crate) fn new(outlet: Outlet) -> Sink {
        Sink {
            outlet,
            batch: RefCell::default(),
            lines: Cell::new(0),
            begun: Notify::new(),
            clock: Clock::default(),
        }
    }

    /// Appends one line, which `write` completes after its time.
    pub(super) fn line(&self, now: Instant, write: impl FnOnce(&mut Vec<u8>)) {
        let mut batch = self.batch.borrow_mut();
        if batch.is_empty() {
            batch.reserve(BATCH_BYTES + LINE_BYTES);
            self.clock.set();
            self.begun.notify_one();
        }
        super::json::begin(&mut batch, &self.clock.stamp(now));
        write(&mut batch);
        super::json::end(&mut batch);
        self.lines.set(self.lines.get() + 1);
        if batch.len() >= BATCH_BYTES {
            let full = std::mem::take(&mut *batch);
            self.hand_over(full);
        }
    }

    /// Hands over what has waited for a while, as long as the thread lives. Sleeps for good when nothing happens.
    pub(crate) async fn run(&self) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(BATCH_AGE).await;
            self.flush();
        }
    }

    pub(crate) fn flush(&self) {
        let batch = std::mem::take(&mut *self.batch.borrow_mut());
        if !batch.is_empty() {
            self.hand_over(batch);
        }
    }

    fn hand_over(&self, batch: Vec<u8>) {
        let lines = self.lines.replace(0);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.outlet.batches.try_send(batch)
        {
            self.outlet.lost.fetch_add(lines, Relaxed);
        }
    }
}

/// Wall-clock time from a monotonic one: asked from the kernel once a batch, formatted once a second.
#[derive(Default)]
struct Clock {
    /// A moment, and its microseconds since 1970.
    known: Cell<Option<(Instant, i64)>>,
    second: Cell<i64>,
    text: Cell<[u8; 19]>,
}

impl Clock {
    fn set(&self) {
        self.known.set(Some((Instant::now(), Timestamp::now().as_microsecond())));
    }

    fn stamp(&self, now: Instant) -> Stamp {
        let (moment, us) = self.known.get().unwrap_or((now, 0));
        // The request that began the batch ended a little before the clock was set.
        let us = match now.checked_duration_since(moment) {
            Some(later) => us + later.as_micros() as i64,
            None => us - (moment - now).as_micros() as i64,
        };
        let second = us.div_euclid(1_000_000);
        if second != self.second.get() {
            let text = Timestamp::from_second(second).unwrap_or_default().to_string();
            if let Some(text) = text.as_bytes().first_chunk() {
                self.text.set(*text);
                self.second.set(second);
            }
        }
        stamp(&self.text.get(), us.rem_euclid(1_000_000) as u32 / 1000)
    }
}

/// `2026-11-26T11:42:41.123Z`
type Stamp = [u8; 24];

fn stamp(second: &[u8; 19], millis: u32) -> Stamp {
    let mut text = *b"0000-00-00T00:00:00.000Z";
    text[..19].copy_from_slice(second);
    for (place, divisor) in [(20, 100), (21, 10), (22, 1)] {
        text[place] = b'0' + (millis / divisor % 10) as u8;
    }
    text
}
