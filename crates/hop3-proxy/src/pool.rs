// SPDX-License-Identifier: Apache-2.0
//! `Pool`: the idle upstream connections of one thread. No other thread touches them, so there is no lock.
//!
//! Invariant: a connection to an upstream that left the table is never lent and never kept.

use crate::limit::Limits;
use crate::stream::Stream;
use crate::upstream::{Open, Upstream};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request that may not be repeated takes a kept connection only this young: servers close idle ones after two
/// seconds and more, so that one of this age is not about to be closed under the request.
const YOUNG: Duration = Duration::from_secs(1);

pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) open: Open,
    /// It has carried a request before, so the upstream may have closed it already.
    pub(crate) is_used: bool,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

#[derive(Default)]
pub(crate) struct Pool {
    /// By the address of the upstream's state, which the connections keep alive.
    idle: RefCell<HashMap<usize, Vec<Idle>>>,
}

fn key(upstream: &Arc<Upstream>) -> usize {
    Arc::as_ptr(upstream) as usize
}

impl Pool {
    /// Lends the connection used last. With `must_live` only one that is certain to be good at this moment.
    pub(crate) fn take(&self, upstream: &Arc<Upstream>, must_live: bool) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let kept = idle.get_mut(&key(upstream))?;
        while let Some(Idle { connection, since }) = kept.pop() {
            let is_good = if must_live {
                since.elapsed() < YOUNG && connection.stream.is_quiet()
            } else {
                // Unasked bytes, such as a server's farewell, must not be taken for the answer to the next request.
                !connection.stream.may_be_readable() || connection.stream.is_quiet()
            };
            if is_good {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection. `now` may be somewhat behind: it only makes it look older.
    pub(crate) fn give(&self, mut connection: Connection, now: Instant, limits: &Limits) {
        let upstream = connection.open.upstream();
        // What runs over another connection keeps that, not itself.
        if upstream.is_retired() || !connection.stream.is_socket() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let kept = idle.entry(key(upstream)).or_default();
        if kept.len() < limits.pool_size {
            connection.is_used = true;
            kept.push(Idle { connection, since: now });
        }
    }

    /// Closes what is too old, what the upstream closed, and what belongs to upstreams that left the table.
    pub(crate) fn sweep(&self, limits: &Limits) {
        self.idle.borrow_mut().retain(|_, kept| {
            kept.retain(|idle| {
                !idle.connection.open.upstream().is_retired()
                    && idle.since.elapsed() < limits.pool_idle_timeout
                    && idle.connection.stream.is_quiet()
            });
            !kept.is_empty()
        });
    }

    /// Closes what belongs to upstreams that left the table.
    pub(crate) fn drop_retired(&self) {
        self.idle
            .borrow_mut()
            .retain(|_, kept| kept.first().is_some_and(|idle| !idle.connection.open.upstream().is_retired()));
    }
}
