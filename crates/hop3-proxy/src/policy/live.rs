// SPDX-License-Identifier: Apache-2.0
//! `Live`: a service's policy with the state its features keep: counters, verified passwords. State outlives a change
//! of the service as long as the feature it belongs to stays the same.

use super::auth::Verified;
use super::cache::Store;
use super::compress::Coding;
use super::key::Key;
use super::pause::Held;
use super::rate::Limiter;
use super::waf;
use crate::http1::forward::Request;
use crate::table::LiveService;
use hop3_core::policy::Policy;
use hop3_core::route::{Canary, Service};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

pub(crate) struct Live {
    pub(super) source: Policy,
    pub(super) key: Key,
    pub(super) canary: Option<Box<Canary>>,
    /// Where maintenance and error pages lie.
    pub(super) pages: Option<PathBuf>,
    /// One for each of `source.rate_limits`.
    pub(super) limiters: Arc<[Limiter]>,
    pub(super) verified: Arc<Verified>,
    /// Kept answers: of this release under this policy, no other.
    pub(super) store: Option<Arc<Store>>,
    pub(super) held: Arc<Held>,
    /// Whoever asks the request filter waits for a turn.
    pub(super) questions: Arc<Semaphore>,
    /// Woken when another policy has taken this one's place.
    pub(super) replaced: Notify,
}

impl Live {
    /// `None` where nothing is asked for, which is what makes such a service cost nothing.
    pub(crate) fn new(service: &Service, old: Option<&Arc<Live>>, key: &Key) -> Option<Arc<Live>> {
        let canary = service.canary.clone();
        let source = service.policy.as_deref().cloned().unwrap_or_default();
        if source.is_none() && canary.is_none() {
            return None;
        }
        let limiters = match old {
            Some(old) if old.source.rate_limits == source.rate_limits => old.limiters.clone(),
            _ => source.rate_limits.iter().map(Limiter::new).collect(),
        };
        let verified = match old {
            Some(old) if old.source.basic_auth == source.basic_auth => old.verified.clone(),
            _ => Arc::default(),
        };
        let held = old.map(|old| old.held.clone()).unwrap_or_default();
        let questions = old.map_or_else(|| Arc::new(waf::turns()), |old| old.questions.clone());
        let pages = service.pages.clone();
        let store = match old {
            Some(old) if old.source == source && old.pages == pages && old.canary == canary => {
                old.store.clone()
            }
            _ => Live::new_store(source.cache.as_ref()),
        };
        let (key, replaced) = (key.clone(), Notify::new());
        Some(Arc::new(Live {
            source,
            key,
            canary,
            pages,
            limiters,
            verified,
            store,
            held,
            questions,
            replaced,
        }))
    }

    /// Whoever is let in here would be let in by the other service too, which stands still for nobody.
    pub(super) fn asks_the_same(&self, other: &LiveService) -> bool {
        let ours = &self.source;
        if other.source.tls.client_ca.is_some() {
            return false;
        }
        let nothing = Policy::default();
        let theirs = other.policy.as_deref().map_or(&nothing, |live| &live.source);
        ours.allow == theirs.allow
            && ours.deny == theirs.deny
            && ours.basic_auth == theirs.basic_auth
            && ours.forward_auth == theirs.forward_auth
            && ours.waf == theirs.waf
            && ours.rate_limits == theirs.rate_limits
            && ours.max_body_size == theirs.max_body_size
            && ours.maintenance == theirs.maintenance
            && ours.pause == theirs.pause
    }

    /// How an answer leaves for a client that takes these codings.
    pub(super) fn coding(&self, accepts: &str) -> Option<Coding> {
        self.source.compression.as_ref().filter(|c| c.on).and_then(|_| Coding::best(accepts))
    }

    /// A proxy that is trusted, in front of a plain connection, says that it was spoken to by HTTPS.
    pub(crate) fn is_secure_in_front(&self, peer: &str, request: &Request) -> bool {
        let Some(forwarded) = request.forwarded.as_deref() else { return false };
        let is_trusted = |peer| self.source.trusted_proxies.iter().any(|net| net.contains(peer));
        forwarded.scheme.eq_ignore_ascii_case("https") && peer.parse().is_ok_and(is_trusted)
    }

    /// Lets go of requests that are held for this one.
    pub(crate) fn retire(&self) {
        self.replaced.notify_waiters();
    }
}
