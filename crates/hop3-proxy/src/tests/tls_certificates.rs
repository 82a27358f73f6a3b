// SPDX-License-Identifier: Apache-2.0
//! Which certificate is shown: what is kept, what people bring and how it is judged, clients that must show one, how
//! little many of them cost.

use super::harness::*;
use super::tls::{Secure, client_builder, secure_proxy, with_tls};
use crate::cert::{Ask, Bundle, CertStore, Origin};
use crate::control::{Answer, Request};
use crate::{Limits, Options, Running};
use hop3_core::certificate::{AddCertificateRequest, CertificateInfo, CertificateOrigin};
use hop3_core::layout::Layout;
use hop3_core::problem::Problem;
use hop3_core::route::{Https, Tls};
use hop3_core::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// An authority made for a test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn root(name: &str) -> Authority {
        Authority(
            CertifiedIssuer::self_signed(Authority::params(name), KeyPair::generate().unwrap()).unwrap(),
        )
    }

    fn beneath(&self, name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::signed_by(Authority::params(name), key, &self.0).unwrap())
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }

    /// A certificate for these names, good for those years, with its key.
    fn leaf(&self, names: &[&str], years: std::ops::Range<i32>) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        params.distinguished_name.push(DnType::CommonName, "Ada, Countess");
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

impl Proxy {
    fn desk(&self, ask: Ask) -> Answer {
        self.ask(&Request::Certificates(ask))
    }

    fn bring(&self, names: &[&str], chain: &str, key: &str) -> Result<Vec<CertificateInfo>, Problem> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let request = AddCertificateRequest { names, chain: chain.to_owned(), key: key.to_owned() };
        match self.desk(Ask::Add(request)) {
            Answer::Certificates(added) => Ok(added),
            Answer::Problem(problem) => Err(problem),
            other => panic!("{other:?}"),
        }
    }

    fn info(&self, host: &str) -> CertificateInfo {
        match self.desk(Ask::Info { host: host.to_owned() }) {
            Answer::Certificates(mut one) => one.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// The leaf that a host is shown with, whoever trusts it.
    fn shown(&self, host: &str) -> Vec<u8> {
        let mut config = self.trusting();
        config.dangerous().set_certificate_verifier(std::sync::Arc::new(Anybody));
        let mut client = self.shake(config, host).unwrap();
        client.stream().conn.peer_certificates().unwrap()[0].to_vec()
    }
}

/// Takes every certificate, to look at it.
#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn get(client: &mut Secure, host: &str) -> Reply {
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.reply()
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

#[test]
fn a_certificate_that_is_brought_is_shown_from_the_next_handshake_on() {
    let (proxy, server) = (secure_proxy(), Server::named("one"));
    proxy.put(with_tls(&["shop.example.org", "*.shop.example.org"], &[&server], Tls::default()));
    let mut before = proxy.connect_tls("shop.example.org");
    assert_eq!(proxy.info("shop.example.org").origin, CertificateOrigin::Internal);
    let (root, names) =
        (Authority::root("Root"), ["shop.example.org", "*.shop.example.org", "other.example.org"]);
    let middle = root.beneath("Middle");
    let (leaf, key) = middle.leaf(&names, 2020..2099);
    let added = proxy.bring(&[], &format!("{leaf}{}", middle.0.pem()), &key).unwrap();
    let told: Vec<_> = added.iter().map(|one| (one.name.as_str(), one.origin, one.served)).collect();
    let own = CertificateOrigin::Own;
    assert_eq!(told, [(names[0], own, true), (names[1], own, true), (names[2], own, false)]);
    assert_eq!((added[0].issuer.as_str(), added[0].key.as_str()), ("Middle", "ECDSA P-256"));
    // The old connection goes on; the next is shown the new certificate, and takes it from its root.
    assert_eq!(get(&mut before, "shop.example.org").status, 200);
    let mut roots = RootCertStore::empty();
    roots.add(root.0.der().clone()).unwrap();
    let config = client_builder().with_root_certificates(roots).with_no_client_auth();
    let mut after = proxy.shake(config.clone(), "shop.example.org").unwrap();
    assert_eq!(get(&mut after, "shop.example.org").status, 200);
    // One certificate is for both, so one connection may serve both.
    assert_eq!(get(&mut after, "x.shop.example.org").status, 200);
    assert!(proxy.shake(config, "x.shop.example.org").is_ok());
    // Taken away, the internal authority signs again, for the wildcard and not for each name beneath it.
    for name in names {
        assert!(matches!(proxy.desk(Ask::Remove { name: name.into() }), Answer::Done));
    }
    assert!(proxy.shake(proxy.trusting(), "x.shop.example.org").is_ok());
    assert_eq!(proxy.shown("x.shop.example.org"), proxy.shown("y.shop.example.org"));
    assert!(matches!(proxy.desk(Ask::Remove { name: names[0].into() }), Answer::Problem(_)));
}

/// The code of the problem that a chain and a key are refused with.
fn refused(proxy: &Proxy, names: &[&str], chain: &str, key: &str) -> String {
    let problem = proxy.bring(names, chain, key).unwrap_err();
    assert!(!problem.hint.is_empty(), "{problem:?}");
    problem.code
}

#[test]
fn each_way_to_bring_a_wrong_certificate_has_a_problem_of_its_own() {
    let proxy = secure_proxy();
    let (root, stranger) = (Authority::root("Root"), Authority::root("Root"));
    let (host, middle) = ("a.example.org", root.beneath("Middle"));
    let (leaf, key) = middle.leaf(&[host], 2020..2099);
    let (_, another_key) = middle.leaf(&[host], 2020..2099);
    let whole = format!("{leaf}{}{}", middle.0.pem(), root.0.pem());
    assert_eq!(refused(&proxy, &[], "", &key), "cert.unreadable");
    assert_eq!(refused(&proxy, &[], &key, &key), "cert.unreadable");
    assert_eq!(refused(&proxy, &[], &leaf.replace("MII", "MIX"), &key), "cert.unreadable");
    assert_eq!(refused(&proxy, &[], &whole, &leaf), "cert.key-unreadable");
    let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(refused(&proxy, &[], &whole, sealed), "cert.key-unreadable");
    assert_eq!(refused(&proxy, &[], &whole, &another_key), "cert.key-mismatch");
    let upside_down = format!("{}{leaf}", middle.0.pem());
    assert_eq!(refused(&proxy, &[], &upside_down, &key), "cert.key-mismatch");
    let gap = format!("{leaf}{}", root.0.pem());
    assert_eq!(refused(&proxy, &[], &gap, &key), "cert.broken-chain");
    // A namesake did not sign it.
    let forged = format!("{leaf}{}{}", middle.0.pem(), stranger.0.pem());
    assert_eq!(refused(&proxy, &[], &forged, &key), "cert.broken-chain");
    let (old, old_key) = middle.leaf(&[host], 2000..2020);
    assert_eq!(refused(&proxy, &[], &format!("{old}{}", middle.0.pem()), &old_key), "cert.expired");
    let (early, early_key) = middle.leaf(&[host], 2098..2099);
    assert_eq!(refused(&proxy, &[], &format!("{early}{}", middle.0.pem()), &early_key), "cert.not-yet-valid");
    assert_eq!(refused(&proxy, &["b.example.org"], &whole, &key), "cert.other-name");
    assert_eq!(refused(&proxy, &["x.a.example.org"], &whole, &key), "cert.other-name");
    assert_eq!(refused(&proxy, &["../../x"], &whole, &key), "domain.bad-name");
    let (nameless, nameless_key) = middle.leaf(&[], 2020..2099);
    assert_eq!(
        refused(&proxy, &[], &format!("{nameless}{}", middle.0.pem()), &nameless_key),
        "cert.no-names"
    );
    assert_eq!(proxy.bring(&[host], &whole, &key).unwrap().len(), 1);
}

#[test]
fn a_weak_key_is_refused() {
    let proxy = secure_proxy();
    let directory = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"])
        .args(["-days", "30", "-subj", "/CN=a", "-addext", "subjectAltName=DNS:a.example.org"])
        .current_dir(directory.path())
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|made| made.success()) {
        assert!(std::env::var_os("HOP3_NO_SKIP").is_none_or(|value| value.is_empty()), "openssl is missing");
        println!("SKIP: openssl is missing");
        return;
    }
    let read = |file: &str| std::fs::read_to_string(directory.path().join(file)).unwrap();
    assert_eq!(refused(&proxy, &[], &read("cert.pem"), &read("key.pem")), "cert.weak-key");
}

#[test]
fn clients_show_their_certificates_where_they_must_and_their_names_arrive() {
    let echo = Server::start(|seen, stream| {
        let subject = header(&seen.head, "x-forwarded-client-subject").unwrap_or("none").to_owned();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{subject}", subject.len())
    });
    let (proxy, clients, strangers) =
        (secure_proxy(), Authority::root("Clients"), Authority::root("Strangers"));
    let mutual = Tls { client_ca: Some(clients.0.pem()), https: Https::Both, ..Tls::default() };
    proxy.put(with_tls(&["safe.localhost", "a"], &[&echo], mutual.clone()));
    proxy.put(service("open.localhost", &[&echo]));
    let showing = |authority: &Authority| {
        let (leaf, key) = authority.leaf(&["ada"], 2020..2099);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let chain = vec![CertificateDer::from(der(&leaf))];
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(proxy.authority().as_bytes()).unwrap()).unwrap();
        client_builder().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap()
    };
    let mut known = proxy.shake(showing(&clients), "safe.localhost").unwrap();
    known.send("GET / HTTP/1.1\r\nHost: safe.localhost\r\nX-Forwarded-Client-Subject: CN=root\r\n\r\n");
    assert_eq!(known.reply().text(), "CN=Ada\\2C Countess");
    // Who shows none, or one of somebody else's, gets no answer. TLS 1.3 tells it at the first read.
    for config in [proxy.trusting(), showing(&strangers)] {
        let answered = proxy.shake(config, "safe.localhost").map(|mut client| {
            client.send("GET / HTTP/1.1\r\nHost: safe.localhost\r\n\r\n");
            client.try_reply().is_ok()
        });
        assert!(!answered.unwrap_or(false));
    }
    // No way around it: by another host's connection, by plain HTTP, by a connection from before.
    let mut around = proxy.connect_tls("open.localhost");
    assert_eq!(get(&mut around, "safe.localhost").status, 421);
    assert_eq!(get(&mut around, "open.localhost").text(), "none");
    assert_eq!(proxy.get("/").status, 301);
    proxy.put(with_tls(&["open.localhost"], &[&echo], Tls::default()));
    let closed = with_tls(&["open.localhost"], &[&echo], mutual);
    proxy.put(hop3_core::route::Service { name: "open.localhost".into(), ..closed });
    assert_eq!(get(&mut around, "open.localhost").status, 421);
    // A part of a host may ask for less than the host, and is in the list of hosts.
    let mount = hop3_core::route::Mount {
        host: hop3_core::route::Host("safe.localhost".into()),
        prefix: "/open".into(),
    };
    let part = service("part.localhost", &[&echo]);
    proxy.put(hop3_core::route::Service { mounts: vec![mount], ..part });
    known.send("GET /open HTTP/1.1\r\nHost: safe.localhost\r\n\r\n");
    assert_eq!(known.reply().status, 200);
    // A proxy without HTTPS lets nobody in rather than everybody.
    let plain = Proxy::start();
    plain.put(with_tls(&["a"], &[&echo], Tls { client_ca: Some(clients.0.pem()), ..Tls::default() }));
    assert_eq!(plain.get("/").status, 403);
    // What is no authority at all lets nobody in either.
    let broken = Tls { client_ca: Some("nonsense".into()), ..Tls::default() };
    proxy.put(with_tls(&["safe.localhost"], &[&echo], broken));
    assert!(proxy.shake(showing(&clients), "safe.localhost").is_err());
}

#[test]
fn authority_and_certificates_outlive_the_proxy_and_are_closed_to_others() {
    let (proxy, server) = (secure_proxy(), Server::named("one"));
    proxy.put(with_tls(&["a.localhost", "b.example.org"], &[&server], Tls::default()));
    let (leaf, key) = Authority::root("Root").leaf(&["b.example.org"], 2020..2099);
    proxy.bring(&[], &leaf, &key).unwrap();
    let authority = proxy.authority();
    let root = proxy.stop();
    let layout = Layout::new(root.path());
    // What a proxy that was killed in the middle of a change leaves behind.
    std::fs::create_dir(layout.certificates().join(".b.example.org")).unwrap();
    std::fs::create_dir(layout.certificates().join(".c.example.org")).unwrap();
    for (path, mode) in [
        (layout.certificates(), 0o700),
        (layout.certificate("b.example.org"), 0o700),
        (layout.certificate("b.example.org").join("key.pem"), 0o600),
        (layout.internal_ca().join("ca-key.pem"), 0o600),
    ] {
        let found = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}", path.display());
    }
    let options = Options { https: Some("127.0.0.1:0".parse().unwrap()), ..options(root.path()) };
    let again = Proxy::resume(root, Running::start(options, Limits::default()).unwrap());
    assert_eq!(again.authority(), authority);
    assert_eq!(again.shown("b.example.org"), der(&leaf));
    let (next, key) = Authority::root("Root").leaf(&["b.example.org"], 2020..2099);
    again.bring(&[], &next, &key).unwrap();
    assert_eq!(again.shown("b.example.org"), der(&next));
    assert_eq!(get(&mut again.connect_tls("a.localhost"), "a.localhost").status, 200);
}

#[test]
fn more_certificates_than_fit_in_memory_are_all_shown() {
    let limits = Limits { certificates: 8, threads: std::num::NonZeroUsize::new(2), ..Limits::default() };
    let root = tempfile::tempdir().unwrap();
    let store = CertStore::open(&Layout::new(root.path())).unwrap();
    let (authority, hosts): (_, Vec<String>) =
        (Authority::root("Root"), (0..40).map(|i| format!("h{i}.example.org")).collect());
    let mut kept = Vec::new();
    for host in &hosts {
        let (chain_pem, key) = authority.leaf(&[host], 2020..2099);
        kept.push(der(&chain_pem));
        let directory = "https://ca.example.org".to_owned();
        let origin = Origin::Acme { directory };
        store.put(host, &Bundle { chain_pem, key_pem: Secret::new(key), origin }).unwrap();
    }
    let options = Options { https: Some("127.0.0.1:0".parse().unwrap()), ..options(root.path()) };
    let proxy = Proxy::resume(root, Running::start(options, limits).unwrap());
    let server = Server::named("one");
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    proxy.put(with_tls(&names, &[&server], Tls::default()));
    for _ in 0..2 {
        for (host, der) in hosts.iter().zip(&kept) {
            assert_eq!(proxy.shown(host), *der);
        }
    }
    match proxy.desk(Ask::List) {
        Answer::Certificates(all) => {
            assert_eq!(all.len(), 40);
            assert!(all.iter().all(|one| one.origin == CertificateOrigin::Acme && one.served));
        }
        other => panic!("{other:?}"),
    }
}

/// `Issuer` is what other tests sign with; here it proves that the authority on disk can be used by others' tools.
#[test]
fn the_authority_on_disk_is_plain_pem() {
    let proxy = secure_proxy();
    let pem = proxy.authority();
    let key =
        std::fs::read_to_string(Layout::new(proxy.root.path()).internal_ca().join("ca-key.pem")).unwrap();
    assert!(Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(&key).unwrap()).is_ok());
}

/// A product in front shows what was handed over: what is wrong with one host is not to keep the others' from it.
#[test]
fn a_damaged_certificate_holds_no_other_up() {
    let (proxy, server) = (secure_proxy(), Server::named("one"));
    proxy.put(with_tls(&["a.localhost", "b.localhost"], &[&server], Tls::default()));
    let (root, names) = (Authority::root("Root"), ["a.localhost"]);
    let (leaf, key) = root.leaf(&names, 2020..2099);
    proxy.bring(&names, &leaf, &key).unwrap();
    let layout = Layout::new(proxy.root.path());
    let damaged = layout.certificates().join("a.localhost/chain.pem");
    std::fs::remove_file(&damaged).unwrap();
    std::fs::create_dir(&damaged).unwrap();
    let hosts = ["a.localhost", "b.localhost"].map(str::to_owned).to_vec();
    assert!(matches!(proxy.desk(Ask::Hand { hosts }), Answer::Handed(true)));
    assert!(layout.handed_certificate("b.localhost").exists());
}
