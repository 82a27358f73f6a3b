// SPDX-License-Identifier: Apache-2.0
//! `Facts`: what is written in a certificate, in the words in which it is shown.

use hop3_core::certificate::{CertificateInfo, CertificateOrigin};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;

pub(super) struct Facts {
    pub(super) issuer: String,
    pub(super) names: Vec<String>,
    /// Unix seconds, as is the next.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) key: Key,
    fingerprint: String,
}

/// The public key, as far as its strength is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rsa(usize),
    /// The curve's name.
    Ec(&'static str),
    Ed25519,
    Other(String),
}

impl Facts {
    /// `None` for what is no certificate.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Facts> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Facts {
            issuer: shown(parsed.issuer()),
            names: names(&parsed),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            key: key(&parsed),
            fingerprint: Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    pub(super) fn info(self, name: &str, origin: CertificateOrigin, served: bool) -> CertificateInfo {
        let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0) * 1000;
        CertificateInfo {
            name: name.to_owned(),
            origin,
            served,
            issuer: self.issuer,
            names: self.names,
            not_before_ms: ms(self.not_before),
            not_after_ms: ms(self.not_after),
            key: self.key.shown(),
            fingerprint: self.fingerprint,
            waiting: None,
        }
    }

    /// Tells whether clients take the certificate for a host: by one of its names, or by `*.` for one label.
    pub(super) fn covers(&self, host: &str) -> bool {
        let wildcard = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.names.iter().any(|name| name == host || Some(name) == wildcard.as_ref())
    }
}

impl Key {
    fn shown(&self) -> String {
        match self {
            Key::Rsa(bits) => format!("RSA {bits}"),
            Key::Ec(curve) => format!("ECDSA {curve}"),
            Key::Ed25519 => "Ed25519".into(),
            Key::Other(number) => number.clone(),
        }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => Some(IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?).to_string()),
            16 => Some(IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
            _ => None,
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn key(certificate: &X509Certificate<'_>) -> Key {
    let info = certificate.public_key();
    let algorithm = info.algorithm.algorithm.to_id_string();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => Key::Rsa(key.key_size()),
        Ok(PublicKey::EC(_)) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
            match curve.map(|curve| curve.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => Key::Ec("P-256"),
                Some("1.3.132.0.34") => Key::Ec("P-384"),
                Some("1.3.132.0.35") => Key::Ec("P-521"),
                other => Key::Other(format!("ECDSA {}", other.unwrap_or("of an unknown curve"))),
            }
        }
        _ if algorithm == "1.3.101.112" => Key::Ed25519,
        _ => Key::Other(algorithm),
    }
}

/// The common name, which authorities have; else the whole name.
fn shown(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    common.map_or_else(
        || crate::tls::name_text(name),
        |name| name.chars().filter(|c| !c.is_control()).collect(),
    )
}
