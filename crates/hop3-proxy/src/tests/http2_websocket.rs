// SPDX-License-Identifier: Apache-2.0
//! WebSockets over a stream of HTTP/2 (RFC 8441).

use super::harness::*;
use super::http2::{H2, HOST, block_on, serving};
use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use http::Request;
use std::io::Write;

/// Asks for a WebSocket, once the proxy's settings are there.
async fn ask(client: &mut H2) -> (ResponseFuture, SendStream<Bytes>) {
    while !client.send.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let request = Request::connect(format!("https://{HOST}/chat")).header("sec-websocket-version", "13");
    let mut request = request.body(()).unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    client.open(request, false).await
}

#[test]
fn a_websocket_opens_over_a_stream() {
    let server = Server::raw(|_, mut http| {
        let head = http.read_head()?.unwrap_or_default();
        for line in
            ["GET /chat HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", "sec-websocket-version: 13"]
        {
            assert!(head.contains(line), "{line} in {head}");
        }
        let key = header(&head, "sec-websocket-key").unwrap_or_default();
        assert_eq!(key.len(), 24, "{head}");
        write!(
            http.stream(),
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhi"
        )?;
        let mut buffer = [0; 64];
        loop {
            match http.read_some(&mut buffer) {
                0 => return Ok(()),
                count => http.stream().write_all(&buffer[..count])?,
            }
        }
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, mut stream) = ask(&mut client).await;
        let response = response.await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers().get("upgrade")), (200, None));
        let mut body = response.into_body();
        let mut next = async || body.data().await.unwrap().unwrap();
        assert_eq!(next().await, "hi");
        stream.send_data(Bytes::from_static(b"one"), false).unwrap();
        assert_eq!(next().await, "one");
        stream.send_data(Bytes::from_static(b"two"), true).unwrap();
        assert_eq!(next().await, "two");
        assert!(body.data().await.is_none_or(|last| last.unwrap().is_empty()));
        assert!(body.is_end_stream());
    });
}

/// An app that knows no WebSocket answers the request that it took it for; that is no open tunnel.
#[test]
fn a_websocket_that_was_not_accepted_does_not_look_open() {
    let server = Server::named("web");
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, _stream) = ask(&mut client).await;
        assert_eq!(response.await.unwrap().status(), 502);
    });
}

/// As a reset of TCP is said there (RFC 8441, 5); an end would say that all was said.
#[test]
fn an_app_that_breaks_off_resets_the_stream() {
    let server = Server::raw(|_, mut http| {
        http.read_head()?;
        http.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi");
        http.read_exact(3);
        socket2::SockRef::from(&*http.stream()).set_linger(Some(std::time::Duration::ZERO))
    });
    let proxy = serving(&server);
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        let (response, mut stream) = ask(&mut client).await;
        let mut body = response.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "hi");
        stream.send_data(Bytes::from_static(b"end"), false).unwrap();
        let error = body.data().await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    });
}
