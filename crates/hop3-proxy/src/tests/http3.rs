// SPDX-License-Identifier: Apache-2.0
//! HTTP/3 towards clients, seen by the h3 crate's client over quinn.

use super::harness::*;
use super::http2::{H2, block_on, get, serving, whole};
use super::tls::with_tls;
use crate::Limits;
use crate::control::{self, Answer};
use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use hop3_core::route::Tls;
use http::{HeaderMap, Request};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

pub(crate) const HOST: &str = "a.localhost";
/// What a client takes of an answer before it has read it.
const STREAM_WINDOW: u32 = 64 << 10;

type Sender = SendRequest<h3_quinn::OpenStreams, Bytes>;
type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// A client's connection.
struct H3 {
    send: Sender,
    quic: quinn::Connection,
    /// Ends with the connection.
    driver: JoinHandle<h3::error::ConnectionError>,
    endpoint: quinn::Endpoint,
}

struct Reply3 {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Reply3 {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl H3 {
    async fn connect(proxy: &Proxy) -> H3 {
        H3::try_connect(proxy, HOST).await.unwrap()
    }

    async fn try_connect(proxy: &Proxy, host: &str) -> Result<H3, quinn::ConnectionError> {
        let (quic, endpoint) = dial(proxy, host).await?;
        let (mut driver, send) = h3::client::new(h3_quinn::Connection::new(quic.clone())).await.unwrap();
        let driver = tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
        Ok(H3 { send, quic, driver, endpoint })
    }

    async fn open(&mut self, request: Request<()>) -> Stream {
        self.send.send_request(request).await.unwrap()
    }

    async fn get(&mut self, path: &str) -> Reply3 {
        let mut stream = self.open(get(path)).await;
        stream.finish().await.unwrap();
        reply(&mut stream).await.unwrap()
    }
}

/// A connection that nothing was said on.
pub(crate) async fn dial(
    proxy: &Proxy,
    host: &str,
) -> Result<(quinn::Connection, quinn::Endpoint), quinn::ConnectionError> {
    offered(proxy).await;
    let mut config = proxy.trusting();
    config.alpn_protocols = vec![b"h3".to_vec()];
    let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let mut config = quinn::ClientConfig::new(Arc::new(config));
    let mut transport = quinn::TransportConfig::default();
    transport.stream_receive_window(STREAM_WINDOW.into());
    config.transport_config(Arc::new(transport));
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(config);
    Ok((endpoint.connect(proxy.https.unwrap(), host).unwrap().await?, endpoint))
}

/// Waits until those who come by HTTP/2 are told of it.
async fn offered(proxy: &Proxy) {
    let mut client = H2::connect(proxy).await;
    let offer = format!("h3=\":{}\"; ma=3600", proxy.https.unwrap().port());
    loop {
        let (response, _) = client.open(get("/"), true).await;
        let response = response.await.unwrap();
        let found = response.headers().get("alt-svc").cloned();
        whole(response).await.ok();
        if found.is_some_and(|found| found == offer.as_str()) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn reply(stream: &mut Stream) -> Result<Reply3, h3::error::StreamError> {
    let response = stream.recv_response().await?;
    let mut body = Vec::new();
    while let Some(mut data) = stream.recv_data().await? {
        body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    let trailers = stream.recv_trailers().await?;
    Ok(Reply3 { status: response.status().as_u16(), headers: response.headers().clone(), body, trailers })
}

/// Answers `/` at once, anything else as `answer` does.
fn server(
    answer: impl Fn(&Seen, &mut std::net::TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> Server {
    Server::start(move |seen, stream| match seen.path() {
        "/" => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        _ => answer(seen, stream),
    })
}

#[test]
fn a_request_arrives_as_http1_would_have_said_it() {
    let server = server(|seen, stream| {
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: x\r\n\r\n{}",
            seen.head.len(),
            seen.head
        )
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H3::connect(&proxy).await;
        let answer = client.get("/x?y=1").await;
        assert_eq!((answer.status, answer.headers.get("connection")), (200, None));
        let head = answer.text();
        assert!(head.starts_with("GET /x?y=1 HTTP/1.1\r\nHost: a.localhost\r\n"), "{head}");
        assert!(head.contains("\r\nX-Forwarded-Proto: https\r\n") && !head.contains("chunked"), "{head}");
        // Another host's certificate is another one, and it may ask for more.
        let mut stream = client.open(Request::get("https://c.localhost/x").body(()).unwrap()).await;
        stream.finish().await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().status, 421);
    });
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let server = server(|seen, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for piece in seen.body.chunks(10_000) {
            write!(stream, "{:x}\r\n", piece.len())?;
            stream.write_all(piece)?;
            stream.write_all(b"\r\n")?;
        }
        write!(stream, "0\r\nX-Length: {}\r\n\r\n", seen.body.len())
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H3::connect(&proxy).await;
        for size in [0, 1, 65_536, 300_000, 3_000_000] {
            for has_length in [true, false] {
                let body: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
                let mut request = Request::put(format!("https://{HOST}/echo"));
                if has_length {
                    request = request.header("content-length", size);
                }
                let (mut up, mut down) = client.open(request.body(()).unwrap()).await.split();
                let all = Bytes::from(body.clone());
                let sending = async {
                    for start in (0..size).step_by(50_000) {
                        up.send_data(all.slice(start..size.min(start + 50_000))).await.unwrap();
                    }
                    up.finish().await.unwrap();
                };
                let receiving = async {
                    down.recv_response().await.unwrap();
                    let mut body = Vec::new();
                    while let Some(mut data) = down.recv_data().await.unwrap() {
                        body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
                    }
                    (body, down.recv_trailers().await.unwrap().unwrap())
                };
                let ((), (answer, trailers)) = tokio::join!(sending, receiving);
                assert!(answer == body, "{size}: {} bytes", answer.len());
                assert_eq!(trailers["x-length"], size.to_string());
            }
        }
    });
}

#[test]
fn an_answer_that_breaks_off_resets_its_stream_and_no_other() {
    let server = server(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")?;
        stream.shutdown(std::net::Shutdown::Both)
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H3::connect(&proxy).await;
        let mut stream = client.open(get("/broken")).await;
        stream.finish().await.unwrap();
        assert!(reply(&mut stream).await.is_err());
        assert_eq!(client.get("/").await.text(), "ok");
    });
}

#[test]
fn a_client_that_is_gone_ends_the_work_for_it() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let server = server(move |_, stream| {
        tell.lock().unwrap().send("begun").unwrap();
        let ended = stream.read(&mut [0; 1]);
        tell.lock().unwrap().send(if matches!(ended, Ok(0)) { "closed" } else { "failed" }).unwrap();
        Ok(())
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H3::connect(&proxy).await;
        let mut stream = client.open(get("/silent")).await;
        stream.finish().await.unwrap();
        let told = tokio::task::spawn_blocking(move || (told.recv().unwrap(), told)).await.unwrap();
        assert_eq!(told.0, "begun");
        client.quic.close(0_u32.into(), b"");
        let ended = tokio::task::spawn_blocking(move || told.1.recv().unwrap()).await.unwrap();
        assert_eq!(ended, "closed");
    });
    // An app that seemed to be asked for ever would never sleep again.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let Answer::Figures(figures) = proxy.ask(&control::Request::Figures) else { panic!("no figures") };
        if figures.iter().all(|route| route.in_flight == 0) {
            return;
        }
        assert!(Instant::now() < deadline, "{figures:?}");
        std::thread::yield_now();
    }
}

/// HTTP/1 would take them for its own (RFC 9114, 4.2), and wait for a body that never comes.
#[test]
fn what_only_http1_may_say_is_refused_and_a_missing_body_is_not_waited_for() {
    let server = server(|_, stream| write!(stream, "HTTP/1.1 204 No Content\r\n\r\n"));
    let proxy = serving(&server);
    block_on(async {
        let mut client = H3::connect(&proxy).await;
        for (name, value) in
            [("connection", "upgrade"), ("upgrade", "websocket"), ("transfer-encoding", "chunked")]
        {
            let mut request = get("/x");
            request.headers_mut().insert(name, value.parse().unwrap());
            let mut stream = client.open(request).await;
            stream.finish().await.unwrap();
            assert!(reply(&mut stream).await.is_err(), "{name}");
        }
        let mut request = get("/x");
        request.headers_mut().insert("content-length", "5".parse().unwrap());
        let mut stream = client.open(request).await;
        stream.finish().await.ok();
        let ended = tokio::time::timeout(Duration::from_secs(10), reply(&mut stream)).await;
        assert!(ended.unwrap().is_err());
        assert_eq!(client.get("/").await.text(), "ok");
    });
}

#[test]
fn a_proxy_that_stops_finishes_its_requests_and_says_goodbye() {
    let (tell, told) = mpsc::channel();
    let (release, wait) = mpsc::channel::<()>();
    let ends = Mutex::new((tell, wait));
    let server = server(move |_, stream| {
        let ends = ends.lock().unwrap();
        ends.0.send(()).unwrap();
        ends.1.recv().ok();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H3::connect(&proxy).await;
        let idle = H3::connect(&proxy).await;
        let mut stream = client.open(get("/slow")).await;
        stream.finish().await.unwrap();
        tokio::task::spawn_blocking(move || told.recv().unwrap()).await.unwrap();
        let stopping = std::thread::spawn(move || proxy.stop());
        idle.driver.await.unwrap();
        release.send(()).unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().text(), "last");
        client.driver.await.unwrap();
        stopping.join().unwrap();
    });
}

#[test]
fn a_proxy_that_stops_sends_the_last_byte_of_what_is_read_slowly() {
    let body: Vec<u8> = (0..5_000_000_u32).map(|i| (i * 31 % 251) as u8).collect();
    let sent = body.clone();
    let server = server(move |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len())?;
        stream.write_all(&sent)
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H3::connect(&proxy).await;
        let idle = H3::connect(&proxy).await;
        let mut stream = client.open(get("/large")).await;
        stream.finish().await.unwrap();
        assert_eq!(stream.recv_response().await.unwrap().status(), 200);
        let stopping = std::thread::spawn(move || proxy.stop());
        // It has been told by the time this one is.
        idle.driver.await.unwrap();
        let mut read = Vec::new();
        while let Some(mut data) = stream.recv_data().await.unwrap() {
            read.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        assert!(read == body, "{} bytes", read.len());
        client.driver.await.unwrap();
        stopping.join().unwrap();
    });
}

/// Whoever has left is noted as such, however it left; it is nobody's failure.
#[test]
fn a_client_that_leaves_has_a_line_in_the_log_that_says_so() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let server = server(move |_, stream| {
        tell.lock().unwrap().send(()).unwrap();
        stream.read(&mut [0; 1]).map(|_| ())
    });
    let proxy = serving(&server);
    block_on(async {
        let told = Arc::new(Mutex::new(told));
        let asked = || {
            let told = told.clone();
            async { tokio::task::spawn_blocking(move || told.lock().unwrap().recv().unwrap()).await.unwrap() }
        };
        let mut client = H3::connect(&proxy).await;
        // It wants no more of the answer.
        let mut stream = client.open(get("/stopped")).await;
        stream.finish().await.unwrap();
        asked().await;
        stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
        drop(stream);
        // It breaks its request off.
        let mut stream = client.open(Request::post("https://a.localhost/reset").body(()).unwrap()).await;
        stream.send_data(Bytes::from_static(b"half")).await.unwrap();
        // The proxy has its head by the time another one was answered.
        client.get("/").await;
        stream.stop_stream(h3::error::Code::H3_REQUEST_CANCELLED);
        // It closes its connection.
        let mut stream = client.open(get("/closed")).await;
        stream.finish().await.unwrap();
        asked().await;
        client.quic.close(0_u32.into(), b"");
        client.endpoint.wait_idle().await;
    });
    let mut lines = super::record::lines(proxy);
    lines.retain(|line| line["path"] != "/");
    lines.sort_by_key(|line| line["path"].to_string());
    let seen: Vec<_> = lines.iter().map(|line| (line["path"].as_str(), line["status"].as_u64())).collect();
    let left = |path| (Some(path), Some(0));
    assert_eq!(seen, [left("/closed"), left("/reset"), left("/stopped")]);
}

/// An end that comes in a packet of its own is no body.
#[test]
fn a_request_whose_end_comes_late_has_no_body_either() {
    let server = server(|seen, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", seen.head.len(), seen.head)
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H3::connect(&proxy).await;
        let mut stream = client.open(get("/late")).await;
        client.get("/").await;
        stream.finish().await.unwrap();
        let head = reply(&mut stream).await.unwrap();
        assert!(!head.text().contains("chunked"), "{}", head.text());
        // One that has a body, though nobody expects it of a GET, brings it.
        let mut stream = client.open(get("/late")).await;
        client.get("/").await;
        stream.send_data(Bytes::from_static(b"some")).await.unwrap();
        stream.finish().await.unwrap();
        let head = reply(&mut stream).await.unwrap();
        assert!(head.text().contains("chunked"), "{}", head.text());
    });
}

#[test]
fn one_address_has_only_so_many_connections() {
    let server = server(|_, stream| write!(stream, "HTTP/1.1 204 No Content\r\n\r\n"));
    let proxy = Proxy::secure(Limits { quic_connections_of_one: 2, ..Limits::default() });
    proxy.put(with_tls(&[HOST], &[&server], Tls::default()));
    block_on(async {
        let mut first = H3::connect(&proxy).await;
        let mut second = H3::connect(&proxy).await;
        assert_eq!((first.get("/").await.text(), second.get("/").await.text()), ("ok", "ok"));
        let refused = H3::try_connect(&proxy, HOST).await.err().unwrap();
        assert!(matches!(refused, quinn::ConnectionError::ConnectionClosed(_)), "{refused}");
        second.quic.close(0_u32.into(), b"");
        second.endpoint.wait_idle().await;
        // The proxy may hear of it a little later.
        while H3::try_connect(&proxy, HOST).await.is_err() {}
        assert_eq!(first.get("/").await.text(), "ok");
    });
}

#[test]
fn strangers_get_no_handshake() {
    let server = server(|_, stream| write!(stream, "HTTP/1.1 204 No Content\r\n\r\n"));
    let proxy = serving(&server);
    block_on(async {
        let refused = H3::try_connect(&proxy, "stranger.localhost").await.err().unwrap();
        assert!(matches!(refused, quinn::ConnectionError::ConnectionClosed(_)), "{refused}");
        let mut client = H3::connect(&proxy).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), client.get("/")).await.unwrap();
        assert_eq!((answer.text(), &answer.trailers), ("ok", &None));
    });
}
