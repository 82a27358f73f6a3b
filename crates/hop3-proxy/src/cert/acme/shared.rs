// SPDX-License-Identifier: Apache-2.0
//! `Shared`: what the keeper's thread and those who ask it for something both use.

use super::account::Accounts;
use super::caller::Caller;
use super::progress::{Progress, millis, now_ms};
use crate::cert::{CertStore, Challenges, dns, file};
use crate::limit::AcmeLimits;
use crate::registry::Registry;
use arc_swap::ArcSwap;
use hop3_core::acme::{Acme, AcmeChange, AcmeShown};
use hop3_core::layout::Layout;
use hop3_core::{Kind, Problem};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What the keeper works with.
pub(crate) struct Parts {
    pub(crate) layout: Layout,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<CertStore>,
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) limits: AcmeLimits,
}

pub(crate) struct Shared {
    pub(super) layout: Layout,
    pub(super) registry: Arc<Registry>,
    pub(super) store: Arc<CertStore>,
    pub(super) challenges: Arc<Challenges>,
    pub(super) limits: AcmeLimits,
    pub(super) accounts: Accounts,
    pub(super) settings: ArcSwap<Acme>,
    /// When they were changed last: what failed before is tried with the new ones at once.
    pub(super) changed_ms: AtomicU64,
    /// Authorities that did not answer, by directory, and until when they are left alone.
    resting: Mutex<HashMap<String, u64>>,
    /// Names somebody wants to be looked at now.
    pub(super) asked: Mutex<BTreeSet<Ask>>,
    pub(super) news: Notify,
    pub(super) is_stopping: AtomicBool,
}

/// What somebody wants of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// Its certificate was changed by somebody else.
    Look(String),
    /// Another certificate, whatever is known of the one there is.
    Renew(String),
}

/// How it stands with a name, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// An authority has an order for it.
    pub(crate) under_way: bool,
    pub(crate) failures: u32,
    /// What went wrong last, in the authority's words.
    pub(crate) problem: Option<Problem>,
    /// Not tried before, in milliseconds of Unix time.
    pub(crate) next_ms: u64,
}

impl Shared {
    pub(super) fn new(parts: Parts) -> Shared {
        let settings: Acme = file::load(&parts.layout.acme_settings()).unwrap_or_default();
        Shared {
            accounts: Accounts::new(&parts.layout, parts.limits.request),
            layout: parts.layout,
            registry: parts.registry,
            store: parts.store,
            challenges: parts.challenges,
            limits: parts.limits,
            settings: ArcSwap::from_pointee(settings),
            changed_ms: AtomicU64::new(0),
            resting: Mutex::default(),
            asked: Mutex::default(),
            news: Notify::new(),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// The table has changed.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    /// A certificate was put or removed by somebody.
    pub(crate) fn look(&self, name: &str) {
        self.ask(Ask::Look(name.to_owned()));
    }

    /// Obtains another certificate now, whatever failed before.
    pub(crate) fn renew(&self, name: &str) {
        self.ask(Ask::Renew(name.to_owned()));
    }

    fn ask(&self, ask: Ask) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(ask);
        self.wake();
    }

    pub(crate) fn report(&self, name: &str) -> Report {
        let progress = Progress::load(&self.layout, name);
        Report {
            under_way: !progress.orders.is_empty(),
            failures: progress.failures,
            problem: progress.problem,
            next_ms: progress.next_ms,
        }
    }

    pub(crate) fn shown(&self) -> AcmeShown {
        self.settings.load().shown()
    }

    /// Saves the settings, then works by them.
    pub(crate) fn set(&self, change: AcmeChange) -> Result<AcmeShown, Problem> {
        let next = self.settings.load().changed(change)?;
        next.dns.as_ref().map_or(Ok(()), |driver| dns::check(driver, &self.layout))?;
        check_roots(&next)?;
        let saved = file::save(&self.layout.acme_settings(), &next);
        saved.map_err(|error: io::Error| super::Fault::here("the settings", &error).problem)?;
        let shown = next.shown();
        self.settings.store(Arc::new(next));
        self.accounts.forget_all();
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.changed_ms.store(now_ms(), SeqCst);
        self.wake();
        Ok(shown)
    }

    /// Leaves an authority that does not answer alone for a while.
    pub(super) fn rest(&self, directory: &str, wait: Option<Duration>) {
        let until = now_ms() + millis(wait.unwrap_or(self.limits.authority_rest));
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).insert(directory.to_owned(), until);
    }

    pub(super) fn resting_until(&self, directory: &str) -> u64 {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.get(directory).copied().unwrap_or(0)
    }
}

/// Roots that are none are told when they are given.
fn check_roots(settings: &Acme) -> Result<(), Problem> {
    for authority in &settings.authorities {
        Caller::new(authority.root_pem.as_deref(), Duration::ZERO).map_err(|error| {
            let title = format!("the root of {} cannot be used", authority.name());
            Problem::new(Kind::User, "acme.bad-root", title)
                .detail(error.to_string())
                .hint("give a PEM file that begins with -----BEGIN CERTIFICATE-----")
        })?;
    }
    Ok(())
}
