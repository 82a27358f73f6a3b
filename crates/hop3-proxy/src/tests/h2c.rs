// SPDX-License-Identifier: Apache-2.0
//! Upstreams that speak HTTP/2 without TLS: bodies, trailers and hints both ways, shared connections, failures.

use super::harness::*;
use super::http2::{H2, block_on, get, whole};
use super::tls::secure_proxy;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use hop3_core::route::{Address, Host, Https, Pool, Service, Speaks, Timeouts, Tls, Upstream};
use http::{HeaderMap, HeaderValue, Request, Response};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

/// A server of HTTP/2 alone, on a thread; what it does depends on the path.
struct Peer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// `cut` for each stream that its client reset, `closed` for each connection that ended.
    told: mpsc::Receiver<&'static str>,
}

impl Peer {
    fn start() -> Peer {
        let (tell, told) = mpsc::channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let (bound, count) = (mpsc::channel(), connections.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.0.send(listener.local_addr().unwrap()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    count.fetch_add(1, SeqCst);
                    tokio::spawn(serve(stream, tell.clone()));
                }
            });
        });
        Peer { address: bound.1.recv().unwrap(), connections, told }
    }

    fn service(&self, timeouts: Timeouts) -> Service {
        let upstream = Upstream { id: "peer".into(), address: Address::Tcp(self.address) };
        let peers = Pool { upstreams: vec![upstream], timeouts, speaks: Speaks::H2c, ..Pool::default() };
        let tls = Tls { https: Https::Both, ..Tls::default() };
        Service { hosts: vec![Host("a.localhost".into()), Host("a".into())], tls, ..pool("one", peers) }
    }

    fn proxy(&self) -> Proxy {
        let proxy = secure_proxy();
        proxy.put(self.service(timeouts()));
        proxy
    }
}

async fn serve(stream: tokio::net::TcpStream, tell: mpsc::Sender<&'static str>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(accepted) = connection.accept().await {
        let Ok((request, respond)) = accepted else { break };
        tokio::spawn(answer(request, respond, tell.clone()));
    }
    tell.send("closed").ok();
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    tell: mpsc::Sender<&'static str>,
) {
    assert_eq!(request.headers()["te"], "trailers");
    match request.uri().path() {
        "/fine" => {
            let text =
                format!("{} {}", request.method(), request.headers()["x-forwarded-proto"].to_str().unwrap());
            let is_head = request.method() == http::Method::HEAD;
            let mut stream = respond.send_response(Response::new(()), is_head).unwrap();
            if !is_head {
                stream.send_data(text.into(), true).unwrap();
            }
        }
        "/only-trailers" => {
            let response = Response::builder().header("grpc-status", "12").body(()).unwrap();
            respond.send_response(response, true).unwrap();
        }
        "/refused" => respond.send_reset(Reason::REFUSED_STREAM),
        "/silent" => {
            let ended = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            tell.send(if ended.is_ok() { "cut" } else { "gone" }).ok();
        }
        "/broken" => {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"half"), false).unwrap();
            stream.send_reset(Reason::INTERNAL_ERROR);
        }
        // Each piece comes back as it came, then how many there were.
        _ => {
            respond
                .send_informational(Response::builder().status(103).header("link", "</a>").body(()).unwrap())
                .unwrap();
            let mut body = request.into_body();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            let mut total = 0;
            while let Some(Ok(data)) = body.data().await {
                total += data.len();
                body.flow_control().release_capacity(data.len()).unwrap();
                stream.send_data(data, false).unwrap();
            }
            let trailers = [("grpc-status", HeaderValue::from(0)), ("x-total", HeaderValue::from(total))];
            stream
                .send_trailers(trailers.into_iter().map(|(k, v)| (k.parse().unwrap(), v)).collect())
                .unwrap();
        }
    }
}

#[test]
fn a_call_goes_both_ways_at_once_and_ends_with_trailers() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let request = Request::post("https://a.localhost/call").header("te", "trailers").body(()).unwrap();
        let (mut response, mut stream) = client.open(request, false).await;
        let hint = std::future::poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!(
            (hint.status().as_u16(), &hint.headers()["link"]),
            (103, &HeaderValue::from_static("</a>"))
        );
        let mut body = response.await.unwrap().into_body();
        for i in 0..100 {
            let message = Bytes::from(format!("message {i}"));
            stream.send_data(message.clone(), false).unwrap();
            assert_eq!(body.data().await.unwrap().unwrap(), message);
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert!(body.data().await.is_none_or(|last| last.unwrap().is_empty()));
        let trailers: HeaderMap = body.trailers().await.unwrap().unwrap();
        assert_eq!(
            (&trailers["grpc-status"], &trailers["x-total"]),
            (&HeaderValue::from(0), &HeaderValue::from(990))
        );
    });
}

#[test]
fn an_http1_client_gets_it_too() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    let mut client = proxy.connect();
    let reply = client.get("/fine");
    assert_eq!((reply.status, reply.text()), (200, "GET http"));
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i * 31 % 251) as u8).collect();
    client.send(format!("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    let mut sending = client.stream().try_clone().unwrap();
    let all = body.clone();
    let sent = thread::spawn(move || std::io::Write::write_all(&mut sending, &all));
    assert_eq!(client.reply().status, 103);
    let reply = client.reply();
    assert!(reply.is_whole && reply.body == body, "{} bytes", reply.body.len());
    sent.join().unwrap().unwrap();
    client.send("HEAD /fine HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.read_head().unwrap().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[test]
fn all_requests_of_a_thread_share_a_connection() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let mut answers = Vec::new();
        for _ in 0..50 {
            answers.push(client.open(get("/fine"), true).await.0);
        }
        for answer in answers {
            assert_eq!(whole(answer.await.unwrap()).await.unwrap().text(), "GET https");
        }
    });
    assert_eq!(peer.connections.load(SeqCst), 1);
}

#[test]
fn what_ends_without_a_body_says_so() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, _) = client.open(get("/only-trailers"), true).await;
        let response = response.await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "12");
        assert!(response.body().is_end_stream());
    });
}

#[test]
fn failures_are_told_as_what_they_are() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    assert_eq!(proxy.get("/refused").status, 502);
    let broken = proxy.get("/broken");
    // The reset may overtake the head.
    assert!(broken.status == 502 || !broken.is_whole, "{broken:?}");
    assert_eq!(proxy.get("/fine").status, 200);
    let mut client = proxy.connect();
    client.send("GET /fine HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.reply().status, 501);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, _) = client.open(get("/broken"), true).await;
        let answer = response.await;
        let is_told = match answer {
            Ok(answer) => answer.status() == 502 || whole(answer).await.is_err(),
            Err(error) => error.is_reset(),
        };
        assert!(is_told);
    });
}

#[test]
fn a_client_that_leaves_resets_the_upstreams_stream() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, mut stream) = client.open(get("/silent"), true).await;
        // The proxy has asked by the time another one was answered on the same connection.
        assert_eq!(client.get("/fine").await.text(), "GET https");
        stream.send_reset(Reason::CANCEL);
        drop(response);
        let told = peer.told;
        assert_eq!(tokio::task::spawn_blocking(move || told.recv().unwrap()).await.unwrap(), "cut");
    });
}

#[test]
fn an_upstream_that_keeps_silent_is_cut_off() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    proxy.put(peer.service(Timeouts { response_ms: 300, ..timeouts() }));
    let mut client = proxy.connect();
    client.send("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().status, 504);
    assert_eq!(peer.told.recv().unwrap(), "cut");
}

#[test]
fn its_connection_closes_when_it_leaves_the_table() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    assert_eq!(proxy.get("/fine").status, 200);
    proxy.put(service("one", &[]));
    assert_eq!(peer.told.recv().unwrap(), "closed");
}

#[test]
fn a_head_with_as_many_lines_as_are_allowed_reaches_it() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    let lines: String = (0..99).map(|i| format!("x-{i}: {i}\r\n")).collect();
    let mut client = proxy.connect();
    client.send(format!("GET /fine HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    assert_eq!(client.reply().text(), "GET http");
}
