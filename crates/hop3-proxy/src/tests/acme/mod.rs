// SPDX-License-Identifier: Apache-2.0
//! Certificates from pebble, the real authority for tests: `issue` (each challenge, many at once), `trouble` (what
//! fails, who is away), `window` (ARI and rate limits, which Debian's pebble does not know).

mod authority;
mod dns;
mod front;
mod issue;
mod trouble;
mod window;

use super::harness::{Proxy, one_route};
use crate::cert::acme::Ask;
use crate::control::{Answer, Request};
use crate::{AcmeLimits, Limits};
use authority::{Names, Pebble, Setup, until};
use hop3_core::acme::AcmeChange;
use hop3_core::route::{Page, Target};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

/// A proxy with an authority that looks at it.
struct Bench {
    proxy: Proxy,
    pebble: Pebble,
    names: Names,
}

impl Bench {
    fn start(setup: Setup) -> Bench {
        Bench::with(setup, quick())
    }

    fn with(setup: Setup, acme: AcmeLimits) -> Bench {
        let proxy = Proxy::with(Limits { threads: NonZeroUsize::new(2), acme, ..Limits::default() });
        let names = Names::start();
        let pebble = Pebble::start(&Setup { http: proxy.http.port(), ..setup }, names.dns);
        Bench { proxy, pebble, names }
    }

    /// With an authority that believes another DNS server.
    fn believing(setup: Setup, dns: SocketAddr) -> Bench {
        let bench = Bench::start(Setup::default());
        let pebble = Pebble::start(&Setup { http: bench.proxy.http.port(), ..setup }, dns);
        Bench { pebble, ..bench }
    }

    /// Says that certificates may be obtained there.
    fn agree(&self) {
        self.set(self.change());
    }

    fn change(&self) -> AcmeChange {
        AcmeChange {
            authorities: Some(vec![self.pebble.directory.clone()]),
            root_pem: Some(self.pebble.root_pem.clone()),
            contact: Some(vec!["ada@example.org".into()]),
            agree_tos: Some(true),
            ..AcmeChange::default()
        }
    }

    fn set(&self, change: AcmeChange) {
        let answer = self.proxy.ask(&Request::Acme(Ask::Set(Box::new(change))));
        assert!(matches!(&answer, Answer::Acme(shown) if shown.on), "{answer:?}");
    }

    fn serve(&self, host: &str) {
        self.proxy.put(one_route(host, Target::Page(Page::NotDeployed)));
    }

    fn file(&self, path: &str) -> PathBuf {
        self.proxy.root.path().join("certs").join(path)
    }

    fn until_there(&self, host: &str) {
        let chain = self.file(host).join("chain.pem");
        until(&format!("a certificate for {host}; {}", self.progress(host)), || chain.exists());
    }

    /// What is remembered of a name, as it lies on disk.
    fn progress(&self, host: &str) -> String {
        fs::read_to_string(self.file(&format!("acme/names/{host}.json"))).unwrap_or_default()
    }

    fn until_told(&self, host: &str, code: &str) {
        until(&format!("{host}: {code}"), || self.progress(host).contains(code));
    }

    /// Chain and key out of one directory: a renewal puts another in its place.
    fn version(&self, host: &str) -> (Vec<u8>, Vec<u8>) {
        let read = || {
            let directory = fs::File::open(self.file(host)).unwrap();
            let within = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
            Some((fs::read(within.join("chain.pem")).ok()?, fs::read(within.join("key.pem")).ok()?))
        };
        // A directory that was replaced and removed meanwhile is empty.
        (0..100).find_map(|_| read()).expect("a certificate that is whole")
    }

    /// The certificate's bytes, after a look whether its key is its.
    fn certificate(&self, host: &str) -> CertificateDer<'static> {
        let (chain, key) = self.version(host);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(&key).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = rustls::sign::CertifiedKey::from_der(chain, key, &provider).unwrap();
        certified.cert[0].clone().into_owned()
    }
}

/// Failures are tried again after a moment.
fn quick() -> AcmeLimits {
    AcmeLimits {
        first_retry: Duration::from_millis(200),
        longest_retry: Duration::from_secs(1),
        longest_away: Duration::from_secs(1),
        authority_rest: Duration::from_millis(100),
        ..AcmeLimits::default()
    }
}
