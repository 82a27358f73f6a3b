// SPDX-License-Identifier: Apache-2.0
//! `Store`: answers kept in memory, of one service, for all threads.
//!
//! Invariant: all answers together never take more than `max_size`; what was used longest ago makes room.

use super::freshness::Freshness;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// Answers of one address that differ by what `Vary` names.
const MAX_VARIANTS: usize = 8;
/// What an answer costs beside its bytes.
const OVERHEAD: usize = 256;

/// What is asked for: host, path with query, coding.
pub(super) type Key = Arc<str>;

/// One answer.
pub(super) struct Kept {
    pub(super) status: u16,
    /// Its header lines, without those of one connection or length.
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
    /// Request headers it depends on, with the values it was made for.
    pub(super) vary: Vec<(String, Vec<u8>)>,
    pub(super) since: Instant,
    pub(super) age: u64,
    pub(super) freshness: Freshness,
}

impl Kept {
    fn size(&self) -> usize {
        self.head.len() + self.body.len() + OVERHEAD
    }

    fn is_fresh(&self) -> bool {
        self.since.elapsed() < self.freshness.lifetime
    }
}

pub(crate) struct Store {
    max_size: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    kept: HashMap<Key, Vec<(u64, Arc<Kept>)>>,
    /// By when it was used.
    order: BTreeMap<u64, Key>,
    clock: u64,
    size: usize,
    /// Being asked for by somebody, and who waits for it.
    pending: HashMap<Key, Arc<Notify>>,
}

/// What there is for a request.
pub(super) enum Found {
    Kept(Arc<Kept>),
    /// Nothing, and somebody asks for it already.
    Wait(Arc<Notify>),
    /// Nothing, and this request shall ask for it.
    Ask,
}

impl Store {
    pub(super) fn new(max_size: u64) -> Store {
        Store { max_size: usize::try_from(max_size).unwrap_or(usize::MAX), inner: Mutex::default() }
    }

    pub(super) fn find(&self, key: &Key, suits: impl Fn(&Kept) -> bool) -> Found {
        let mut inner = self.lock();
        if let Some(kept) = inner.take_fresh(key, suits) {
            return Found::Kept(kept);
        }
        match inner.pending.get(key) {
            Some(notify) => Found::Wait(notify.clone()),
            None => {
                inner.pending.insert(key.clone(), Arc::default());
                Found::Ask
            }
        }
    }

    /// Whoever asked has an answer, or none; those who wait look again.
    pub(super) fn asked(&self, key: &Key) {
        if let Some(notify) = self.lock().pending.remove(key) {
            notify.notify_waiters();
        }
    }

    /// Whether somebody still asks for it; what was woken before a wait began is seen here.
    pub(super) fn is_pending(&self, key: &Key, notify: &Arc<Notify>) -> bool {
        self.lock().pending.get(key).is_some_and(|now| Arc::ptr_eq(now, notify))
    }

    pub(super) fn put(&self, key: &Key, kept: Kept) {
        let size = kept.size();
        if size > self.max_size {
            return;
        }
        let mut inner = self.lock();
        inner.forget_variant(key, &kept);
        while inner.size + size > self.max_size {
            let Some((oldest, of)) = inner.order.pop_first() else { break };
            inner.drop_variant(&of, oldest);
        }
        inner.clock += 1;
        let clock = inner.clock;
        inner.order.insert(clock, key.clone());
        inner.size += size;
        inner.kept.entry(key.clone()).or_default().push((clock, Arc::new(kept)));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take_fresh(&mut self, key: &Key, suits: impl Fn(&Kept) -> bool) -> Option<Arc<Kept>> {
        let found = self.kept.get_mut(key)?.iter_mut().find(|(_, kept)| kept.is_fresh() && suits(kept))?;
        self.clock += 1;
        self.order.remove(&found.0);
        found.0 = self.clock;
        self.order.insert(self.clock, key.clone());
        Some(found.1.clone())
    }

    /// Makes room among the answers of one address: for the same one, for what is stale, or for the last of too many.
    fn forget_variant(&mut self, key: &Key, new: &Kept) {
        let Some(variants) = self.kept.get(key) else { return };
        let mut gone: Vec<u64> = variants
            .iter()
            .filter(|(_, kept)| kept.vary == new.vary || !kept.is_fresh())
            .map(|(clock, _)| *clock)
            .collect();
        if gone.is_empty() && variants.len() >= MAX_VARIANTS {
            gone.extend(variants.iter().map(|(clock, _)| *clock).min());
        }
        for clock in gone {
            self.order.remove(&clock);
            self.drop_variant(key, clock);
        }
    }

    fn drop_variant(&mut self, key: &Key, clock: u64) {
        let Some(variants) = self.kept.get_mut(key) else { return };
        if let Some(place) = variants.iter().position(|(at, _)| *at == clock) {
            self.size -= variants.swap_remove(place).1.size();
        }
        if variants.is_empty() {
            self.kept.remove(key);
        }
    }
}
