// SPDX-License-Identifier: Apache-2.0
//! Authorities whose certificates clients must show: read for handshakes, and judged before anything relies on them.

use anyhow::Context;
use hop3_core::problem::{Kind, Problem};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

/// Every handshake may go through all of them.
const MAX_AUTHORITIES: usize = 100;

pub(crate) fn client_roots(pem: &str) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.context("a certificate cannot be read")?)?;
    }
    anyhow::ensure!(!roots.is_empty(), "there is no certificate in it");
    Ok(roots)
}

/// # Errors
/// What would let nobody in: no certificate, one that is no authority's, one whose time is over.
pub fn check_client_ca(pem: &str) -> Result<(), Problem> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(unfit("there is a private key in it, which has no place in a release")
            .hint("put the certificates of the authorities into the file and nothing else"));
    }
    let roots = client_roots(pem).map_err(|error| unfit(&format!("{error:#}")))?;
    if roots.len() > MAX_AUTHORITIES {
        return Err(unfit("there are more than 100 certificates in it"));
    }
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
    certificates.enumerate().try_for_each(|(index, der)| match judge(&der) {
        None => Ok(()),
        Some(why) => Err(unfit(&format!("certificate {} {why}", index + 1))),
    })
}

/// Why it cannot sign for clients.
fn judge(der: &CertificateDer<'_>) -> Option<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(der) else { return Some("is malformed".to_owned()) };
    let name = crate::tls::name_text(parsed.subject());
    // The oldest form does not say what a certificate is for; a root signs itself.
    let is_old_root = parsed.version() == X509Version::V1 && parsed.issuer() == parsed.subject();
    if !parsed.is_ca() && !is_old_root {
        return Some(format!("({name}) is no authority's"));
    }
    let end = parsed.validity().not_after.timestamp();
    let has_ended = end <= jiff::Timestamp::now().as_second();
    has_ended.then(|| {
        let end = jiff::Timestamp::from_second(end).map_or_else(|_| "?".into(), |time| time.to_string());
        format!("({name}) was good until {end}")
    })
}

fn unfit(detail: &str) -> Problem {
    Problem::new(Kind::Config, "proxy.bad-client-ca", "the authorities of clients cannot be used")
        .detail(detail)
        .hint("give a PEM file with the certificates of the authorities that sign your clients' certificates")
}
