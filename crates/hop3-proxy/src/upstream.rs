// SPDX-License-Identifier: Apache-2.0
//! `Upstream`: what all threads know of one instance: how busy it is, whether it answers, whether it still counts.
//!
//! Invariant (with `registry`): a request adds itself to `in_flight` *before* it looks at `retired`, and a drain
//! sets `retired` before it looks at `in_flight`. So one of the two always sees the other, and a drained upstream
//! gets no request after the drain's answer. Both need sequential consistency.

use hop3_core::route::Address;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) struct Upstream {
    pub(crate) id: String,
    pub(crate) address: Address,
    in_flight: AtomicU32,
    /// Connections held by any thread, busy or idle.
    open: AtomicU32,
    retired: AtomicBool,
    cut: AtomicBool,
    failures: AtomicU32,
    /// Milliseconds since `START`; left out of the balance until then.
    out_until: AtomicU64,
    /// The last active check failed.
    is_probed_down: AtomicBool,
}

impl Upstream {
    pub(crate) fn new(id: String, address: Address) -> Upstream {
        Upstream {
            id,
            address,
            in_flight: AtomicU32::new(0),
            open: AtomicU32::new(0),
            retired: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            is_probed_down: AtomicBool::new(false),
        }
    }

    /// Counts a request in, unless the upstream has left the table meanwhile.
    pub(crate) fn enter(self: &Arc<Upstream>) -> Option<InFlight> {
        self.in_flight.fetch_add(1, SeqCst);
        let guard = InFlight(self.clone());
        (!self.retired.load(SeqCst)).then_some(guard)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(SeqCst)
    }

    /// Nothing is under way and no thread holds a connection.
    pub(crate) fn is_unused(&self) -> bool {
        self.in_flight.load(SeqCst) == 0 && self.open.load(SeqCst) == 0
    }

    pub(crate) fn retire(&self) {
        self.retired.store(true, SeqCst);
    }

    /// It came back into the table, for example by a rollback, before its last connection was gone.
    pub(crate) fn revive(&self) {
        self.cut.store(false, SeqCst);
        self.retired.store(false, SeqCst);
        self.heard();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(SeqCst)
    }

    /// Ends what is still in flight; each thread sees it at its next tick.
    pub(crate) fn cut(&self) {
        self.cut.store(true, SeqCst);
    }

    /// It answered, or accepted a connection.
    pub(crate) fn heard(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.out_until.store(0, Relaxed);
        }
    }

    /// It refused a connection or broke one: left out for 1 s, doubling to 10 s.
    pub(crate) fn failed(&self) {
        let failures = self.failures.fetch_add(1, Relaxed).min(4);
        let out_ms = (1000_u64 << failures).min(10_000);
        self.out_until.store(now_ms() + out_ms, Relaxed);
    }

    pub(crate) fn probed(&self, is_up: bool) {
        self.is_probed_down.store(!is_up, Relaxed);
    }

    pub(crate) fn is_healthy(&self) -> bool {
        if self.is_probed_down.load(Relaxed) {
            return false;
        }
        let until = self.out_until.load(Relaxed);
        until == 0 || now_ms() >= until
    }
}

fn now_ms() -> u64 {
    START.elapsed().as_millis() as u64
}

/// One request, or upgraded connection, that an upstream works on.
pub(crate) struct InFlight(Arc<Upstream>);

impl InFlight {
    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        &self.0
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.0.cut.load(Relaxed)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}

/// One open connection to an upstream.
pub(crate) struct Open(Arc<Upstream>);

impl Open {
    pub(crate) fn count(upstream: &Arc<Upstream>) -> Open {
        upstream.open.fetch_add(1, SeqCst);
        Open(upstream.clone())
    }

    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
    }
}
