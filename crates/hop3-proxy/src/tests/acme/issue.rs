// SPDX-License-Identifier: Apache-2.0
//! Certificates are obtained: by each challenge, for many names, for none that is not served.

use super::authority::{BINDING_KEY, Setup, lacks, until};
use super::{Bench, quick};
use crate::cert::Challenges;
use crate::tests::harness::one_route;
use hop3_core::acme::{AcmeChange, ChallengeKind, Eab};
use hop3_core::route::{Host, Mount, Page, Service, Target};
use hop3_core::secret::Secret;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use x509_parser::prelude::{FromDer, X509Certificate};

const PEBBLE: &[&str] = &["pebble", "pebble-challtestsrv"];

#[test]
fn a_host_that_is_served_gets_a_certificate_and_no_other_does() {
    if lacks("a_host_that_is_served_gets_a_certificate_and_no_other_does", PEBBLE) {
        return;
    }
    let bench = Bench::start(Setup::default());
    bench.serve("shop.example.org");
    bench.serve("localhost");
    assert!(!bench.file("acme/accounts").exists(), "nobody has agreed yet");
    bench.agree();
    bench.until_there("shop.example.org");
    let der = bench.certificate("shop.example.org");
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(format!("{:?}", names.value.general_names), "[DNSName(\"shop.example.org\")]");

    // A host that comes later, while everything runs.
    bench.serve("blog.example.org");
    bench.until_there("blog.example.org");
    assert!(
        bench.pebble.said(&["There are now 1 accounts"]) == 1
            && bench.pebble.said(&["There are now 2 acc"]) == 0
    );
    assert!(!bench.file("localhost").exists());
    closed(&bench.file(""));
    // Nothing is answered to authorities when none looks.
    let mut http = bench.proxy.connect();
    http.send("GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: shop.example.org\r\n\r\n");
    assert_eq!(http.reply().status, 503);
}

/// Nobody answers for the host itself, only for parts of it.
#[test]
fn a_host_of_which_only_parts_are_served_gets_a_certificate() {
    if lacks("a_host_of_which_only_parts_are_served_gets_a_certificate", PEBBLE) {
        return;
    }
    let bench = Bench::start(Setup::default());
    let mount = Mount { host: Host("parts.example.org".into()), prefix: "/api".into() };
    let service = one_route("own.localhost", Target::Page(Page::NotDeployed));
    bench.proxy.put(Service { mounts: vec![mount], ..service });
    bench.agree();
    bench.until_there("parts.example.org");
}

/// Keys, and whatever lies beside them, are their owner's alone.
fn closed(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode() & 0o777;
        let wanted = if entry.file_type().unwrap().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{:?}", entry.path());
        if wanted == 0o700 {
            closed(&entry.path());
        }
    }
}

#[test]
fn two_hundred_hosts_at_once() {
    if lacks("two_hundred_hosts_at_once", PEBBLE) {
        return;
    }
    let bench = Bench::start(Setup { bad_nonces: 5, ..Setup::default() });
    let hosts: Vec<String> = (0..200).map(|i| format!("h{i}.example.org")).collect();
    let services = hosts.iter().map(|host| {
        let page = hop3_core::route::Target::Page(hop3_core::route::Page::NotDeployed);
        super::one_route(host, page)
    });
    bench.proxy.ask(&crate::tests::harness::table(services.collect()));
    let begun = Instant::now();
    bench.agree();
    for host in &hosts {
        bench.until_there(host);
    }
    println!("two hundred certificates took {:?}", begun.elapsed());
    assert_eq!(bench.pebble.said(&["Added order"]), 200, "each is ordered once");
}

/// Shows what the proxy would at its port for HTTPS, to authorities that ask for the protocol of the challenge.
struct Shown(Arc<Challenges>);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.alpn(hello.server_name()?)
    }
}

#[test]
fn a_handshake_proves_a_host() {
    if lacks("a_handshake_proves_a_host", PEBBLE) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let bench = Bench::start(Setup { tls: listener.local_addr().unwrap().port(), ..Setup::default() });
    let shown = Arc::new(Shown(bench.proxy.challenges()));
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(shown);
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut tls = ServerConnection::new(config.clone()).unwrap();
            tls.complete_io(&mut stream).ok();
        }
    });
    bench.serve("shop.example.org");
    let challenge = Some(ChallengeKind::TlsAlpn01);
    bench.set(AcmeChange { challenge, ..bench.change() });
    bench.until_there("shop.example.org");
    bench.certificate("shop.example.org");
    assert!(bench.pebble.said(&["Attempting to validate w/ HTTP"]) == 0, "nobody asked by HTTP");
    until("it is taken down", || bench.proxy.challenges().alpn("shop.example.org").is_none());
}

#[test]
fn an_authority_that_wants_a_binding_gets_it() {
    if lacks("an_authority_that_wants_a_binding_gets_it", PEBBLE) {
        return;
    }
    let bench = Bench::with(Setup { binding: true, ..Setup::default() }, quick());
    bench.serve("shop.example.org");
    bench.agree();
    bench.until_told("shop.example.org", "--eab-kid");
    let eab = Eab { kid: "kid-1".into(), hmac: Secret::new(BINDING_KEY.into()) };
    bench.set(AcmeChange { eab: Some(eab), ..AcmeChange::default() });
    bench.until_there("shop.example.org");
    until("success is the last word", || !bench.progress("shop.example.org").contains("acme."));
}
