// SPDX-License-Identifier: Apache-2.0
//! `Resolver`: from the host a client asks for to the certificate it is shown.
//!
//! ```text
//! host ── nobody serves it ──▶ none: the handshake is refused
//!   └──── kept: its own name, else `*.` ──▶ from disk, at the first handshake that wants it
//!   └──── nothing kept ──▶ signed by the internal authority
//! ```
//! What was read or signed stays in memory, a bounded number of them. Whether it is still the right one is a look at
//! the store's names: a new certificate is taken by the next handshake, and none under way is disturbed.

use super::internal::{InternalCa, LEAF_USE};
use super::store::{Bundle, CertStore};
use crate::registry::Registry;
use crate::table::{LiveService, Table};
use hop3_core::layout::Layout;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

pub(crate) struct Resolver {
    pub(super) layout: Layout,
    pub(super) registry: Arc<Registry>,
    pub(super) store: Arc<CertStore>,
    ca: Mutex<Option<Arc<InternalCa>>>,
    cache: Mutex<Cache>,
}

/// Which certificate is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The one kept under the name, as of that change.
    Kept(String, u64),
    /// One of the internal authority's, for these names.
    Signed(Vec<String>),
}

/// What a resolver finds certificates by, at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    table: u64,
    certificates: u64,
}

impl Resolver {
    pub(crate) fn new(
        layout: &Layout,
        registry: Arc<Registry>,
        store: Arc<CertStore>,
        capacity: usize,
    ) -> Resolver {
        let cache = Mutex::new(Cache { capacity, ..Cache::default() });
        Resolver { layout: layout.clone(), registry, store, ca: Mutex::default(), cache }
    }

    /// The certificate for a host, or for clients that name none. `None` when nobody serves the host.
    pub(crate) fn certificate(&self, host: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let wanted = self.wanted(&self.registry.table(), host)?;
        if let Some(found) = self.cache().get(&wanted) {
            return Some(found);
        }
        match self.make(&wanted) {
            Ok(made) => {
                self.cache().put(wanted, made.clone());
                Some(made)
            }
            Err(error) => {
                tracing::error!(?wanted, error = format!("{error:#}"), "a certificate cannot be used");
                None
            }
        }
    }

    /// Another one when `certificate` may say something else than before.
    pub(crate) fn version(&self) -> Version {
        Version { table: self.registry.changes(), certificates: self.store.version() }
    }

    pub(super) fn wanted(&self, table: &Table, host: Option<&str>) -> Option<Wanted> {
        // An address is nobody's name in a handshake: who connects to it names none.
        let host = host.filter(|host| host.parse::<IpAddr>().is_err());
        let Some(host) = host else {
            let service = table.unnamed()?;
            let first = &service.source.hosts.first()?.0;
            return Some(match self.store.find(first) {
                Some((name, version)) => Wanted::Kept(name, version),
                None => Wanted::Signed(names_and_addresses(service)),
            });
        };
        let service = table.owner(host)?;
        if let Some((name, version)) = self.store.find(host) {
            return Some(Wanted::Kept(name, version));
        }
        if let (Some(unnamed), Some(first)) = (table.unnamed(), service.source.hosts.first())
            && Arc::ptr_eq(unnamed, service)
            && first.0 == host
        {
            return Some(Wanted::Signed(names_and_addresses(service)));
        }
        Some(Wanted::Signed(vec![signed_name(service, host)]))
    }

    fn make(&self, wanted: &Wanted) -> anyhow::Result<Arc<CertifiedKey>> {
        match wanted {
            Wanted::Signed(names) => Ok(Arc::new(self.ca()?.sign(names)?)),
            Wanted::Kept(name, _) => match self.store.get(name)? {
                Some(bundle) => Ok(Arc::new(usable(&bundle)?)),
                None => anyhow::bail!("it was removed this moment"),
            },
        }
    }

    /// The internal authority; made at the first need.
    pub(super) fn ca(&self) -> io::Result<Arc<InternalCa>> {
        let mut ca = self.ca.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ca) = &*ca {
            return Ok(ca.clone());
        }
        let opened = Arc::new(InternalCa::open(&self.layout)?);
        Ok(ca.insert(opened).clone())
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certificate(hello.server_name())
    }
}

/// The name a certificate is signed for: a service's wildcard rather than each name beneath it, so that made-up names
/// make no certificates; but clients take no wildcard right beneath a top-level domain.
fn signed_name(service: &LiveService, host: &str) -> String {
    let is_exact = service.source.hosts.iter().any(|own| own.0.eq_ignore_ascii_case(host));
    match host.split_once('.') {
        Some((_, rest)) if !is_exact && rest.contains('.') => format!("*.{rest}"),
        _ => host.to_owned(),
    }
}

/// The first host of a service, and its addresses for clients that name no host.
fn names_and_addresses(service: &LiveService) -> Vec<String> {
    let hosts = service.source.hosts.iter().enumerate();
    let meant = hosts.filter(|(i, host)| *i == 0 || host.0.parse::<IpAddr>().is_ok());
    meant.map(|(_, host)| host.0.clone()).collect()
}

/// A bundle as handshakes need it; its key and its certificate belong together.
pub(super) fn usable(bundle: &Bundle) -> anyhow::Result<CertifiedKey> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(bundle.chain_pem.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(bundle.key_pem.expose().as_bytes())?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(CertifiedKey::from_der(chain, key, &provider)?)
}

/// Certificates in memory. When the younger half is full it becomes the older one, and what was the older half and
/// was not asked for since is forgotten.
#[derive(Default)]
struct Cache {
    capacity: usize,
    young: HashMap<String, Cached>,
    old: HashMap<String, Cached>,
}

#[derive(Clone)]
struct Cached {
    wanted: Wanted,
    certificate: Arc<CertifiedKey>,
    since: Instant,
}

impl Cached {
    fn is(&self, wanted: &Wanted) -> bool {
        self.wanted == *wanted && (matches!(wanted, Wanted::Kept(..)) || self.since.elapsed() < LEAF_USE)
    }
}

impl Cache {
    fn get(&mut self, wanted: &Wanted) -> Option<Arc<CertifiedKey>> {
        let key = key_of(wanted)?;
        if let Some(cached) = self.young.get(key).filter(|cached| cached.is(wanted)) {
            return Some(cached.certificate.clone());
        }
        let cached = self.old.remove(key).filter(|cached| cached.is(wanted))?;
        let certificate = cached.certificate.clone();
        self.insert(key.to_owned(), cached);
        Some(certificate)
    }

    fn put(&mut self, wanted: Wanted, certificate: Arc<CertifiedKey>) {
        if let Some(key) = key_of(&wanted).map(str::to_owned) {
            self.insert(key, Cached { wanted, certificate, since: Instant::now() });
        }
    }

    fn insert(&mut self, key: String, cached: Cached) {
        if self.young.len() >= self.capacity.div_ceil(2) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, cached);
    }
}

/// One place for each name, so that a new certificate takes the place of the old.
fn key_of(wanted: &Wanted) -> Option<&str> {
    match wanted {
        Wanted::Kept(name, _) => Some(name),
        Wanted::Signed(names) => names.first().map(String::as_str),
    }
}
