// SPDX-License-Identifier: Apache-2.0
//! The PROXY protocol on real sockets, with HAProxy before and behind the proxy.

use super::harness::*;
use super::product::Product;
use super::tcp::{at, carried, ending, entry, free_port, open};
use super::tls::with_tls;
use crate::{Limits, Options, Running};
use hop3_core::route::{Address, Tls, Upstream};
use hop3_core::tcp::{Entry, Port};
use rustls::ClientConnection;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where visitors come from, so that they are told apart from who speaks for them.
const VISITOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

/// A proxy that believes whoever connects from 127.0.0.1, and nobody else.
fn believing() -> Proxy {
    let second = Duration::from_secs(1);
    believing_with(Limits { head_timeout: second, handshake_timeout: second, ..Limits::default() })
}

fn believing_with(limits: Limits) -> Proxy {
    let root = tempfile::tempdir().unwrap();
    let options = Options {
        https: Some("127.0.0.1:0".parse().unwrap()),
        introducers: vec!["127.0.0.1".parse().unwrap()],
        ..options(root.path())
    };
    let running = Running::start(options, limits).unwrap();
    Proxy::resume(root, running)
}

/// Answers HTTP with the address that it was told of.
fn who() -> Server {
    Server::start(|seen, stream| {
        let from = header(&seen.head, "x-forwarded-for").unwrap_or("").to_owned();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{from}", from.len())
    })
}

fn connect_from(source: Ipv4Addr, address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn asked(stream: TcpStream, before: &[u8]) -> String {
    let mut http = Http::new(stream);
    http.send([before, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    http.reply().text().to_owned()
}

#[test]
fn a_header_from_who_is_believed_names_the_client_of_http() {
    let (proxy, who) = (believing(), who());
    let mut service = service("a", &[&who]);
    service.tls.https = hop3_core::route::Https::Both;
    proxy.put(service);
    let said = |before: &[u8]| asked(TcpStream::connect(proxy.http).unwrap(), before);
    assert_eq!(said(b"PROXY TCP4 192.0.2.7 198.51.100.7 1000 80\r\n"), "192.0.2.7");
    assert_eq!(said(b"PROXY TCP6 2001:db8::7 2001:db8::1 1000 80\r\n"), "2001:db8::7");
    assert_eq!(said(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1000 80\r\n"), "192.0.2.7");
    assert_eq!(said(b"PROXY UNKNOWN\r\n"), "127.0.0.1");
    assert_eq!(said(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), "127.0.0.1");
    // Everybody else has none, and one that comes all the same is no request.
    assert_eq!(asked(connect_from(VISITOR, proxy.http), b""), VISITOR.to_string());
    let mut liar = Http::new(connect_from(VISITOR, proxy.http));
    liar.send("PROXY TCP4 192.0.2.7 198.51.100.7 1000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // Three words in a line are a request of no version of HTTP.
    assert_eq!(liar.reply().status, 505);
}

#[test]
fn without_a_good_header_in_time_a_connection_is_over_before_it_begins() {
    let (proxy, who, port) = (believing(), who(), free_port());
    proxy.put(service("a", &[&who]));
    proxy.put(carried("b", Entry::Port(port), &[&who]));
    let addresses = [proxy.http, proxy.https.unwrap(), at(port)];
    for address in addresses {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.7 198.51.100.7 1000 65536\r\n",
            b"PROXY TCP4 192.0.2.7",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02",
        ] {
            let mut stream = open(address);
            stream.write_all(bytes).unwrap();
            stream.shutdown(Shutdown::Write).ok();
            let answer = ending(&mut stream).unwrap_or_default();
            assert!(answer.is_empty(), "{address}: {}", String::from_utf8_lossy(&answer));
        }
        // One that says nothing has a second.
        let (mut slow, begun) = (open(address), Instant::now());
        slow.write_all(b"PROXY ").unwrap();
        assert!(ending(&mut slow).unwrap_or_default().is_empty());
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(who.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn instances_that_ask_for_it_are_told_who_connects_before_the_first_byte() {
    let told = Server::raw(|_, mut http| {
        let mut stream = http.stream().try_clone()?;
        let mut head = [0; 28];
        stream.read_exact(&mut head)?;
        assert_eq!(&head[..16], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
        http.stream().write_all(&head[16..])?;
        io::copy(&mut stream, http.stream()).map(drop)
    });
    let (proxy, port) = (believing(), free_port());
    let mut service = carried("a", Entry::Port(port), &[&told]);
    service.tcp[0].proxy_protocol = true;
    service.tcp.push(hop3_core::route::TcpRoute { entry: entry("mq.localhost"), ..service.tcp[0].clone() });
    proxy.put(service);
    let block = |stream: &mut TcpStream| {
        let mut block = [0; 12];
        stream.read_exact(&mut block).unwrap();
        block
    };
    let mut plain = connect_from(VISITOR, at(port));
    let source = plain.local_addr().unwrap().port().to_be_bytes();
    let [high, low] = port.get().to_be_bytes();
    assert_eq!(block(&mut plain), [127, 0, 0, 77, 127, 0, 0, 1, source[0], source[1], high, low]);
    plain.write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    plain.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    // What was told to us is told on.
    let mut spoken_for = open(at(port));
    spoken_for.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.7 4660 22136\r\n").unwrap();
    assert_eq!(block(&mut spoken_for), [192, 0, 2, 7, 198, 51, 100, 7, 0x12, 0x34, 0x56, 0x78]);
    // Before the hello, where there is one.
    let config = super::tls::client_builder().with_root_certificates(rustls::RootCertStore::empty());
    let name = "mq.localhost".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config.with_no_client_auth()), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut secure = connect_from(VISITOR, proxy.https.unwrap());
    secure.write_all(&hello).unwrap();
    assert_eq!(block(&mut secure)[..4], [127, 0, 0, 77]);
    let mut back = vec![0; hello.len()];
    secure.read_exact(&mut back).unwrap();
    assert_eq!(back, hello);
}

fn haproxy(body: &str) -> Option<Product> {
    let text = format!(
        "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout client 30s\n  timeout server 30s\n  timeout connect 5s\n\
         \x20 timeout check 2s\n{body}"
    );
    Product::start(("haproxy.cfg", &text), &["haproxy", "-f", "HOME/haproxy.cfg"])
}

/// HAProxy before the proxy, speaking for its visitors.
fn before(address: SocketAddr, how: &str) -> Option<Product> {
    haproxy(&format!("listen l\n  bind 127.0.0.1:PORT\n  server s {address} {how}\n"))
}

#[test]
fn haproxy_in_front_speaks_for_its_visitors() {
    let (proxy, who, port) = (believing(), who(), free_port());
    let mut service = with_tls(&["a", "a.localhost"], &[&who], Tls::default());
    service.tls.https = hop3_core::route::Https::Both;
    proxy.put(service);
    // Its visitors are told on to an instance that answers with the header it got.
    let mut told = carried("b", Entry::Port(port), &[]);
    let Some(behind) = accepting("accept-proxy") else { return };
    told.tcp[0].pool.upstreams = vec![Upstream { id: "x".into(), address: Address::Tcp(behind.address) }];
    told.tcp[0].proxy_protocol = true;
    proxy.put(told);
    for how in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2-ssl-cn",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    ] {
        let front = before(proxy.http, how).unwrap();
        let visitor = connect_from(VISITOR, front.address);
        assert_eq!(asked(visitor, b""), VISITOR.to_string(), "{how}");
        let front = before(proxy.https.unwrap(), how).unwrap();
        let tcp = connect_from(VISITOR, front.address);
        let name = "a.localhost".try_into().unwrap();
        let client = ClientConnection::new(Arc::new(proxy.trusting()), name).unwrap();
        let mut http = Http::over(rustls::StreamOwned::new(client, tcp));
        http.send("GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
        assert_eq!(http.reply().text(), VISITOR.to_string(), "{how}");
        let front = before(at(port), how).unwrap();
        let visitor = connect_from(VISITOR, front.address);
        let source = visitor.local_addr().unwrap();
        assert_eq!(asked(visitor, b""), source.to_string(), "{how}");
    }
}

/// Its visitors would have the balancer's address there.
#[test]
fn behind_a_balancer_there_is_no_http3() {
    let (proxy, who) = (believing_with(Limits { threads: NonZeroUsize::new(1), ..Limits::default() }), who());
    let mut service = service("a", &[&who]);
    service.tls.https = hop3_core::route::Https::Both;
    proxy.put(service);
    // A thread that answers over TCP has begun with UDP before.
    let header = b"PROXY TCP4 127.0.0.77 127.0.0.1 1000 80\r\n";
    assert_eq!(asked(connect_from(Ipv4Addr::LOCALHOST, proxy.http), header), "127.0.0.77");
    std::net::UdpSocket::bind(proxy.https.unwrap()).unwrap();
}

#[test]
fn haproxys_health_checks_speak_for_themselves() {
    let (proxy, who) = (believing(), who());
    proxy.put(service_of_both(&who));
    for how in ["send-proxy", "send-proxy-v2"] {
        let check = format!("{how} check inter 100ms fall 1 rise 1");
        let body = format!(
            "backend b\n  mode http\n  option httpchk\n  http-check send meth GET uri / ver HTTP/1.1 hdr Host a\n\
             \x20 server s {} {check}\nfrontend f\n  mode http\n  bind 127.0.0.1:PORT\n  default_backend b\n",
            proxy.http
        );
        let Some(front) = haproxy(&body) else { return };
        let before = who.requests.load(std::sync::atomic::Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(20);
        while who.requests.load(std::sync::atomic::Ordering::SeqCst) < before + 3 {
            assert!(Instant::now() < deadline, "{how}: no check came through");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        assert_eq!(asked(connect_from(VISITOR, front.address), b""), VISITOR.to_string(), "{how}");
    }
}

fn service_of_both(who: &Server) -> hop3_core::route::Service {
    let mut service = service("a", &[who]);
    service.tls.https = hop3_core::route::Https::Both;
    service
}

/// HAProxy behind the proxy: answers with the address and port it was told.
fn accepting(how: &str) -> Option<Product> {
    haproxy(&format!(
        "frontend f\n  mode http\n  bind 127.0.0.1:PORT {how}\n\
         \x20 http-request return status 200 content-type text/plain lf-string \"%[src]:%[src_port]\"\n"
    ))
}

#[test]
fn haproxy_behind_believes_what_it_is_told() {
    let Some(behind) = accepting("accept-proxy") else { return };
    let (proxy, port): (Proxy, Port) = (Proxy::start(), free_port());
    let mut service = carried("a", Entry::Port(port), &[]);
    service.tcp[0].pool.upstreams = vec![Upstream { id: "x".into(), address: Address::Tcp(behind.address) }];
    service.tcp[0].proxy_protocol = true;
    proxy.put(service);
    for _ in 0..20 {
        let visitor = connect_from(VISITOR, at(port));
        let source = visitor.local_addr().unwrap();
        assert_eq!(asked(visitor, b""), source.to_string());
    }
}
