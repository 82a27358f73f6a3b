// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 towards clients, seen by the h2 crate's client and by curl: what arrives at the upstream, what comes back,
//! how streams and connections end, and what is refused.

use super::harness::*;
use super::tls::{secure_proxy, with_tls};
use crate::Limits;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use hop3_core::policy::{HeaderChange, Policy};
use hop3_core::route::{Pool, Service, Tls};
use http::{HeaderMap, Request, Response};
use rustls::pki_types::ServerName;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::task::JoinHandle;

pub(crate) const HOST: &str = "a.localhost";

/// Runs a test's client; none takes longer than this.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await.unwrap() })
}

/// A client's connection.
pub(crate) struct H2 {
    pub(crate) send: SendRequest<Bytes>,
    /// How the connection ended.
    driver: JoinHandle<Result<(), h2::Error>>,
}

pub(crate) struct Whole {
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Whole {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl H2 {
    pub(crate) async fn connect(proxy: &Proxy) -> H2 {
        // One stream that is not read does not stop the others.
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(1 << 20);
        H2::connect_with(proxy, &builder).await
    }

    pub(crate) async fn connect_with(proxy: &Proxy, builder: &h2::client::Builder) -> H2 {
        let mut config = proxy.trusting();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = tokio::net::TcpStream::connect(proxy.https.unwrap()).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(ServerName::try_from(HOST).unwrap(), tcp).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (send, connection) = builder.handshake(stream).await.unwrap();
        let send = send.ready().await.unwrap();
        H2 { send, driver: tokio::spawn(connection) }
    }

    pub(crate) async fn open(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        poll_fn(|cx| self.send.poll_ready(cx)).await.unwrap();
        self.send.send_request(request, ends).unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Whole {
        let (response, _) = self.open(get(path), true).await;
        whole(response.await.unwrap()).await.unwrap()
    }
}

pub(crate) fn get(path: &str) -> Request<()> {
    Request::get(format!("https://{HOST}{path}")).body(()).unwrap()
}

pub(crate) async fn whole(response: Response<RecvStream>) -> Result<Whole, h2::Error> {
    let mut stream = response.into_body();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        body.extend_from_slice(&data);
        stream.flow_control().release_capacity(data.len())?;
    }
    let trailers = stream.trailers().await?;
    Ok(Whole { body, trailers })
}

/// Sends a body as the window allows.
async fn send_all(stream: &mut SendStream<Bytes>, mut body: Bytes) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        while stream.capacity() == 0 {
            poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        }
        let piece = body.split_to(stream.capacity().min(body.len()));
        stream.send_data(piece, body.is_empty()).unwrap();
    }
}

pub(crate) fn serving(server: &Server) -> Proxy {
    serving_at(&[HOST, "c.localhost"], server)
}

pub(crate) fn serving_at(hosts: &[&str], server: &Server) -> Proxy {
    let proxy = secure_proxy();
    proxy.put(with_tls(hosts, &[server], Tls::default()));
    proxy
}

/// Answers with the request's head.
fn mirror() -> Server {
    Server::start(|seen, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", seen.head.len(), seen.head)
    })
}

fn echo() -> Server {
    Server::start(|seen, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len())?;
        stream.write_all(&seen.body)
    })
}

#[test]
fn a_request_arrives_as_http1_would_have_said_it() {
    let server = mirror();
    let proxy = serving(&server);
    let request = Request::get(format!("https://{HOST}/x?y=1"))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-forwarded-for", "9.9.9.9")
        .header("te", "trailers")
        .header("Accept", "text/plain");
    let answer = block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, _) = client.open(request.body(()).unwrap(), true).await;
        whole(response.await.unwrap()).await.unwrap()
    });
    let head = answer.text();
    assert!(head.starts_with("GET /x?y=1 HTTP/1.1\r\nHost: a.localhost\r\n"), "{head}");
    for line in
        ["cookie: a=1; b=2", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https", "accept: text/plain"]
    {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    assert!(!head.contains("9.9.9.9") && !head.to_lowercase().contains("\nte:"), "{head}");
}

#[test]
fn bodies_of_every_size_pass_unchanged_both_ways() {
    let server = echo();
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        for size in [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 300_000, 3_000_000] {
            for has_length in [true, false] {
                let body: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
                let mut request = Request::put(format!("https://{HOST}/"));
                if has_length {
                    request = request.header("content-length", size);
                }
                let (response, mut stream) = client.open(request.body(()).unwrap(), size == 0).await;
                let sending = send_all(&mut stream, body.clone().into());
                let (answer, ()) = tokio::join!(async { whole(response.await.unwrap()).await }, sending);
                let answer = answer.unwrap();
                assert!(answer.body == body, "{size}: {} bytes", answer.body.len());
            }
        }
    });
}

#[test]
fn a_hundred_streams_share_a_connection_and_none_waits_for_another() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::start(move |seen, stream| {
        if seen.path() == "/slow" {
            wait.lock().unwrap().recv().ok();
        }
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", seen.path().len(), seen.path())
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (slow, _) = client.open(get("/slow"), true).await;
        let mut answers = Vec::new();
        for i in 0..100 {
            answers.push((i, client.open(get(&format!("/{i}")), true).await.0));
        }
        for (i, answer) in answers {
            assert_eq!(whole(answer.await.unwrap()).await.unwrap().text(), format!("/{i}"));
        }
        release.send(()).unwrap();
        assert_eq!(whole(slow.await.unwrap()).await.unwrap().text(), "/slow");
    });
}

#[test]
fn trailers_pass_both_ways() {
    let server = Server::raw(|_, mut http| {
        let head = http.read_head()?.unwrap_or_default();
        assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            seen.extend(http.read_exact(1));
        }
        let text = String::from_utf8(seen).unwrap();
        write!(
            http.stream(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\nGrpc-Status: 7\r\nX-Sum: abc\r\n\r\n",
            text.len()
        )
    });
    let proxy = serving(&server);
    let answer = block_on(async {
        let mut client = H2::connect(&proxy).await;
        let request = Request::post(format!("https://{HOST}/")).body(()).unwrap();
        let (response, mut stream) = client.open(request, false).await;
        stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
        stream
            .send_trailers(HeaderMap::from_iter([("x-ours".parse().unwrap(), "1".parse().unwrap())]))
            .unwrap();
        whole(response.await.unwrap()).await.unwrap()
    });
    assert_eq!(answer.text(), "5\r\nhello\r\n0\r\nx-ours: 1\r\n\r\n");
    let trailers = answer.trailers.unwrap();
    assert_eq!(
        (trailers["grpc-status"].to_str().unwrap(), trailers["x-sum"].to_str().unwrap()),
        ("7", "abc")
    );
}

#[test]
fn an_answer_that_breaks_off_resets_its_stream_and_no_other() {
    let server = Server::start(|seen, stream| match seen.path() {
        "/broken" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")?;
            stream.shutdown(std::net::Shutdown::Both)
        }
        _ => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"),
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, _) = client.open(get("/broken"), true).await;
        // The reset may overtake the head.
        let answer = async { whole(response.await?).await };
        let error = answer.await.err().unwrap();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{error}");
        assert_eq!(client.get("/").await.text(), "fine");
    });
}

#[test]
fn a_client_that_resets_its_stream_ends_the_work_for_it() {
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let server = Server::raw(move |_, mut http| {
        http.read_head()?;
        tell.lock().unwrap().send("begun").unwrap();
        let ended = http.stream().read(&mut [0; 1]);
        tell.lock().unwrap().send(if matches!(ended, Ok(0)) { "closed" } else { "failed" }).unwrap();
        Ok(())
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, mut stream) = client.open(get("/"), true).await;
        let told = tokio::task::spawn_blocking(move || (told.recv().unwrap(), told)).await.unwrap();
        assert_eq!(told.0, "begun");
        stream.send_reset(Reason::CANCEL);
        drop(response);
        let ended = tokio::task::spawn_blocking(move || told.1.recv().unwrap()).await.unwrap();
        assert_eq!(ended, "closed");
    });
}

#[test]
fn who_leaves_is_noted_as_such_and_is_nobodys_failure() {
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let server = Server::raw(move |_, mut http| {
        http.read_head()?;
        tell.lock().unwrap().send(()).unwrap();
        http.stream().read(&mut [0; 1]).map(|_| ())
    });
    let proxy = serving(&server);
    block_on(async {
        let told = Arc::new(std::sync::Mutex::new(told));
        let asked = || {
            let told = told.clone();
            async { tokio::task::spawn_blocking(move || told.lock().unwrap().recv().unwrap()).await.unwrap() }
        };
        let mut client = H2::connect(&proxy).await;
        let (response, mut stream) = client.open(get("/reset"), true).await;
        asked().await;
        stream.send_reset(Reason::CANCEL);
        drop(response);
        let (_response, _) = client.open(get("/closed"), true).await;
        asked().await;
        client.driver.abort();
        client.driver.await.unwrap_err();
    });
    let mut lines = super::record::lines(proxy);
    lines.sort_by_key(|line| line["path"].to_string());
    let seen: Vec<_> = lines.iter().map(|line| (line["path"].as_str(), line["status"].as_u64())).collect();
    assert_eq!(seen, [(Some("/closed"), Some(0)), (Some("/reset"), Some(0))]);
}

#[test]
fn who_only_resets_is_sent_away() {
    // Answers nobody, until the other side has closed.
    let server = Server::raw(|_, mut http| {
        http.read_head()?;
        http.stream().read(&mut [0; 1]).map(|_| ())
    });
    let proxy = serving(&server);
    let error = block_on(async {
        let mut client = H2::connect(&proxy).await;
        for _ in 0..2_000 {
            if poll_fn(|cx| client.send.poll_ready(cx)).await.is_err() {
                break;
            }
            let Ok((_, mut stream)) = client.send.send_request(get("/"), true) else { break };
            tokio::task::yield_now().await;
            stream.send_reset(Reason::CANCEL);
            tokio::task::yield_now().await;
        }
        client.driver.await.unwrap().unwrap_err()
    });
    // What it still sends may break the connection before it has read why.
    assert!(error.is_io() || error.reason() == Some(Reason::ENHANCE_YOUR_CALM), "{error}");
    let tried = server.connections.load(std::sync::atomic::Ordering::SeqCst);
    assert!(tried < 300, "{tried} requests reached the upstream");
}

#[test]
fn what_has_two_readings_is_refused() {
    let server = mirror();
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let uri = format!("https://{HOST}/");
        let plain = |name: &str, value: &str| Request::get(&uri).header(name, value).body(()).unwrap();
        for (request, status) in [
            (plain("host", "b.localhost"), 400),
            (plain("host", HOST), 200),
            (Request::get(format!("https://user@{HOST}/")).body(()).unwrap(), 400),
            (Request::get("https://c.localhost/").body(()).unwrap(), 421),
            (Request::connect(HOST).body(()).unwrap(), 405),
        ] {
            let said = format!("{request:?}");
            let (response, _) = client.open(request, true).await;
            assert_eq!(response.await.unwrap().status(), status, "{said}");
        }
        assert_eq!(server.requests.load(std::sync::atomic::Ordering::SeqCst), 1);
    });
}

#[test]
fn hints_come_before_the_answer() {
    let server = Server::start(|_, stream| {
        write!(stream, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")?;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (mut response, _) = client.open(get("/"), true).await;
        let hint = poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!((hint.status().as_u16(), hint.headers()["link"].to_str().unwrap()), (103, "</a.css>"));
        assert_eq!(whole(response.await.unwrap()).await.unwrap().text(), "ok");
    });
}

#[test]
fn a_proxy_that_stops_finishes_its_streams_and_says_goodbye() {
    let (tell, told) = mpsc::channel();
    let (release, wait) = mpsc::channel::<()>();
    let ends = std::sync::Mutex::new((tell, wait));
    let server = Server::start(move |_, stream| {
        let ends = ends.lock().unwrap();
        ends.0.send(()).unwrap();
        ends.1.recv().ok();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let mut idle = H2::connect(&proxy).await;
        poll_fn(|cx| idle.send.poll_ready(cx)).await.unwrap();
        let (response, _) = client.open(get("/"), true).await;
        tokio::task::spawn_blocking(move || told.recv().unwrap()).await.unwrap();
        let stopping = std::thread::spawn(move || proxy.stop());
        // The idle one is told at once, the busy one when it is answered.
        idle.driver.await.unwrap().unwrap();
        release.send(()).unwrap();
        assert_eq!(whole(response.await.unwrap()).await.unwrap().text(), "last");
        client.driver.await.unwrap().unwrap();
        stopping.join().unwrap();
    });
}

#[test]
fn an_idle_connection_is_told_to_go() {
    let limits = Limits { idle_timeout: Duration::from_millis(300), ..Limits::default() };
    let (proxy, server) = (Proxy::secure(limits), Server::named("one"));
    proxy.put(with_tls(&[HOST], &[&server], Tls::default()));
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        assert_eq!(client.get("/").await.text(), "one / 0");
        client.driver.await.unwrap().unwrap();
    });
}

#[test]
fn who_does_not_read_is_reset_and_holds_nobody_up() {
    let server = Server::start(|seen, stream| {
        let size = if seen.path() == "/large" { 4 << 20 } else { 2 };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
        stream.write_all(&vec![b'x'; size])
    });
    let proxy = secure_proxy();
    let timeouts = hop3_core::route::Timeouts { idle_ms: 300, ..timeouts() };
    let large = Pool { upstreams: vec![server.upstream()], timeouts, ..Pool::default() };
    proxy.put(Service { hosts: vec![hop3_core::route::Host(HOST.into())], ..pool("one", large) });
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, _) = client.open(get("/large"), true).await;
        let mut held = response.await.unwrap().into_body();
        assert_eq!(client.get("/").await.text(), "xx");
        // Takes what it is given and never says that there is room again.
        let error = loop {
            match held.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("it came whole"),
            }
        };
        assert!(error.is_reset() && error.is_remote(), "{error}");
        assert_eq!(client.get("/").await.text(), "xx");
    });
}

#[test]
fn curl_speaks_it_unasked() {
    let server = mirror();
    let proxy = serving(&server);
    let ca = proxy.root.path().join("ca.pem");
    std::fs::write(&ca, proxy.authority()).unwrap();
    let url = format!("https://{HOST}:{}/", proxy.https.unwrap().port());
    let output = std::process::Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--cacert"])
        .arg(&ca)
        .args(["--data", "a=b", "--write-out", "%{http_version} %{http_code}", &url])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.ends_with("2 200") && said.contains("content-length: 3\r\n"), "{output:?}");
}

#[test]
fn an_answer_with_as_many_headers_as_may_be_arrives() {
    let server = Server::start(|_, stream| {
        let lines = "X: 1\r\n".repeat(crate::MAX_HEADERS - 1);
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{lines}\r\n2\r\nhi\r\n0\r\n\r\n")
    });
    let set = (0..50).map(|number| (format!("x-{number}"), "1".to_owned())).collect();
    let policy = Policy { response_headers: HeaderChange { set, remove: Vec::new() }, ..Policy::default() };
    let proxy = secure_proxy();
    proxy.put(Service { policy: Some(policy.into()), ..with_tls(&[HOST], &[&server], Tls::default()) });
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, _) = client.open(get("/"), true).await;
        let response = response.await.unwrap();
        let count = response.headers().len();
        assert!(count >= crate::MAX_HEADERS - 1 + 50, "only {count} lines");
        assert_eq!(whole(response).await.unwrap().text(), "hi");
    });
}
