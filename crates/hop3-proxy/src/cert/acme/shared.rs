// SPDX-License-Identifier: Apache-2.0
//! `Shared`: what the keeper's thread and those who ask it for something both use.

use super::account::Accounts;
use super::caller::Caller;
use super::progress::{Progress, millis, now_ms};
use crate::cert::{CertStore, Challenges, dns, file};
use crate::limit::AcmeLimits;
use crate::registry::Registry;
use arc_swap::ArcSwap;
use hop3_core::acme::{Acme, AcmeChange, AcmeShown, Waiting};
use hop3_core::layout::Layout;
use hop3_core::name::Domain;
use hop3_core::tcp::Entry;
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
    pub(crate) challenges: Arc<Challenges>,
    pub(super) limits: AcmeLimits,
    pub(super) accounts: Accounts,
    pub(super) settings: ArcSwap<Acme>,
    /// When they were changed last: what failed before is tried with the new ones at once.
    pub(super) changed_ms: AtomicU64,
    /// Authorities that did not answer, by directory, and until when they are left alone.
    resting: Mutex<HashMap<String, u64>>,
    /// Names somebody wants another certificate for, now.
    pub(super) asked: Mutex<BTreeSet<String>>,
    pub(super) news: Notify,
    pub(super) is_stopping: AtomicBool,
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

    /// The table has changed, or a certificate that somebody keeps.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    /// Obtains another certificate now, whatever failed before.
    pub(crate) fn renew(&self, name: &str) -> Result<(), Problem> {
        let settings = self.settings.load();
        if !settings.is_on() {
            return Err(Problem::new(Kind::Conflict, "acme.off", "nobody is asked for certificates")
                .hint("say that it may be so: hop3 cert acme set --contact MAIL --agree-tos"));
        }
        if !self.wanted(&settings).contains(name) {
            let title = format!("no authority is asked for {name}");
            return Err(Problem::new(Kind::NotFound, "acme.not-served", title).detail(
                "certificates are obtained for domains of apps, and not for names of this machine alone",
            ));
        }
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        self.wake();
        Ok(())
    }

    /// Hosts of the table that an authority can be asked for: whoever is not served here gets nothing.
    pub(super) fn wanted(&self, settings: &Acme) -> BTreeSet<String> {
        let services = self.registry.services();
        let hosts = services.iter().flat_map(|service| service.source.all_hosts());
        let domains = hosts.filter_map(|host| host.0.parse::<Domain>().ok());
        // Whose process ends the TLS itself has its own certificate.
        let table = self.registry.table();
        let domains = domains.filter(|domain| table.tcp(&Entry::Host(domain.clone())).is_none());
        let may = |name: &String| settings.authorities.iter().any(|authority| authority.may_issue(name));
        domains.map(|domain| domain.to_string()).filter(may).collect()
    }

    /// What keeps a name from having a new certificate; nothing where nothing failed, or nobody is asked any more.
    pub(crate) fn waiting(&self, name: &str) -> Option<Waiting> {
        if !self.settings.load().is_on() {
            return None;
        }
        let Progress { problem, failures, next_ms, .. } = Progress::load(&self.layout, name);
        Some(Waiting { name: name.to_owned(), problem: problem?, failures, next_ms })
    }

    /// The settings, and the names that wait.
    pub(crate) fn shown(&self) -> AcmeShown {
        let settings = self.settings.load();
        let waiting = self.wanted(&settings).iter().filter_map(|name| self.waiting(name)).collect();
        AcmeShown { waiting, ..settings.shown() }
    }

    /// Saves the settings, then works by them.
    pub(crate) fn set(&self, change: AcmeChange) -> Result<AcmeShown, Problem> {
        let next = self.settings.load().changed(change)?;
        next.dns.as_ref().map_or(Ok(()), |driver| dns::check(driver, &self.layout))?;
        check_roots(&next)?;
        let saved = file::save(&self.layout.acme_settings(), &next);
        saved.map_err(|error: io::Error| super::Fault::here("the settings", &error).problem)?;
        self.settings.store(Arc::new(next));
        self.accounts.forget_all();
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.changed_ms.store(now_ms(), SeqCst);
        self.wake();
        Ok(self.shown())
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
