// SPDX-License-Identifier: Apache-2.0
//! `Terminator`: how handshakes are answered. One configuration for nearly all; one of its own for each service whose
//! clients must show a certificate; one for each proof that an issuer asks for.

use super::alert::Alert;
use super::hello::Hello;
use super::secure::Secure;
use crate::cert::{Challenges, Resolver, client_roots};
use crate::limit::Limits;
use crate::registry::Registry;
use crate::table::LiveService;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use std::sync::{Arc, OnceLock};

/// What is spoken inside. The order is ours; a client that speaks none of it is refused.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1", b"http/1.0"];

/// Shared by all threads.
pub(crate) struct Terminator {
    registry: Arc<Registry>,
    resolver: Arc<Resolver>,
    challenges: Arc<Challenges>,
    provider: Arc<CryptoProvider>,
    usual: Arc<ServerConfig>,
    sessions: usize,
}

/// The configuration of a service whose clients must show certificates, once it was needed; `None` inside when what
/// the service names as its authorities cannot be used.
#[derive(Default)]
pub(crate) struct Mutual(OnceLock<Option<Arc<ServerConfig>>>);

/// How one handshake is answered.
pub(super) struct Choice {
    pub(super) config: Arc<ServerConfig>,
    /// What requests of the connection are held against.
    pub(super) secure: Secure,
    /// It is an issuer's, and ends with the handshake.
    pub(super) is_challenge: bool,
}

impl Terminator {
    pub(crate) fn new(
        registry: Arc<Registry>,
        resolver: Arc<Resolver>,
        challenges: Arc<Challenges>,
        limits: &Limits,
    ) -> anyhow::Result<Terminator> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let sessions = limits.tls_sessions;
        let usual = config(&provider, None, resolver.clone(), sessions)?;
        Ok(Terminator { registry, resolver, challenges, provider, usual: Arc::new(usual), sessions })
    }

    /// For QUIC, which has TLS 1.3 alone. Services whose clients must show certificates answer 421 there.
    pub(crate) fn quic(&self) -> anyhow::Result<Arc<QuicServerConfig>> {
        let mut config = config(&self.provider, None, self.resolver.clone(), self.sessions)?;
        config.alpn_protocols = vec![b"h3".to_vec()];
        Ok(Arc::new(config.try_into()?))
    }

    pub(super) fn choose(&self, hello: &Hello) -> Result<Choice, Alert> {
        let host = hello.host.as_deref();
        if hello.is_challenge {
            let config = self.proof(host.ok_or(Alert::UnrecognisedName)?)?;
            return Ok(Choice { config, secure: Secure::default(), is_challenge: true });
        }
        let table = self.registry.table();
        let service = match host {
            Some(host) => table.owner(host),
            None => table.unnamed(),
        };
        let service = service.cloned().ok_or(Alert::UnrecognisedName)?;
        drop(table);
        let client_ca = service.source.tls.client_ca.clone();
        let config = match client_ca {
            None => self.usual.clone(),
            Some(_) => self.mutual(&service).ok_or(Alert::InternalError)?,
        };
        // Here, so that a certificate that cannot be used is told as such and not as a handshake that failed.
        self.resolver.certificate(host).ok_or(Alert::InternalError)?;
        let secure = Secure { host: hello.host.clone(), client_ca, ..Secure::default() };
        Ok(Choice { config, secure, is_challenge: false })
    }

    fn mutual(&self, service: &LiveService) -> Option<Arc<ServerConfig>> {
        let made = service.mutual.0.get_or_init(|| {
            let pem = service.source.tls.client_ca.as_deref()?;
            let made = client_roots(pem)
                .and_then(|roots| config(&self.provider, Some(roots), self.resolver.clone(), self.sessions));
            let name = &service.source.name;
            made.inspect_err(|error| {
                tracing::error!(
                    service = name,
                    error = format!("{error:#}"),
                    "its clients' authorities cannot be used"
                );
            })
            .ok()
            .map(Arc::new)
        });
        made.clone()
    }

    fn proof(&self, host: &str) -> Result<Arc<ServerConfig>, Alert> {
        let certificate = self.challenges.alpn(host).ok_or(Alert::UnrecognisedName)?;
        let resolver = Arc::new(SingleCertAndKey::from(certificate));
        let mut config = config(&self.provider, None, resolver, 0).map_err(|_| Alert::InternalError)?;
        config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Tells whether a request for a service by that host may come over a connection: its client must have been asked
    /// for what this service asks for, and have been shown the certificate that it would be shown here.
    pub(crate) fn suits(&self, secure: &Secure, host: &str, service: &LiveService) -> bool {
        let asked = &service.source.tls.client_ca;
        if secure.host.as_deref() == Some(host) {
            // A part of a host may ask for less than the host does.
            return asked.is_none() || *asked == secure.client_ca;
        }
        *asked == secure.client_ca && self.is_same_certificate(secure, host)
    }

    fn is_same_certificate(&self, secure: &Secure, host: &str) -> bool {
        let version = self.resolver.version();
        if secure.sharing.is_known(host, version) {
            return true;
        }
        let (shown, wanted) =
            (self.resolver.certificate(secure.host.as_deref()), self.resolver.certificate(Some(host)));
        let (Some(shown), Some(wanted)) = (shown, wanted) else { return false };
        let is_same = Arc::ptr_eq(&shown, &wanted) || shown.cert.first() == wanted.cert.first();
        if is_same {
            secure.sharing.remember(host, version);
        }
        is_same
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    clients: Option<RootCertStore>,
    resolver: Arc<dyn ResolvesServerCert>,
    sessions: usize,
) -> anyhow::Result<ServerConfig> {
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&versions)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    // Keys of tickets change every six hours and are forgotten after twelve. Each configuration has its own, so that
    // who was let in by one is not let in by another.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = ServerSessionMemoryCache::new(sessions);
    Ok(config)
}
