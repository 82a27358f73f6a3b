// SPDX-License-Identifier: Apache-2.0
//! `Proof`: what an authority must see to believe that a host is ours, put up for as long as it looks.

use super::fault::{Blame, Fault};
use crate::cert::Challenges;
use crate::cert::dns;
use crate::limit::AcmeLimits;
use hop3_core::acme::{ChallengeKind, DnsDriver};
use hop3_core::{Kind, Problem};
use instant_acme::{ChallengeHandle, ChallengeType};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// How this host is proven.
pub(super) struct Method<'a> {
    pub(super) kind: ChallengeKind,
    pub(super) dns: Option<&'a DnsDriver>,
    pub(super) limits: &'a AcmeLimits,
    pub(super) challenges: &'a Challenges,
}

pub(super) enum Proof<'a> {
    Http { challenges: &'a Challenges, token: String },
    Alpn { challenges: &'a Challenges, host: String },
    Dns(dns::Record<'a>),
}

impl<'a> Method<'a> {
    pub(super) fn challenge_type(&self) -> ChallengeType {
        match self.kind {
            ChallengeKind::Http01 => ChallengeType::Http01,
            ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
            ChallengeKind::Dns01 => ChallengeType::Dns01,
        }
    }

    /// When it returns, the authority may look.
    pub(super) async fn put_up(
        &self,
        host: &str,
        challenge: &ChallengeHandle<'_>,
    ) -> Result<Proof<'a>, Fault> {
        let answer = challenge.key_authorization();
        let challenges = self.challenges;
        match self.kind {
            ChallengeKind::Http01 => {
                challenges.put_http(&challenge.token, answer.as_str());
                Ok(Proof::Http { challenges, token: challenge.token.clone() })
            }
            ChallengeKind::TlsAlpn01 => {
                let certificate = alpn_certificate(host, answer.digest().as_ref());
                let certificate = certificate.map_err(|error| unmade(&error))?;
                challenges.put_alpn(host, Arc::new(certificate));
                Ok(Proof::Alpn { challenges, host: host.to_owned() })
            }
            ChallengeKind::Dns01 => {
                let driver = self.dns.ok_or_else(no_dns)?;
                let record = dns::Record::new(driver, host, answer.dns_value(), self.limits);
                record.publish().await?;
                Ok(Proof::Dns(record))
            }
        }
    }
}

impl Proof<'_> {
    pub(super) async fn take_down(self) {
        if let Proof::Dns(record) = &self {
            record.withdraw().await;
        }
    }
}

/// Also when the order is dropped half-way.
impl Drop for Proof<'_> {
    fn drop(&mut self) {
        match self {
            Proof::Http { challenges, token } => challenges.forget_http(token),
            Proof::Alpn { challenges, host } => challenges.forget_alpn(host),
            Proof::Dns(_) => {}
        }
    }
}

/// Signed by itself, for the one host, with the answer in it (RFC 8737 §3).
fn alpn_certificate(host: &str, digest: &[u8]) -> anyhow::Result<CertifiedKey> {
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    // Not `from_der`, which refuses certificates with an extension it must understand and does not.
    let key = provider.key_provider.load_private_key(key)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

fn unmade(error: &anyhow::Error) -> Fault {
    let problem = Problem::new(Kind::Bug, "acme.unmade", "the certificate for the challenge cannot be made");
    Fault::new(Blame::Here, problem.detail(error.to_string()))
}

pub(super) fn no_dns() -> Fault {
    Fault::new(
        Blame::Host,
        Problem::new(Kind::Config, "acme.wildcard-needs-dns", "a wildcard can only be proven by DNS")
            .hint("say who writes DNS records: hop3 cert acme set --dns-hook PATH, or --dns-server ADDRESS"),
    )
}
