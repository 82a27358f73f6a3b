// SPDX-License-Identifier: Apache-2.0
//! `InternalCa`: the authority of this installation. It signs for names that no public authority can sign for
//! (`.localhost`, `.local`, `.internal`, `.lan`, names without a dot), and for every other host that is served until
//! its real certificate is there. Who trusts its certificate sees no warning.
//!
//! Invariant: its key never leaves its file, which only the proxy's user may read. What it signs is not kept on
//! disk: signing again costs less than reading.

use super::store::write_closed;
use hop3_core::layout::Layout;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
/// As long as people should not have to trust another one.
const CA_DAYS: i64 = 3650;
/// What browsers take without asking from an authority that was trusted by hand is 825 days.
const LEAF_DAYS: i64 = 90;
/// A signed certificate is used so long, then another is signed; well before the end, and for clocks that go wrong.
pub(super) const LEAF_USE: Duration = Duration::from_secs(30 * 86_400);
/// Clocks of clients may be behind.
const SKEW: i64 = 1;

pub(crate) struct InternalCa {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// One key for every certificate signed here: they are all this server's.
    leaf: KeyPair,
    leaf_key: Arc<dyn SigningKey>,
}

impl InternalCa {
    /// Reads the authority, or makes it when there is none.
    pub(super) fn open(layout: &Layout) -> io::Result<InternalCa> {
        let directory = layout.internal_ca();
        let (certificate, key) = (directory.join(CA), directory.join(CA_KEY));
        if !certificate.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
            let made = make().map_err(io::Error::other)?;
            // The certificate last: its being there says that both are.
            write_closed(&key, made.key().serialize_pem().as_bytes())?;
            let beside = certificate.with_extension("new");
            write_closed(&beside, made.pem().as_bytes())?;
            fs::rename(&beside, &certificate)?;
        }
        InternalCa::from_pem(fs::read_to_string(certificate)?, &fs::read_to_string(key)?)
            .map_err(io::Error::other)
    }

    fn from_pem(pem: String, key: &str) -> anyhow::Result<InternalCa> {
        let issuer = Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(key)?)?;
        let der = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes())?;
        let leaf = KeyPair::generate()?;
        let leaf_der = PrivateKeyDer::Pkcs8(leaf.serialize_der().into());
        let leaf_key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&leaf_der)?;
        Ok(InternalCa { pem, der, issuer, leaf, leaf_key })
    }

    /// The authority's own certificate, for people to trust.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a certificate for these names; addresses are names too.
    pub(super) fn sign(&self, names: &[String]) -> anyhow::Result<CertifiedKey> {
        let signed = self.signed(names)?;
        Ok(CertifiedKey::new(vec![signed.der().clone(), self.der.clone()], self.leaf_key.clone()))
    }

    /// The same as text, with the chain and the key.
    pub(super) fn sign_pem(&self, names: &[String]) -> anyhow::Result<String> {
        Ok(format!("{}{}{}", self.signed(names)?.pem(), self.pem, self.leaf.serialize_pem()))
    }

    fn signed(&self, names: &[String]) -> anyhow::Result<Certificate> {
        let mut params = CertificateParams::default();
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            });
        }
        params.distinguished_name = DistinguishedName::new();
        // A common name has 64 characters at most; nobody reads it where alternative names are there.
        let shown: String = names.first().map(|name| name.chars().take(64).collect()).unwrap_or_default();
        params.distinguished_name.push(DnType::CommonName, shown);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        lasts(&mut params, LEAF_DAYS)?;
        Ok(params.signed_by(&self.leaf, &self.issuer)?)
    }
}

fn make() -> anyhow::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    let mut serial = [0; 16];
    rustix::rand::getrandom(&mut serial, rustix::rand::GetRandomFlags::empty())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Hop3");
    // Told apart in the list of a browser that trusts several.
    let tail: String = serial[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name.push(DnType::CommonName, format!("Hop3 internal CA {tail}"));
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasts(&mut params, CA_DAYS)?;
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// From yesterday on, so many days.
fn lasts(params: &mut CertificateParams, days: i64) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now().as_second();
    let day = |days: i64| {
        let date =
            jiff::Timestamp::from_second(now + days * 86_400)?.to_zoned(jiff::tz::TimeZone::UTC).date();
        anyhow::Ok(rcgen::date_time_ymd(i32::from(date.year()), date.month() as u8, date.day() as u8))
    };
    params.not_before = day(-SKEW)?;
    params.not_after = day(days)?;
    Ok(())
}
