// SPDX-License-Identifier: Apache-2.0
//! Certificates that people bring, checked as strictly as a browser would before the first visitor sees one. Each
//! way to get it wrong is a problem of its own, told with what to do.

use super::facts::{Facts, Key};
use hop3_core::certificate::AddCertificateRequest;
use hop3_core::name::Domain;
use hop3_core::problem::{Kind, Problem};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates of authorities have three or four links.
const MAX_CHAIN: usize = 10;
const WEAKEST_RSA: usize = 2048;

/// Gives the names the certificate is to be kept for.
pub(super) fn check(request: &AddCertificateRequest) -> Result<Vec<String>, Problem> {
    let chain = chain(&request.chain)?;
    let key = key(&request.key)?;
    let leaf = Facts::of(&chain[0]).ok_or_else(|| unreadable("the first certificate is malformed"))?;
    check_key(&leaf, &chain, key)?;
    check_time(&leaf)?;
    check_order(&chain)?;
    let names = names(request, &leaf)?;
    check_signatures(&chain, &names)?;
    Ok(names)
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).take(MAX_CHAIN + 1).collect();
    match chain {
        Ok(chain) if chain.is_empty() => {
            let is_key = pem.contains("PRIVATE KEY");
            let detail = if is_key { "there is a private key instead" } else { "no BEGIN CERTIFICATE line" };
            Err(unreadable(detail))
        }
        Ok(chain) if chain.len() > MAX_CHAIN => Err(unreadable("there are more than ten certificates")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(unreadable(&error.to_string())),
    }
}

fn unreadable(detail: &str) -> Problem {
    Problem::new(Kind::User, "cert.unreadable", "the file has no certificate that can be read")
        .detail(detail)
        .hint("give the PEM file of your authority, which begins with -----BEGIN CERTIFICATE-----")
}

fn key(pem: &str) -> Result<PrivateKeyDer<'static>, Problem> {
    let problem = |title: &str, detail: String, hint: &str| {
        Problem::new(Kind::User, "cert.key-unreadable", title).detail(detail).hint(hint)
    };
    if pem.contains("ENCRYPTED") {
        return Err(problem(
            "the private key is protected by a password",
            "a server starts without anybody to ask".into(),
            "take the password away: openssl pkey -in key.pem -out open.pem",
        ));
    }
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
        problem(
            "the file has no private key that can be read",
            error.to_string(),
            "give the PEM file that was made together with the request for the certificate",
        )
    })
}

fn check_key(
    leaf: &Facts,
    chain: &[CertificateDer<'static>],
    key: PrivateKeyDer<'static>,
) -> Result<(), Problem> {
    let weak = match &leaf.key {
        Key::Rsa(bits) if *bits < WEAKEST_RSA => Some(format!("RSA with {bits} bits")),
        Key::Other(kind) => Some(kind.clone()),
        _ => None,
    };
    if let Some(weak) = weak {
        return Err(Problem::new(Kind::User, "cert.weak-key", "the certificate's key is too weak")
            .detail(format!(
                "it is {weak}; RSA from 2048 bits on, ECDSA P-256, P-384, P-521 and Ed25519 are taken"
            ))
            .hint("have a certificate made for a new key: openssl ecparam -name prime256v1 -genkey -noout"));
    }
    match CertifiedKey::from_der(chain.to_vec(), key, &aws_lc_rs::default_provider()) {
        Ok(_) => Ok(()),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Problem::new(
            Kind::User,
            "cert.key-mismatch",
            "the private key is not that of the certificate",
        )
        .detail("the certificate was made for another key, or the file begins with another certificate")
        .hint("put the certificate of the host first in the file, and give the key of its request")),
        Err(error) => Err(Problem::new(Kind::User, "cert.key-unusable", "the private key cannot be used")
            .detail(error.to_string())
            .hint("give an RSA, ECDSA or Ed25519 key in PEM")),
    }
}

fn check_time(leaf: &Facts) -> Result<(), Problem> {
    let now = jiff::Timestamp::now().as_second();
    let shown =
        |second| jiff::Timestamp::from_second(second).map_or_else(|_| "?".into(), |time| time.to_string());
    if now >= leaf.not_after {
        return Err(Problem::new(Kind::User, "cert.expired", "the certificate has expired")
            .detail(format!("it was good until {}", shown(leaf.not_after)))
            .hint("ask your authority for a new one; without one of your own Hop3 obtains one by itself"));
    }
    if now < leaf.not_before {
        return Err(Problem::new(Kind::User, "cert.not-yet-valid", "the certificate is not good yet")
            .detail(format!("it is good from {} on", shown(leaf.not_before)))
            .hint("add it then; if it should be good already, see whether this machine's clock is right"));
    }
    Ok(())
}

/// Each certificate is followed by its issuer's.
fn check_order(chain: &[CertificateDer<'static>]) -> Result<(), Problem> {
    for (i, pair) in chain.windows(2).enumerate() {
        let parsed = |der| X509Certificate::from_der(der).map(|(_, parsed)| parsed);
        let (Ok(one), Ok(next)) = (parsed(&pair[0]), parsed(&pair[1])) else {
            return Err(unreadable(&format!("certificate {} is malformed", i + 2)));
        };
        if one.issuer().as_raw() != next.subject().as_raw() {
            return Err(broken_chain(format!(
                "certificate {} was issued by {}, and the next one is that of {}",
                i + 1,
                crate::tls::name_text(one.issuer()),
                crate::tls::name_text(next.subject())
            )));
        }
    }
    Ok(())
}

fn broken_chain(detail: String) -> Problem {
    Problem::new(Kind::User, "cert.broken-chain", "the certificates do not lead from one to the next")
        .detail(detail)
        .hint("put them in this order: the host's own, the one that issued it, and so on; take others out")
}

/// The names asked for, which the certificate must cover; else all it has.
fn names(request: &AddCertificateRequest, leaf: &Facts) -> Result<Vec<String>, Problem> {
    let is_host = |name: &&String| name.parse::<Domain>().is_ok() || name.as_str() == "localhost";
    if request.names.is_empty() {
        let names: Vec<String> = leaf.names.iter().filter(is_host).cloned().collect();
        return if names.is_empty() { Err(no_names()) } else { Ok(names) };
    }
    for name in &request.names {
        if !is_host(&name) {
            return Err(name.parse::<Domain>().err().unwrap_or_else(no_names));
        }
        if !leaf.covers(name) {
            return Err(Problem::new(
                Kind::User,
                "cert.other-name",
                format!("the certificate is not for {name}"),
            )
            .detail(format!("it is for {}", leaf.names.join(", ")))
            .hint("browsers would refuse it; ask your authority for one with that name"));
        }
    }
    Ok(request.names.clone())
}

fn no_names() -> Problem {
    Problem::new(Kind::User, "cert.no-names", "the certificate names no host")
        .detail("browsers look at its alternative names (SAN) alone, never at its subject")
        .hint("ask your authority for one with the host among its alternative names")
}

/// Signatures, dates and uses of the whole chain, judged as a client that trusts its last link would.
fn check_signatures(chain: &[CertificateDer<'static>], names: &[String]) -> Result<(), Problem> {
    let [leaf, .., last] = chain else { return Ok(()) };
    let anchors = || {
        let mut roots = RootCertStore::empty();
        roots.add(last.clone()).ok()?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()
    };
    let verifier = anchors().ok_or_else(|| unreadable("the last certificate is malformed"))?;
    let asked = names[0].replacen('*', "any", 1);
    let name = ServerName::try_from(asked).map_err(|_| no_names())?;
    let now =
        UnixTime::since_unix_epoch(Duration::from_secs(jiff::Timestamp::now().as_second().unsigned_abs()));
    match verifier.verify_server_cert(leaf, &chain[1..chain.len() - 1], &name, &[], now) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Err(broken_chain("one of them has expired".into())),
        Err(Error::InvalidCertificate(CertificateError::BadSignature)) => {
            Err(broken_chain("one of them is not signed by the next".into()))
        }
        Err(error) => Err(broken_chain(error.to_string())),
    }
}
