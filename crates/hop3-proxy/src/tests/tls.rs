// SPDX-License-Identifier: Apache-2.0
//! TLS on real sockets, seen by rustls: bytes both ways, ends that are told and ends that are not, limits, who is
//! refused.

use super::harness::*;
use crate::control::Answer;
use crate::{Limits, cert};
use hop3_core::route::{Host, Https, Service, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) type Secure = Http<StreamOwned<ClientConnection, TcpStream>>;

pub(crate) fn secure_proxy() -> Proxy {
    Proxy::secure(limits())
}

fn limits() -> Limits {
    Limits { threads: NonZeroUsize::new(2), ..Limits::default() }
}

impl Proxy {
    /// The internal authority's certificate.
    pub(crate) fn authority(&self) -> String {
        match self.ask(&crate::control::Request::Certificates(cert::Ask::Ca)) {
            Answer::Authority(pem) => pem,
            other => panic!("{other:?}"),
        }
    }

    /// A client that trusts the internal authority.
    pub(crate) fn trusting(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority().as_bytes()).unwrap()).unwrap();
        client_builder().with_root_certificates(roots).with_no_client_auth()
    }

    pub(crate) fn connect_tls(&self, host: &str) -> Secure {
        self.shake(self.trusting(), host).unwrap()
    }

    /// A connection whose handshake is done.
    pub(crate) fn shake(&self, config: ClientConfig, host: &str) -> io::Result<Secure> {
        let tcp = TcpStream::connect(self.https.unwrap()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Http::over(stream))
    }
}

pub(crate) fn client_builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

/// A service by several hosts.
pub(crate) fn with_tls(hosts: &[&str], servers: &[&Server], tls: Tls) -> Service {
    let hosts = hosts.iter().map(|host| Host((*host).into())).collect();
    Service { hosts, tls, ..service("one", servers) }
}

#[test]
fn a_request_over_tls_arrives_with_what_the_proxy_knows() {
    let echo = Server::start(|seen, stream| {
        let lines: Vec<&str> = seen.head.lines().filter(|line| line.starts_with("X-Forwarded")).collect();
        let text = lines.join("\n");
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
    });
    let proxy = secure_proxy();
    proxy.put(service("shop.localhost", &[&echo]));
    let mut client = proxy.connect_tls("shop.localhost");
    client.send("GET / HTTP/1.1\r\nHost: shop.localhost:8443\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Client-Subject: CN=root\r\n\r\n");
    assert_eq!(
        client.reply().text(),
        "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: shop.localhost:8443\n\
         X-Forwarded-Port: 8443"
    );
    client.send("GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n");
    assert!(client.reply().text().ends_with("X-Forwarded-Port: 443"));
}

#[test]
fn bodies_of_every_size_pass_unchanged_both_ways() {
    let echo = Server::start(|seen, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len())?;
        stream.write_all(&seen.body)
    });
    let proxy = secure_proxy();
    proxy.put(service("a.localhost", &[&echo]));
    let mut client = proxy.connect_tls("a.localhost");
    for size in [0, 1, 16_383, 16_384, 16_385, 65_536, 70_000, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
        client.send(format!("PUT / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: {size}\r\n\r\n"));
        client.send(&body);
        let reply = client.reply();
        assert!(reply.is_whole && reply.body == body, "{size}: {} bytes", reply.body.len());
    }
}

#[test]
fn a_reader_that_is_slow_gets_every_byte() {
    let big: Vec<u8> = (0..20_000_000_u32).map(|i| (i % 253) as u8).collect();
    let body = big.clone();
    let server = Server::start(move |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
        stream.write_all(&body)
    });
    let proxy = secure_proxy();
    proxy.put(service("a.localhost", &[&server]));
    let mut client = proxy.connect_tls("a.localhost");
    client.send("GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
    client.read_head().unwrap().unwrap();
    // One small piece at a time, so that the sockets fill and the proxy has to wait in the middle of records.
    let mut got = Vec::new();
    let mut piece = vec![0; 4093];
    while got.len() < big.len() {
        let count = client.read_some(&mut piece);
        got.extend_from_slice(&piece[..count]);
    }
    assert!(got == big);
}

#[test]
fn files_go_through_the_session() {
    let proxy = secure_proxy();
    let root = proxy.root.path().join("site");
    std::fs::create_dir(&root).unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 241) as u8).collect();
    std::fs::write(root.join("large.bin"), &content).unwrap();
    let service = Service { hosts: vec![Host("a.localhost".into())], ..site(&root, false) };
    proxy.put(service);
    let mut client = proxy.connect_tls("a.localhost");
    client.send("GET /large.bin HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
    assert!(client.reply().body == content);
    client.send("GET /large.bin HTTP/1.1\r\nHost: a.localhost\r\nRange: bytes=2999990-\r\n\r\n");
    assert!(client.reply().body == content[2_999_990..]);
}

#[test]
fn a_whole_answer_ends_with_a_told_end_and_a_truncated_one_does_not() {
    let server = Server::raw(|_, mut http| {
        let head = http.read_head()?.unwrap_or_default();
        let length = if head.starts_with("GET /cut") { "Content-Length: 9\r\n" } else { "" };
        http.send(format!("HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\nhalf"));
        Ok(())
    });
    let proxy = secure_proxy();
    proxy.put(service("a.localhost", &[&server]));
    // Its end is the connection's: HTTP/1.0 knows no chunks.
    let mut whole = proxy.connect_tls("a.localhost");
    whole.send("GET / HTTP/1.0\r\nHost: a.localhost\r\n\r\n");
    let reply = whole.reply();
    assert_eq!((reply.text(), reply.is_whole), ("half", true));
    let mut cut = proxy.connect_tls("a.localhost");
    cut.send("GET /cut HTTP/1.0\r\nHost: a.localhost\r\n\r\n");
    let reply = cut.reply();
    assert!(!reply.is_whole, "{reply:?}");
    let mut refused = proxy.connect_tls("a.localhost");
    refused.send("BAD\r\n\r\n");
    assert_eq!(refused.reply().status, 400);
    assert!(refused.is_closed());
}

#[test]
fn an_upgraded_connection_carries_bytes_and_passes_its_end_on() {
    let server = Server::raw(|_, mut http| {
        http.read_head()?;
        http.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello");
        let got = http.read_exact(5);
        http.send(&got);
        assert!(http.is_closed());
        http.send("end");
        Ok(())
    });
    let proxy = secure_proxy();
    proxy.put(service("a.localhost", &[&server]));
    let mut client = proxy.connect_tls("a.localhost");
    client.send("GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.reply().status, 101);
    assert_eq!(client.read_exact(5), b"hello");
    client.send("12345");
    assert_eq!(client.read_exact(5), b"12345");
    client.stream().conn.send_close_notify();
    client.stream().flush().unwrap();
    let mut rest = String::new();
    client.stream().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "end");
}

#[test]
fn who_nobody_serves_is_refused_and_told_why() {
    let (proxy, server) = (secure_proxy(), Server::named("one"));
    proxy.put(service("a.localhost", &[&server]));
    let refused = proxy.shake(proxy.trusting(), "b.localhost").err().unwrap();
    assert!(refused.to_string().contains("UnrecognisedName"), "{refused}");
    // Without a host to name there is no certificate, unless somebody answers for those.
    let mut nameless = proxy.trusting();
    nameless.enable_sni = false;
    assert!(proxy.shake(nameless.clone(), "a.localhost").is_err());
    proxy.put(with_tls(
        &["hop.localhost", "127.0.0.1"],
        &[&server],
        Tls { for_unnamed: true, ..Tls::default() },
    ));
    let mut client = proxy.shake(nameless, "127.0.0.1").unwrap();
    client.send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    client.send("GET / HTTP/1.1\r\nHost: hop.localhost\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    client.send("GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
    assert_eq!(client.reply().status, 421);
}

#[test]
fn a_request_for_another_host_needs_a_connection_of_its_own() {
    let (proxy, one, two) = (secure_proxy(), Server::named("one"), Server::named("two"));
    proxy.put(service("a.localhost", &[&one]));
    proxy.put(service("b.localhost", &[&two]));
    let mut client = proxy.connect_tls("a.localhost");
    client.send("GET / HTTP/1.1\r\nHost: b.localhost\r\n\r\n");
    let reply = client.reply();
    assert_eq!(
        (reply.status, reply.text().lines().next()),
        (421, Some("421 This connection is for another host name"))
    );
    client.send("GET / HTTP/1.1\r\nHost: A.localhost:1\r\n\r\n");
    assert_eq!(client.reply().text(), "one / 0");
    assert_eq!(two.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn plain_http_is_sent_to_https() {
    let (proxy, server) = (secure_proxy(), Server::named("one"));
    let port = proxy.https.unwrap().port();
    proxy.put(with_tls(&["a"], &[&server], Tls::default()));
    let reply = proxy.get("/x?y=1");
    assert_eq!(
        (reply.status, reply.header("location")),
        (301, Some(format!("https://a:{port}/x?y=1").as_str()))
    );
    let mut client = proxy.connect();
    client.send("POST /form HTTP/1.1\r\nHost: A:80\r\nContent-Length: 0\r\n\r\n");
    let reply = client.reply();
    assert_eq!(
        (reply.status, reply.header("location")),
        (308, Some(format!("https://a:{port}/form").as_str()))
    );
    // The connection goes on, and an issuer's question is answered here.
    assert_eq!(client.get("/.well-known/acme-challenge/x").status, 200);
    proxy.put(with_tls(&["a"], &[&server], Tls { https: Https::Both, ..Tls::default() }));
    assert_eq!(proxy.get("/").text(), "one / 0");
}

#[test]
fn a_handshake_that_takes_too_long_is_ended_and_so_is_the_oldest_of_too_many() {
    let limits = Limits { handshakes: 2, handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let limits = Limits { threads: NonZeroUsize::new(1), ..limits };
    let (proxy, server) = (Proxy::secure(limits), Server::named("one"));
    proxy.put(service("a.localhost", &[&server]));
    let silent = || {
        let tcp = TcpStream::connect(proxy.https.unwrap()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        tcp
    };
    let start = Instant::now();
    let mut late = silent();
    assert_eq!(late.read(&mut [0; 1]).unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    let limits = Limits { handshakes: 2, threads: NonZeroUsize::new(1), ..Limits::default() };
    let proxy = Proxy::secure(limits);
    proxy.put(service("a.localhost", &[&server]));
    let mut crowd: Vec<TcpStream> = (0..3)
        .map(|_| {
            let tcp = TcpStream::connect(proxy.https.unwrap()).unwrap();
            tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            tcp
        })
        .collect();
    assert_eq!(crowd[0].read(&mut [0; 1]).unwrap(), 0);
    let mut client = proxy.connect_tls("a.localhost");
    client.send("GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
    assert_eq!(client.reply().status, 200);
}

#[test]
fn garbage_and_halves_of_handshakes_harm_nobody() {
    let (proxy, server) = (secure_proxy(), Server::named("one"));
    proxy.put(service("a.localhost", &[&server]));
    let name = ServerName::try_from("a.localhost").unwrap();
    let mut hello = Vec::new();
    let mut connection = ClientConnection::new(Arc::new(proxy.trusting()), name).unwrap();
    connection.write_tls(&mut hello).unwrap();
    let mut inputs = vec![
        b"GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n".to_vec(),
        vec![0; 300],
        vec![22, 3, 1, 0xff, 0xff],
    ];
    inputs.extend((1..hello.len()).step_by(97).map(|end| hello[..end].to_vec()));
    for place in (0..hello.len()).step_by(13) {
        let mut bent = hello.clone();
        bent[place] ^= 0x41;
        inputs.push(bent);
    }
    // A whole hello, then records that make no sense at that place.
    for junk in
        [&[20, 3, 3, 0, 1, 1][..], &[23, 3, 3, 0, 5, 1, 2, 3, 4, 5], &[22, 3, 3, 0, 4, 1, 0, 255, 255]]
    {
        inputs.push([&hello, &junk.repeat(200)[..]].concat());
    }
    for input in inputs {
        let mut tcp = TcpStream::connect(proxy.https.unwrap()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        tcp.write_all(&input).ok();
        tcp.shutdown(std::net::Shutdown::Write).ok();
        // Ends by itself, however it ends.
        tcp.read_to_end(&mut Vec::new()).ok();
    }
    let mut client = proxy.connect_tls("a.localhost");
    client.send("GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
    assert_eq!(client.reply().text(), "one / 0");
}

#[test]
fn stopping_ends_idle_connections_with_a_told_end() {
    let (proxy, server) = (secure_proxy(), Server::named("one"));
    proxy.put(service("a.localhost", &[&server]));
    let mut client = proxy.connect_tls("a.localhost");
    client.send("GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    proxy.stop();
    assert!(client.is_closed());
}
