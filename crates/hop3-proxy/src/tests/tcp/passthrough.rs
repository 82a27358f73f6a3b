// SPDX-License-Identifier: Apache-2.0
//! TLS that is not ended here: the process behind sees the client's own bytes from the first, and its certificate is
//! what the client sees.

use super::super::tls::{client_builder, secure_proxy, with_tls};
use super::*;
use hop3_core::route::{Mount, Tls};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::sync::{Arc, Mutex};

/// A server with a certificate of its own, and what a client must know to trust it.
fn secure(names: &[&str], says: &str) -> (Server, ClientConfig) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let chain = vec![CertificateDer::from(made.cert)];
    let mut roots = RootCertStore::empty();
    roots.add(chain[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let says = says.to_owned();
    let server = Server::raw(move |_, mut http| {
        let tcp = http.stream().try_clone()?;
        let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), tcp);
        tls.write_all(says.as_bytes())?;
        let mut buffer = [0; 4096];
        loop {
            match tls.read(&mut buffer)? {
                0 => return Ok(()),
                count => tls.write_all(&buffer[..count])?,
            }
        }
    });
    (server, client_builder().with_root_certificates(roots).with_no_client_auth())
}

#[test]
fn the_process_ends_the_tls_of_its_host_and_the_proxy_that_of_others() {
    let (proxy, web) = (secure_proxy(), Server::named("web"));
    let (broker, trust) = secure(&["mq.a.localhost"], "broker");
    proxy.put(with_tls(&["a.localhost"], &[&web], Tls::default()));
    proxy.put(carried("b", entry("mq.a.localhost"), &[&broker]));
    let mut connection = proxy.shake(trust.clone(), "mq.a.localhost").unwrap();
    assert_eq!(connection.read_exact(6), b"broker");
    connection.send("hello");
    assert_eq!(connection.read_exact(5), b"hello");
    // Only the broker's certificate is trusted, so it cannot have been another.
    assert!(proxy.shake(trust, "a.localhost").is_err());
    let mut other = proxy.connect_tls("a.localhost");
    other.send("GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
    assert_eq!(other.reply().text(), "web / 0");
}

/// A browser uses one connection for all that its certificate covers (RFC 9113, 9.1.1).
#[test]
fn a_connection_for_others_is_not_for_a_host_whose_tls_is_carried() {
    let (proxy, web) = (secure_proxy(), Server::named("web"));
    let (broker, _) = secure(&["mq.a.localhost"], "broker");
    proxy.put(with_tls(&["*.a.localhost"], &[&web], Tls::default()));
    proxy.put(carried("b", entry("mq.a.localhost"), &[&broker]));
    let mut client = proxy.connect_tls("x.a.localhost");
    client.send("GET / HTTP/1.1\r\nHost: x.a.localhost\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    client.send("GET / HTTP/1.1\r\nHost: mq.a.localhost\r\n\r\n");
    assert_eq!(client.reply().status, 421);
}

#[test]
fn every_byte_from_the_first_reaches_the_process_as_it_was_sent() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = heard.clone();
    let server = Server::raw(move |_, mut http| {
        let mut bytes = Vec::new();
        http.stream().read_to_end(&mut bytes)?;
        *hearing.lock().unwrap() = bytes;
        http.stream().write_all(b"done")
    });
    let proxy = secure_proxy();
    proxy.put(carried("b", entry("mq.localhost"), &[&server]));
    // A real hello, with what is not TLS behind it: nobody between shall mind.
    let name = "mq.localhost".try_into().unwrap();
    let config = client_builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut sent = Vec::new();
    client.write_tls(&mut sent).unwrap();
    sent.extend_from_slice(b"\0\xff and whatever follows");
    let mut stream = open(proxy.https.unwrap());
    // In pieces, so that the hello is not whole at first.
    for piece in sent.chunks(100) {
        stream.write_all(piece).unwrap();
        std::thread::yield_now();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ending(&mut stream).unwrap(), b"done");
    assert_eq!(*heard.lock().unwrap(), sent);
}

#[test]
fn an_exact_name_goes_before_a_wildcard_whatever_either_leads_to() {
    let (proxy, web) = (secure_proxy(), Server::named("web"));
    let (wild, trust_wild) = secure(&["*.b.localhost"], "wild");
    let (exact, trust_exact) = secure(&["x.a.localhost"], "exact");
    proxy.put(with_tls(&["*.a.localhost", "web.b.localhost"], &[&web], Tls::default()));
    proxy.put(carried("b", entry("*.b.localhost"), &[&wild]));
    proxy.put(carried("c", entry("x.a.localhost"), &[&exact]));
    assert_eq!(proxy.shake(trust_wild, "y.b.localhost").unwrap().read_exact(4), b"wild");
    assert_eq!(proxy.shake(trust_exact, "x.a.localhost").unwrap().read_exact(5), b"exact");
    for host in ["y.a.localhost", "web.b.localhost"] {
        let mut client = proxy.connect_tls(host);
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.reply().text(), "web / 0", "{host}");
    }
    // So does one that has no more than a path.
    let mut mounted = service("d", &[&web]);
    mounted.mounts = vec![Mount { host: Host("m.b.localhost".into()), prefix: "/api".into() }];
    proxy.put(mounted);
    let mut client = proxy.connect_tls("m.b.localhost");
    client.send("GET /api HTTP/1.1\r\nHost: m.b.localhost\r\n\r\n");
    assert_eq!(client.reply().text(), "web /api 0");
    // The table forgets it with its service.
    proxy.ask(&Request::Remove { name: "c".into() });
    let mut client = proxy.connect_tls("x.a.localhost");
    client.send("GET / HTTP/1.1\r\nHost: x.a.localhost\r\n\r\n");
    assert_eq!(client.reply().text(), "web / 0");
}

#[test]
fn an_issuers_question_about_a_host_goes_to_the_process_too() {
    let (proxy, (server, mut trust)) = (secure_proxy(), secure(&["mq.localhost"], "mine"));
    proxy.put(carried("b", entry("mq.localhost"), &[&server]));
    trust.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    // The process speaks no such protocol here, and it is its handshake that fails or not.
    let answered = proxy.shake(trust, "mq.localhost").map(|mut connection| connection.read_exact(4));
    assert_eq!(answered.unwrap(), b"mine");
}
