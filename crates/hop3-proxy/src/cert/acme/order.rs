// SPDX-License-Identifier: Apache-2.0
//! One certificate, from the first word to an authority to the chain in the store.
//!
//! ```text
//! ordered ─▶ its address and key saved ─▶ proven ─▶ requested with the key ─▶ chain in the store ─▶ forgotten
//!     ▲                   │ gone, or not proven
//!     └───────────────────┘
//! ```
//! Each step begins with what is saved or with what the authority says of the order, so a killed proxy goes on where
//! it was. Authorities are asked in their order, but one that has an order under way is asked first.

use super::fault::{Blame, Fault};
use super::progress::{Pending, Progress, disk, millis, now_ms};
use super::proof::{Method, Proof};
use super::renewal::Leaf;
use super::shared::Shared;
use crate::cert::{Bundle, Origin};
use hop3_core::acme::{Acme, Authority, ChallengeKind};
use hop3_core::secret::Secret;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeStatus, Error, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use std::time::Duration;

/// An authority that takes none of so many nonces is away. The client crate has tried three times each time.
const MOST_TRIES: u32 = 5;

/// One name's way to a certificate.
pub(super) struct Errand<'a> {
    pub(super) shared: &'a Shared,
    pub(super) settings: &'a Acme,
    /// The host, or `*.` and a domain.
    pub(super) name: &'a str,
    pub(super) progress: Progress,
    /// An order was found on disk: it was begun earlier, perhaps by another proxy.
    pub(super) is_taken_up: bool,
}

impl Errand<'_> {
    /// Asks one authority after the other until there is a certificate; the last fault when none gives one.
    pub(super) async fn run(&mut self) -> Result<(), Fault> {
        let mut last = None;
        for authority in self.authorities() {
            let fault = match self.ask(&authority).await {
                Ok(bundle) => return self.keep(bundle).await,
                Err(fault) => fault,
            };
            tracing::warn!(
                name = self.name,
                authority = authority.name(),
                why = fault.problem.detail,
                "{}",
                fault.problem.title
            );
            self.after(&authority, &fault).await?;
            if matches!(fault.blame, Blame::Host | Blame::Here) {
                return Err(fault);
            }
            last = Some(fault);
        }
        Err(last.unwrap_or_else(|| self.all_held()))
    }

    /// Those that may be asked now.
    fn authorities(&self) -> Vec<Authority> {
        let now = now_ms();
        let is_free = |authority: &&Authority| {
            let held = self.progress.held.get(&authority.directory).copied().unwrap_or(0);
            held.max(self.shared.resting_until(&authority.directory)) <= now
        };
        let all = self.settings.authorities.iter().filter(|authority| authority.may_issue(self.name));
        let mut free: Vec<Authority> = all.filter(is_free).cloned().collect();
        free.sort_by_key(|authority| !self.has_order(authority));
        free
    }

    fn all_held(&self) -> Fault {
        let until = |authority: &Authority| {
            let held = self.progress.held.get(&authority.directory).copied().unwrap_or(0);
            held.max(self.shared.resting_until(&authority.directory))
        };
        let first = self.settings.authorities.iter().map(until).min().unwrap_or(0);
        let wait = Duration::from_millis(first.saturating_sub(now_ms()));
        let problem = self.progress.problem.clone();
        let fault = Fault::away("every authority", "each was asked a moment ago and wants to be left alone");
        Fault { wait: Some(wait), problem: problem.unwrap_or(fault.problem.clone()), ..fault }
    }

    /// What is remembered of an authority that failed.
    async fn after(&mut self, authority: &Authority, fault: &Fault) -> Result<(), Fault> {
        let directory = &authority.directory;
        match fault.blame {
            Blame::Away | Blame::Again => {
                self.shared.accounts.forget(directory);
                self.shared.rest(directory, fault.wait);
            }
            Blame::Authority => {
                if let Some(wait) = fault.wait {
                    self.progress.held.insert(directory.clone(), now_ms() + millis(wait));
                    self.save().await?;
                }
            }
            Blame::Account => self.shared.accounts.unregister(authority)?,
            Blame::Host | Blame::Here => {}
        }
        Ok(())
    }

    /// Goes on with an order as often as the authority wants it. One that has lost our account, as test authorities
    /// do, is asked once more with a new one, and so is one that looked while nobody was here to answer.
    async fn ask(&mut self, authority: &Authority) -> Result<Bundle, Fault> {
        let (mut tries, mut is_lost) = (0, false);
        loop {
            let fault = match self.ask_once(authority).await {
                Ok(bundle) => return Ok(bundle),
                Err(fault) => fault,
            };
            tries += 1;
            match fault.blame {
                Blame::Again if tries < MOST_TRIES => {}
                Blame::Account if !is_lost => {
                    is_lost = true;
                    self.after(authority, &fault).await?;
                    self.progress.orders.remove(&authority.directory);
                }
                Blame::Host if self.is_taken_up && !self.has_order(authority) => self.is_taken_up = false,
                _ => return Err(fault),
            }
        }
    }

    fn has_order(&self, authority: &Authority) -> bool {
        self.progress.orders.contains_key(&authority.directory)
    }

    async fn ask_once(&mut self, authority: &Authority) -> Result<Bundle, Fault> {
        let told = |error| Fault::of(authority.name(), error);
        let account = self.shared.accounts.at(authority, self.settings).await?;
        let (mut order, key) = self.order(authority, &account).await?;
        if order.state().status == OrderStatus::Pending {
            self.prove(authority, &mut order).await?;
        }
        if order.state().status == OrderStatus::Ready {
            let request = self.request(&key).map_err(|error| Fault::refused(authority.name(), &error))?;
            order.finalize_csr(&request).await.map_err(told)?;
        }
        let chain_pem = match order.state().status {
            OrderStatus::Valid => order.certificate().await.map_err(told)?.unwrap_or_default(),
            OrderStatus::Processing => order.poll_certificate(&self.polls()).await.map_err(told)?,
            _ => {
                let fault = self.why(authority, &mut order).await;
                self.drop_order(authority).await?;
                return Err(fault);
            }
        };
        if !is_for(&chain_pem, &key) {
            self.drop_order(authority).await?;
            return Err(Fault::refused(authority.name(), "the certificate it gave is not for our key"));
        }
        let origin = Origin::Acme { directory: authority.directory.clone() };
        Ok(Bundle { chain_pem, key_pem: Secret::new(key.serialize_pem()), origin })
    }

    /// The order that is under way there, else a new one; with its key.
    async fn order(&mut self, authority: &Authority, account: &Account) -> Result<(Order, KeyPair), Fault> {
        let told = |error| Fault::of(authority.name(), error);
        let kept = self.progress.orders.get(&authority.directory).cloned();
        let kept = kept.and_then(|kept| Some((KeyPair::from_pem(kept.key_pem.expose()).ok()?, kept.url)));
        if let Some((key, url)) = kept {
            match account.order(url).await {
                Ok(mut order) => {
                    if order.state().status != OrderStatus::Invalid {
                        return Ok((order, key));
                    }
                }
                Err(error) => {
                    let fault = told(error);
                    // Else it has expired, or was forgotten.
                    if fault.blame != Blame::Authority || fault.wait.is_some() {
                        return Err(fault);
                    }
                    tracing::info!(name = self.name, why = fault.problem.detail, "an order is given up");
                }
            }
        }
        let key = KeyPair::generate().map_err(|e| Fault::refused(authority.name(), &e.to_string()))?;
        let order = self.place(authority, account).await?;
        let pending = Pending { key_pem: Secret::new(key.serialize_pem()), url: order.url().to_owned() };
        self.progress.orders.insert(authority.directory.clone(), pending);
        self.save().await?;
        Ok((order, key))
    }

    /// Orders; in place of the certificate that is kept, where the authority knows of such (RFC 9773 §5).
    async fn place(&self, authority: &Authority, account: &Account) -> Result<Order, Fault> {
        let told = |error| Fault::of(authority.name(), error);
        let identifiers = [Identifier::Dns(self.name.to_owned())];
        let new = NewOrder::new(&identifiers);
        let Some(old) = self.replaced(authority) else {
            return account.new_order(&new).await.map_err(told);
        };
        match account.new_order(&new.replaces(old)).await {
            // It was replaced already, or the authority makes nothing of it.
            Err(Error::Api(problem)) if super::fault::kind_of(&problem) != "rateLimited" => {
                account.new_order(&NewOrder::new(&identifiers)).await.map_err(told)
            }
            other => other.map_err(told),
        }
    }

    fn replaced(&self, authority: &Authority) -> Option<instant_acme::CertificateIdentifier<'static>> {
        let kept = self.shared.store.get(self.name).ok()??;
        let is_its = kept.origin == Origin::Acme { directory: authority.directory.clone() };
        let leaf = Leaf::read(&kept.chain_pem).filter(|_| is_its)?;
        let window = self.progress.window.as_ref()?;
        (leaf.is_meant_by(window) && window.renew_ms.is_some()).then_some(leaf.id)?
    }

    /// Shows the authority that the host is ours and waits until it has made up its mind.
    async fn prove(&self, authority: &Authority, order: &mut Order) -> Result<(), Fault> {
        let mut proofs = Vec::new();
        let shown = self.show(authority, order, &mut proofs).await;
        let polled = match &shown {
            Ok(()) => order.poll_ready(&self.polls()).await.map(|_| ()),
            Err(_) => Ok(()),
        };
        for proof in proofs {
            proof.take_down().await;
        }
        shown?;
        match polled {
            // Why it is invalid is asked by who sees that it is.
            Err(error) if order.state().status != OrderStatus::Invalid => {
                Err(Fault::of(authority.name(), error))
            }
            _ => Ok(()),
        }
    }

    async fn show<'a>(
        &'a self,
        authority: &Authority,
        order: &mut Order,
        proofs: &mut Vec<Proof<'a>>,
    ) -> Result<(), Fault> {
        let told = |error| Fault::of(authority.name(), error);
        let is_wildcard = self.name.starts_with("*.");
        let method = Method {
            kind: if is_wildcard { ChallengeKind::Dns01 } else { self.settings.challenge },
            dns: self.settings.dns.as_ref(),
            limits: &self.shared.limits,
            challenges: &self.shared.challenges,
        };
        let host = self.name.strip_prefix("*.").unwrap_or(self.name);
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(told)?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let mut challenge = authorization.challenge(method.challenge_type()).ok_or_else(|| {
                let words = format!("it does not offer the challenge {}", method.kind.as_str());
                Fault::refused(authority.name(), &words)
            })?;
            proofs.push(method.put_up(host, &challenge).await?);
            if challenge.status == ChallengeStatus::Pending {
                challenge.set_ready().await.map_err(told)?;
            }
        }
        Ok(())
    }

    /// What the authority says of an order that came to nothing.
    async fn why(&self, authority: &Authority, order: &mut Order) -> Fault {
        let error = match order.refresh().await {
            Ok(state) => state.error.clone(),
            Err(error) => return Fault::of(authority.name(), error),
        };
        let mut authorizations = order.authorizations();
        while let Some(Ok(authorization)) = authorizations.next().await {
            if let Some(problem) = authorization.challenges.iter().find_map(|one| one.error.as_ref()) {
                return Fault::unproven(authority.name(), self.name, problem);
            }
        }
        match error {
            Some(problem) => Fault::of(authority.name(), Error::Api(problem)),
            None => Fault::refused(authority.name(), "it gave the order up and does not say why"),
        }
    }

    fn request(&self, key: &KeyPair) -> Result<Vec<u8>, String> {
        let mut params = CertificateParams::new([self.name.to_owned()]).map_err(|e| e.to_string())?;
        params.distinguished_name = DistinguishedName::new();
        params.serialize_request(key).map(|request| request.der().to_vec()).map_err(|e| e.to_string())
    }

    /// Into the store, from where the next handshake takes it.
    async fn keep(&mut self, bundle: Bundle) -> Result<(), Fault> {
        let (store, name) = (self.shared.store.clone(), self.name.to_owned());
        let kept = disk(move || store.put(&name, &bundle)).await;
        kept.map_err(|error| Fault::here(&format!("the certificate for {}", self.name), &error))?;
        Progress::forget(&self.shared.layout, self.name)?;
        tracing::info!(name = self.name, "certificate obtained");
        Ok(())
    }

    async fn drop_order(&mut self, authority: &Authority) -> Result<(), Fault> {
        self.progress.orders.remove(&authority.directory);
        self.save().await
    }

    async fn save(&self) -> Result<(), Fault> {
        self.progress.save(&self.shared.layout, self.name).await
    }

    fn polls(&self) -> RetryPolicy {
        RetryPolicy::new()
            .initial_delay(Duration::from_millis(100))
            .backoff(2.0)
            .timeout(self.shared.limits.order)
    }
}

/// The chain's first certificate has the public key that belongs to ours.
fn is_for(chain_pem: &str, key: &KeyPair) -> bool {
    use rcgen::PublicKeyData;
    use rustls::pki_types::pem::PemObject;
    use x509_parser::prelude::{FromDer, X509Certificate};
    let der = rustls::pki_types::CertificateDer::from_pem_slice(chain_pem.as_bytes());
    let Ok(der) = der else { return false };
    X509Certificate::from_der(&der)
        .is_ok_and(|(_, leaf)| leaf.public_key().raw == key.subject_public_key_info())
}
