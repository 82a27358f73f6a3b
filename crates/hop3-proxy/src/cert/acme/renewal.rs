// SPDX-License-Identifier: Apache-2.0
//! When a certificate is renewed: in the window that its authority suggests (ARI, RFC 9773), else after two thirds of
//! its life.

use super::fault::Fault;
use super::keeper::Need;
use super::progress::{Progress, millis, now_ms, random};
use hop3_core::layout::Layout;
use instant_acme::{Account, CertificateIdentifier, Error};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What an authority suggested for one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    /// The certificate it speaks of.
    pub(super) certificate: String,
    /// Chosen at random in the window; absent where the authority suggests nothing.
    pub(super) renew_ms: Option<u64>,
    /// When to ask again.
    pub(super) check_ms: u64,
}

/// What is to be known of a certificate to renew it.
pub(super) struct Leaf {
    not_before_ms: u64,
    not_after_ms: u64,
    /// Its identifier in ARI; absent when its issuer left out what that is made of.
    pub(super) id: Option<CertificateIdentifier<'static>>,
}

impl Leaf {
    pub(super) fn read(chain_pem: &str) -> Option<Leaf> {
        let der = CertificateDer::from_pem_slice(chain_pem.as_bytes()).ok()?;
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let ms = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).map_or(0, |s| s * 1000);
        Some(Leaf {
            not_before_ms: ms(parsed.validity().not_before),
            not_after_ms: ms(parsed.validity().not_after),
            id: CertificateIdentifier::try_from(&der).ok().map(CertificateIdentifier::into_owned),
        })
    }

    /// The latest moment at which it should be renewed.
    pub(super) fn renew_ms(&self, name: &str, window: Option<&Window>) -> u64 {
        let life = self.not_after_ms.saturating_sub(self.not_before_ms);
        let suggested = window.filter(|window| self.is_meant_by(window)).and_then(|window| window.renew_ms);
        match suggested {
            // Whatever is suggested, some time must be left to try.
            Some(suggested) => suggested.min(self.not_before_ms + life / 6 * 5),
            None => self.not_before_ms + life / 3 * 2 - spread(name, life / 30),
        }
    }

    /// Nothing is suggested for it; asked again after a while.
    pub(super) fn no_window(&self, every: Duration) -> Window {
        let certificate = self.id.as_ref().map(ToString::to_string).unwrap_or_default();
        Window { certificate, renew_ms: None, check_ms: now_ms() + millis(every) }
    }

    pub(super) fn is_meant_by(&self, window: &Window) -> bool {
        self.id.as_ref().is_some_and(|id| id.to_string() == window.certificate)
    }
}

/// Not all at the same moment, but each name always at its own.
fn spread(name: &str, most: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish().checked_rem(most).unwrap_or(0)
}

/// Asks the authority when it would have a certificate renewed.
pub(super) async fn ask(account: &Account, authority: &str, leaf: &Leaf, every: Duration) -> Window {
    let unknown = leaf.no_window(every);
    let Some(id) = &leaf.id else { return unknown };
    match account.renewal_info(id).await {
        Ok((info, again)) => {
            let ms = |seconds: i64| u64::try_from(seconds).map_or(0, |seconds| seconds * 1000);
            let window = info.suggested_window;
            let (start, end) = (ms(window.start.unix_timestamp()), ms(window.end.unix_timestamp()));
            let chosen = start + (end.saturating_sub(start) as f64 * random()) as u64;
            let again = again.clamp(Duration::from_secs(60), Duration::from_secs(86_400));
            Window { renew_ms: Some(chosen), check_ms: now_ms() + millis(again), ..unknown }
        }
        // It will not offer it before it is told so by a new directory, which comes with the next order.
        Err(Error::Unsupported(_)) => Window { check_ms: u64::MAX, ..unknown },
        Err(error) => {
            let fault = Fault::of(authority, error);
            tracing::debug!(authority, why = fault.problem.detail, "no suggestion when to renew");
            unknown
        }
    }
}

/// When the name needs attention next, and what it needs then.
pub(super) fn due(layout: &Layout, name: &str, chain_pem: &str) -> (u64, Need) {
    let window = Progress::load(layout, name).window;
    let Some(leaf) = Leaf::read(chain_pem) else { return (0, Need::Certificate) };
    let renew = leaf.renew_ms(name, window.as_ref());
    let check = match &window {
        Some(window) if leaf.is_meant_by(window) => window.check_ms,
        _ if leaf.id.is_some() => 0,
        _ => u64::MAX,
    };
    if renew <= now_ms() || renew <= check { (renew, Need::Certificate) } else { (check, Need::Window) }
}
