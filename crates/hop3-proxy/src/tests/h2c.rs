// SPDX-License-Identifier: Apache-2.0
//! Upstreams that speak HTTP/2 without TLS: bodies, trailers and hints both ways, shared connections, failures.

use super::harness::*;
use super::http2::{H2, HOST, block_on, get, whole};
use super::tls::secure_proxy;
use crate::Limits;
use crate::control::{Answer, Request as Ask};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use hop3_core::route::{Address, Host, Https, Pool, Service, Speaks, Target, Timeouts, Tls, Upstream};
use http::{HeaderMap, HeaderValue, Request, Response};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server of HTTP/2 alone, on a thread; what it does depends on the path.
struct Peer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// What was asked for.
    paths: Paths,
    /// `cut` for each stream that its client reset, `closed` for each connection that ended.
    told: mpsc::Receiver<&'static str>,
}

type Paths = Arc<Mutex<Vec<String>>>;

/// How a peer is unlike others.
#[derive(Clone, Copy, Default)]
struct Manner {
    /// It takes one request at a time.
    is_narrow: bool,
    /// Its first connection says goodbye to whatever it is asked.
    leaves_first: bool,
}

impl Peer {
    fn start() -> Peer {
        Peer::with(Manner::default())
    }

    fn with(manner: Manner) -> Peer {
        let (tell, told) = mpsc::channel();
        let (connections, paths) = (Arc::new(AtomicUsize::new(0)), Paths::default());
        let (bound, count, asked) = (mpsc::channel(), connections.clone(), paths.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.0.send(listener.local_addr().unwrap()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    if count.fetch_add(1, SeqCst) == 0 && manner.leaves_first {
                        tokio::spawn(leave(stream));
                    } else {
                        tokio::spawn(serve(stream, manner, (tell.clone(), asked.clone())));
                    }
                }
            });
        });
        Peer { address: bound.1.recv().unwrap(), connections, paths, told }
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

/// Reads a request, answers that it was not processed, and waits for the end.
async fn leave(mut stream: tokio::net::TcpStream) {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    stream.write_all(&SETTINGS).await.unwrap();
    stream.read_exact(&mut [0; 24]).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        if head[3] == 1 {
            break;
        }
    }
    stream.write_all(&GOAWAY).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.ok();
}

async fn serve(
    stream: tokio::net::TcpStream,
    manner: Manner,
    (tell, paths): (mpsc::Sender<&'static str>, Paths),
) {
    let mut builder = h2::server::Builder::new();
    if manner.is_narrow {
        builder.max_concurrent_streams(1);
    }
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(accepted) = connection.accept().await {
        let Ok((request, mut respond)) = accepted else { break };
        let path = request.uri().path().to_owned();
        let is_first = !paths.lock().unwrap().contains(&path);
        paths.lock().unwrap().push(path.clone());
        if path == "/refused-once" && is_first {
            respond.send_reset(Reason::REFUSED_STREAM);
            continue;
        }
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
        "/reset" => respond.send_reset(Reason::INTERNAL_ERROR),
        "/many-trailers" => {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            let trailers = (0..60).map(|i| (format!("x_{i}").parse().unwrap(), HeaderValue::from(i)));
            stream.send_trailers(trailers.collect()).unwrap();
        }
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

/// One request that fails says nothing about the instance; others go on being sent there.
#[test]
fn a_stream_that_is_reset_takes_nobody_out_of_the_balance() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    for path in ["/refused", "/reset", "/broken"] {
        proxy.get(path);
        let Answer::Status(status) = proxy.ask(&Ask::Status) else { panic!("no status") };
        assert!(status.unhealthy.is_empty(), "{path}: {status:?}");
    }
}

/// Even one that may not be repeated otherwise.
#[test]
fn what_an_upstream_says_it_did_not_begin_is_sent_again() {
    let post = |proxy: &Proxy, path: &str| {
        let mut client = proxy.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"));
        loop {
            let reply = client.reply();
            if reply.status != 103 {
                return reply;
            }
        }
    };
    let peer = Peer::start();
    let reply = post(&peer.proxy(), "/refused-once");
    assert_eq!((reply.status, reply.text()), (200, "hello"));
    assert_eq!(peer.connections.load(SeqCst), 1);
    let peer = Peer::with(Manner { leaves_first: true, ..Manner::default() });
    let reply = post(&peer.proxy(), "/call");
    assert_eq!((reply.status, reply.text()), (200, "hello"));
    assert_eq!(peer.connections.load(SeqCst), 2);
    // One that may have been begun is not.
    let peer = Peer::start();
    assert_eq!(post(&peer.proxy(), "/reset").status, 502);
    assert_eq!(*peer.paths.lock().unwrap(), ["/reset"]);
}

#[test]
fn who_leaves_while_there_is_no_room_is_never_sent() {
    let peer = Peer::with(Manner { is_narrow: true, ..Manner::default() });
    let proxy = peer.proxy();
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        assert_eq!(client.get("/fine").await.text(), "GET https");
        let (first, mut silent) = client.open(get("/silent"), true).await;
        let (second, mut waiting) = client.open(get("/waiting"), true).await;
        // Answered by the proxy itself, which has seen all before by then.
        let turn = |mut send: h2::client::SendRequest<Bytes>| async move {
            let (response, _) = send.send_request(Request::connect(HOST).body(()).unwrap(), true).unwrap();
            assert_eq!(response.await.unwrap().status(), 405);
        };
        turn(client.send.clone()).await;
        waiting.send_reset(Reason::CANCEL);
        drop(second);
        turn(client.send.clone()).await;
        silent.send_reset(Reason::CANCEL);
        drop(first);
        assert_eq!(client.get("/fine").await.text(), "GET https");
    });
    assert_eq!(*peer.paths.lock().unwrap(), ["/fine", "/silent", "/fine"]);
}

#[test]
fn trailers_arrive_as_many_as_they_are() {
    let peer = Peer::start();
    let proxy = peer.proxy();
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let trailers = client.get("/many-trailers").await.trailers.unwrap();
        assert_eq!((trailers.len(), &trailers["x_59"]), (60, &HeaderValue::from(59)));
    });
}

#[test]
fn its_health_is_asked_in_its_own_language() {
    let peer = Peer::start();
    let limits = Limits { probe_interval: Duration::from_millis(20), ..Limits::default() };
    let proxy = Proxy::with(limits);
    let mut service = peer.service(timeouts());
    for route in &mut service.routes {
        if let Target::Upstreams(pool) = &mut route.target {
            pool.health_path = Some("/only-trailers".into());
        }
    }
    proxy.put(service);
    // The third time the answer to the first is known.
    while peer.paths.lock().unwrap().len() < 3 {
        let Answer::Status(status) = proxy.ask(&Ask::Status) else { panic!("no status") };
        assert!(status.unhealthy.is_empty(), "{status:?}");
    }
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
