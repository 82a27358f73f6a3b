// SPDX-License-Identifier: Apache-2.0
//! WebSockets over a stream of HTTP/3 (RFC 9220): what the app sees, what comes back, and what is refused.

use super::harness::*;
use super::http2::{H2, block_on, serving};
use super::http3::HOST;
use super::http3_dial::*;
use super::http3_tunnel::wait_for;
use super::tls::{secure_proxy, with_tls};
use bytes::Bytes;
use hop3_core::policy::Policy;
use hop3_core::route::{Service, Tls};
use http::Request;
use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Opening, Response};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

/// More than all that lies on the way from one end to the other.
const LARGE: usize = 24 << 20;

pub(crate) const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// An app that speaks WebSocket at `/chat`, once it has looked at the request's head; `/` answers too, so that the
/// offer of HTTP/3 is told.
pub(crate) fn app(talk: impl Fn(TcpStream, &str) -> io::Result<()> + Send + Sync + 'static) -> Server {
    Server::raw(move |_, mut http| {
        while let Some(head) = http.read_head()? {
            if head.starts_with("GET /chat ") {
                return talk(http.stream().try_clone()?, &head);
            }
            http.send("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-Name: app\r\n\r\nnone");
        }
        Ok(())
    })
}

fn large() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(None).max_frame_size(None)
}

/// The app's end of a WebSocket whose opening was answered here.
fn accepted(mut stream: TcpStream) -> io::Result<WebSocket<TcpStream>> {
    stream.write_all(SWITCHED.as_bytes())?;
    stream.set_read_timeout(None)?;
    Ok(WebSocket::from_raw_socket(stream, Role::Server, Some(large())))
}

/// The client's end, over a stream that was opened.
async fn socket(mut stream: Stream) -> WebSocketStream<DuplexStream> {
    assert_eq!(stream.recv_response().await.unwrap().status(), 200);
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (mut sending, mut receiving) = stream.split();
    let (mut from, mut to) = tokio::io::split(theirs);
    tokio::spawn(async move {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            sending.send_data(Bytes::copy_from_slice(&buffer[..count])).await.unwrap();
        }
        sending.finish().await.ok();
    });
    tokio::spawn(async move {
        while let Ok(Some(mut data)) = receiving.recv_data().await {
            to.write_all_buf(&mut data).await.ok();
        }
        to.shutdown().await.ok();
    });
    WebSocketStream::from_raw_socket(ours, Role::Client, Some(large())).await
}

async fn say(socket: &mut WebSocketStream<DuplexStream>, message: Message) {
    use futures_util::SinkExt;
    socket.send(message).await.unwrap();
}

async fn hear(socket: &mut WebSocketStream<DuplexStream>) -> Option<Message> {
    use futures_util::StreamExt;
    socket.next().await.map(|message| message.unwrap())
}

#[test]
fn messages_pass_both_ways() {
    // An app that does its opening as any: its check of the key is the library's.
    let server = Server::raw(|_, mut http| {
        let stream = http.stream().try_clone()?;
        let mut byte = [0; 5];
        stream.peek(&mut byte)?;
        let chosen = |request: &Opening, mut response: Response| {
            if request.uri().path() == "/chat" {
                let asked = request.headers()["sec-websocket-protocol"].clone();
                assert_eq!(
                    (asked.as_bytes(), &request.headers()["x-mine"]),
                    (&b"one, two"[..], &"yes".parse().unwrap())
                );
                response.headers_mut().insert("sec-websocket-protocol", "two".parse().unwrap());
            }
            Ok(response)
        };
        let Ok(mut socket) = tungstenite::accept_hdr(stream.try_clone()?, chosen) else {
            return (&stream).write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
        };
        while let Ok(message) = socket.read() {
            if message.is_text() || message.is_binary() {
                socket.send(message).map_err(io::Error::other)?;
            }
        }
        Ok(())
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let mut stream = client
            .websocket(&[
                ("sec-websocket-version", "13"),
                ("sec-websocket-protocol", "one, two"),
                ("x-mine", "yes"),
            ])
            .await;
        let response = stream.recv_response().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["sec-websocket-protocol"]),
            (200, &"two".parse().unwrap())
        );
        for name in ["upgrade", "connection", "sec-websocket-accept", "transfer-encoding", "content-length"] {
            assert_eq!(response.headers().get(name), None, "{name}");
        }
        drop(stream);
        let more =
            [("sec-websocket-version", "13"), ("sec-websocket-protocol", "one, two"), ("x-mine", "yes")];
        let mut socket = socket(client.websocket(&more).await).await;
        for message in [Message::text("hello"), Message::binary(vec![7; 100_000]), Message::text("")] {
            say(&mut socket, message.clone()).await;
            assert_eq!(hear(&mut socket).await, Some(message));
        }
        say(&mut socket, Message::Close(None)).await;
        assert_eq!(hear(&mut socket).await, Some(Message::Close(None)));
        assert_eq!(hear(&mut socket).await, None);
    });
}

#[test]
fn a_large_message_waits_for_an_app_that_is_slow() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = app(move |stream, _| {
        let mut socket = accepted(stream)?;
        wait.lock().unwrap().recv().unwrap();
        let message = socket.read().map_err(io::Error::other)?;
        let length = message.into_data().len();
        socket.send(Message::text(length.to_string())).map_err(io::Error::other)
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let mut socket = socket(client.websocket(&[]).await).await;
        let mut sending = Box::pin(async {
            say(&mut socket, Message::binary(vec![1; LARGE])).await;
            hear(&mut socket).await
        });
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, &mut sending).await.is_err());
        // What was taken from the client lies on the way to the app, and is bounded.
        let taken = client.quic.stats().udp_tx.bytes as usize;
        assert!(taken < LARGE / 2, "{taken} bytes");
        release.send(()).unwrap();
        assert_eq!(sending.await, Some(Message::text(LARGE.to_string())));
    });
}

#[test]
fn a_large_message_waits_for_a_client_that_is_slow() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let server = app(move |stream, _| {
        let mut socket = accepted(stream)?;
        socket.send(Message::binary(vec![2; LARGE])).map_err(io::Error::other)?;
        tell.lock().unwrap().send(()).unwrap();
        socket.send(Message::Close(None)).map_err(io::Error::other)
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let stream = client.websocket(&[]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(told.try_recv().is_err(), "it was sent somewhere");
        let mut socket = socket(stream).await;
        assert_eq!(hear(&mut socket).await.unwrap().into_data().len(), LARGE);
        assert_eq!(hear(&mut socket).await, Some(Message::Close(None)));
    });
}

#[test]
fn an_app_that_knows_no_websocket_gives_its_error() {
    let server = Server::start(|seen, stream| match seen.path() {
        "/good" => write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\nX-Name: app\r\n\r\n{}",
            "x".repeat(200_000)
        ),
        _ => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-Name: app\r\n\r\nnone"),
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let mut stream = client.websocket(&[]).await;
        let response = stream.recv_response().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-name"]),
            (404, &"app".parse().unwrap())
        );
        assert_eq!(rest(&mut stream).await.unwrap(), b"none");
        // An answer to the request that it took it for is no open tunnel.
        let mut lines = ASKED;
        lines[4].1 = "/good";
        let mut stream = client.open(head(&lines)).await;
        let response = stream.recv_response().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers().get("x-name")), (502, None));
        assert_eq!(rest(&mut stream).await.unwrap(), b"");
    });
    // Nobody waits for the rest of the answer, not even until that is too slow.
    let begun = Instant::now();
    wait_for(&proxy, 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn other_protocols_are_not_spoken() {
    let server = app(|mut stream, _| stream.write_all(SWITCHED.as_bytes()));
    let proxy = serving(&server);
    let asked = |protocol| {
        let mut lines = ASKED;
        lines[1].1 = protocol;
        head(&lines)
    };
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        for protocol in ["connect-udp", "webtransport", "WebSocket", "websockets", "x"] {
            let mut stream = client.open(asked(protocol)).await;
            assert_eq!(stream.recv_response().await.unwrap().status(), 501, "{protocol}");
        }
        // As h3 writes it.
        let mut request = Request::connect(format!("https://{HOST}/chat")).body(()).unwrap();
        request.extensions_mut().insert(h3::ext::Protocol::CONNECT_UDP);
        let mut stream = client.request(request).await;
        assert_eq!(stream.recv_response().await.unwrap().status(), 501);
        let mut client = H2::connect(&proxy).await;
        while !client.send.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let mut request = Request::connect(format!("https://{HOST}/chat")).body(()).unwrap();
        request.extensions_mut().insert(h2::ext::Protocol::from_static("connect-udp"));
        assert_eq!(client.open(request, false).await.0.await.unwrap().status(), 501);
    });
}

#[test]
fn a_policy_holds_for_it_as_for_any_request() {
    let server = app(|mut stream, _| stream.write_all(SWITCHED.as_bytes()));
    let proxy = secure_proxy();
    let only = |net: &str| {
        let policy = Policy { allow: vec![net.parse().unwrap()], ..Policy::default() };
        Service { policy: Some(policy.into()), ..with_tls(&[HOST], &[&server], Tls::default()) }
    };
    proxy.put(only("10.0.0.0/8"));
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let mut stream = client.websocket(&[]).await;
        assert_eq!(stream.recv_response().await.unwrap().status(), 403);
        assert!(!rest(&mut stream).await.unwrap().is_empty());
        proxy.put(only("127.0.0.1"));
        let mut stream = client.websocket(&[]).await;
        assert_eq!(stream.recv_response().await.unwrap().status(), 200);
    });
}

#[test]
fn it_is_a_line_in_the_log_with_what_has_passed() {
    let server = app(|mut stream, _| {
        stream.write_all(SWITCHED.as_bytes())?;
        let mut read = [0; 5];
        io::Read::read_exact(&mut stream, &mut read)?;
        stream.write_all(&[1; 70_000])
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        let mut stream = client.websocket(&[("user-agent", "me")]).await;
        stream.recv_response().await.unwrap();
        stream.send_data(Bytes::from_static(b"hello")).await.unwrap();
        assert_eq!(rest(&mut stream).await.unwrap().len(), 70_000);
        stream.finish().await.unwrap();
        let mut lines = ASKED;
        lines[1].1 = "other";
        let mut stream = client.open(head(&lines)).await;
        assert_eq!(stream.recv_response().await.unwrap().status(), 501);
    });
    let lines = super::record::lines(proxy);
    let line = lines.iter().find(|line| line["path"] == "/chat").unwrap();
    let told = ["protocol", "method", "agent", "host", "upstream"].map(|name| line[name].as_str().unwrap());
    assert_eq!(told, ["HTTP/3.0", "GET", "me", HOST, &server.id]);
    assert_eq!(line["status"], 101, "{line}");
    let bytes = |name: &str| line[name].as_u64().unwrap();
    assert!((5..400).contains(&bytes("bytes_in")), "{line}");
    assert!((70_050..70_300).contains(&bytes("bytes_out")), "{line}");
    assert!(lines.iter().any(|line| line["refused"] == "the protocol that is asked for is not supported"));
}
