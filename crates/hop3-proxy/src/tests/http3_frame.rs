// SPDX-License-Identifier: Apache-2.0
//! Frames of HTTP/3 as a client should not send them, and what the proxy says of itself.

use super::harness::*;
use super::http2::{block_on, serving};
use super::http3::{HOST, dial};
use super::http3_dial::*;
use super::http3_websocket::{SWITCHED, app};
use super::tls::secure_proxy;
use h3::error::Code;
use hop3_core::route::{Address, Host, Pool, Service, Upstream};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::time::Duration;

fn quiet() -> Server {
    app(|mut stream, _| {
        stream.write_all(SWITCHED.as_bytes())?;
        std::io::copy(&mut stream.try_clone()?, &mut stream).map(|_| ())
    })
}

/// A number and how many bytes it has (RFC 9000, 16).
fn number(bytes: &[u8]) -> (u64, usize) {
    let size = 1 << (bytes[0] >> 6);
    let rest = &bytes[1..size];
    (rest.iter().fold(u64::from(bytes[0] & 63), |number, byte| number << 8 | u64::from(*byte)), size)
}

/// What the frames of data have.
fn data_of(mut bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while !bytes.is_empty() {
        let (kind, used) = number(bytes);
        let (length, more) = number(&bytes[used..]);
        let payload = &bytes[used + more..][..length as usize];
        if kind == 0 {
            data.extend_from_slice(payload);
        }
        bytes = &bytes[used + more + payload.len()..];
    }
    data
}

#[test]
fn the_proxy_says_that_it_takes_websockets() {
    let server = quiet();
    let proxy = serving(&server);
    block_on(async {
        let (quic, _endpoint) = dial(&proxy, HOST).await.unwrap();
        let mut settings = Vec::new();
        while settings.is_empty() {
            let mut stream = quic.accept_uni().await.unwrap();
            let mut bytes = vec![0; 1];
            stream.read_exact(&mut bytes).await.unwrap();
            if bytes != [0] {
                continue;
            }
            while let Ok(Some(chunk)) = stream.read_chunk(1, true).await {
                settings.extend_from_slice(&chunk.bytes);
                if settings.len() > 2 && settings.len() == 2 + usize::from(settings[1]) {
                    break;
                }
            }
        }
        assert_eq!(settings[0], 4);
        let (mut rest, mut enabled) = (&settings[2..], None);
        while !rest.is_empty() {
            let (id, used) = number(rest);
            let (value, more) = number(&rest[used..]);
            rest = &rest[used + more..];
            if id == 8 {
                enabled = Some(value);
            }
        }
        assert_eq!(enabled, Some(1));
    });
}

#[test]
fn a_head_may_come_in_pieces_and_behind_other_frames() {
    let server = quiet();
    let proxy = serving(&server);
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        // The name and the value in Huffman's code.
        let mut coded = head(&[ASKED[0], ASKED[2], ASKED[3], ASKED[4]])[5..].to_vec();
        coded.extend_from_slice(b"\x2f\x00\xb9\x5d\x87\x49\xc8\x7a\x3f\x87\xf0\x58\xd0\x72\x75\x2a\x7f");
        for bytes in [head(&ASKED), frame(1, &coded), [frame(0x21, b"grease"), head(&ASKED)].concat()] {
            let (mut sending, mut receiving) = client.quic.open_bi().await.unwrap();
            for byte in bytes.chunks(7) {
                sending.write_all(byte).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            for piece in [&frame(0, b"")[..], &frame(0x21, b"")[..], b"\x00\x03o", b"n", b"e"] {
                sending.write_all(piece).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            sending.finish().unwrap();
            let answer = receiving.read_to_end(10_000).await.unwrap();
            assert_eq!(data_of(&answer), b"one", "{answer:?}");
        }
        let mut stream = client.websocket(&[]).await;
        assert_eq!(stream.recv_response().await.unwrap().status(), 200);
    });
}

#[test]
fn what_no_request_may_say_breaks_its_stream_off() {
    let server = quiet();
    let proxy = serving(&server);
    let with = |at: usize, line: (&'static str, &'static str)| {
        let mut lines = ASKED;
        lines[at] = line;
        head(&lines)
    };
    let twice = [&ASKED[..], &[ASKED[1]]].concat();
    // h3 knows this one.
    let udp = (":protocol", "connect-udp");
    let other = [&[ASKED[0], udp], &ASKED[1..]].concat();
    let others = [&[ASKED[0], udp, udp], &ASKED[2..]].concat();
    let cases = [
        ("a protocol without CONNECT", with(0, (":method", "GET")), Code::H3_MESSAGE_ERROR),
        ("two protocols", head(&twice), Code::H3_MESSAGE_ERROR),
        ("another and this", head(&other), Code::H3_MESSAGE_ERROR),
        ("another twice", head(&others), Code::H3_MESSAGE_ERROR),
        (
            "a path without a protocol",
            head(&[ASKED[0], ASKED[2], ASKED[3], ASKED[4]]),
            Code::H3_MESSAGE_ERROR,
        ),
        ("a protocol without a path", head(&[ASKED[0], ASKED[1], ASKED[3]]), Code::H3_MESSAGE_ERROR),
        (
            "what is HTTP/1's",
            head(&[&ASKED[..], &[("upgrade", "websocket")]].concat()),
            Code::H3_MESSAGE_ERROR,
        ),
        ("an endless head", vec![1, 0xbf, 0xff, 0xff, 0xff, 0, 0], Code::H3_EXCESSIVE_LOAD),
        ("an endless frame before it", vec![0x21, 0xbf, 0xff, 0xff, 0xff, 0, 0], Code::H3_EXCESSIVE_LOAD),
    ];
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        for (what, bytes, expected) in cases {
            let mut stream = client.open(bytes).await;
            let error = tokio::time::timeout(Duration::from_secs(5), stream.recv_response()).await;
            assert_eq!(code(&error.expect(what).unwrap_err()), Some(expected), "{what}");
        }
        // A head that ends in its middle, and data that does.
        for (bytes, expected) in [
            (head(&ASKED)[..40].to_vec(), Code::H3_FRAME_ERROR),
            ([head(&ASKED), b"\x00\x05half".to_vec()].concat(), Code::H3_REQUEST_CANCELLED),
        ] {
            let mut stream = client.open(bytes).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            stream.finish().await.unwrap();
            let error = match stream.recv_response().await {
                Ok(_) => rest(&mut stream).await.unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(code(&error), Some(expected), "{error}");
        }
        // A head that is too large is told so, and the connection goes on.
        let long = "x".repeat(40_000);
        let mut stream = client.websocket(&[("x-long", &long)]).await;
        assert_eq!(stream.recv_response().await.unwrap().status(), 431);
        let mut stream = client.websocket(&[]).await;
        assert_eq!(stream.recv_response().await.unwrap().status(), 200);
    });
}

/// To the app an upload of unknown length that ended early would look whole.
#[test]
fn an_upload_that_ends_within_a_frame_is_not_whole() {
    let server = Server::named("web");
    let proxy = serving(&server);
    let lines = [(":method", "POST"), ASKED[2], ASKED[3], (":path", "/upload")];
    block_on(async {
        let mut client = Speaker::connect(&proxy).await;
        for (data, is_whole) in
            [(&b"\x00\x05half"[..], false), (b"\x00\x04half", true), (b"\x00\x00\x00\x04half", true)]
        {
            let before = server.requests.load(SeqCst);
            let mut stream = client.open([&head(&lines)[..], data].concat()).await;
            // What has come by then is read by then.
            tokio::time::sleep(Duration::from_millis(200)).await;
            stream.finish().await.unwrap();
            match stream.recv_response().await {
                Ok(_) => {
                    let answer = rest(&mut stream).await.unwrap();
                    assert!(is_whole && answer == b"web /upload 4", "{data:?}: {}", answer.escape_ascii());
                }
                Err(error) => assert!(!is_whole, "{error}"),
            }
            assert_eq!(server.requests.load(SeqCst) - before, usize::from(is_whole));
        }
    });
}

/// Takes what it is asked to take, and no more, until it is told.
fn take(mut stream: UnixStream, count: usize, wait: &mpsc::Receiver<()>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            return;
        }
        head.push(byte[0]);
    }
    if !head.starts_with(b"GET /chat ") {
        return stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    }
    stream.write_all(SWITCHED.as_bytes()).unwrap();
    stream.read_exact(&mut vec![0; count]).unwrap();
    wait.recv().ok();
}

/// Each frame of data costs the client three bytes and gives the app one.
#[test]
fn small_frames_are_not_gathered_ahead_of_the_app() {
    const TAKEN: usize = 50_000;
    let proxy = secure_proxy();
    let path = proxy.root.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (release, wait) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            take(stream, TAKEN, &wait);
        }
    });
    let upstreams = vec![Upstream { id: "small".into(), address: Address::Unix(path) }];
    let pool_of = Pool { upstreams, timeouts: timeouts(), ..Pool::default() };
    proxy.put(Service { hosts: vec![Host(HOST.into())], ..pool("one", pool_of) });
    block_on(async {
        let client = Speaker::connect(&proxy).await;
        let (mut sending, _receiving) = client.quic.open_bi().await.unwrap();
        sending.write_all(&head(&ASKED)).await.unwrap();
        let frames = b"\x00\x01x".repeat(400);
        let mut sent = 0;
        while let Ok(written) = tokio::time::timeout(Duration::from_secs(2), sending.write_all(&frames)).await
        {
            written.unwrap();
            sent += frames.len();
            assert!(sent < 4 << 20, "{sent} bytes were taken of a client whose app took {TAKEN}");
        }
        assert!(sent >= 3 * TAKEN, "{sent}");
        release.send(()).unwrap();
    });
}
