// SPDX-License-Identifier: Apache-2.0
//! What a client of HTTP/2 makes the proxy keep by asking for much and reading nothing.

use super::harness::*;
use super::http2::{H2, HOST, block_on, get};
use super::tls::secure_proxy;
use hop3_core::route::{Address, Host, Pool, Service, Upstream};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::time::Duration;

/// As many as one connection may have under way.
const STREAMS: usize = 128;
/// For all of them together.
const MOST: usize = 8 << 20;

/// Sends an answer without end until nobody has taken of it for a second, and tells how much went. The kernel keeps
/// little of it, so that the rest is with the proxy.
fn answer(mut stream: UnixStream) -> usize {
    socket2::SockRef::from(&stream).set_send_buffer_size(1).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n").unwrap();
    let mut sent = 0;
    while let Ok(count) = stream.write(&[b'x'; 1024]) {
        sent += count;
    }
    sent
}

#[test]
fn many_answers_that_nobody_reads_are_kept_in_a_bounded_room() {
    let proxy = secure_proxy();
    let path = proxy.root.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let tell = tell.clone();
            std::thread::spawn(move || tell.send(answer(stream)));
        }
    });
    let upstreams = vec![Upstream { id: "large".into(), address: Address::Unix(path) }];
    let large = Pool { upstreams, timeouts: timeouts(), ..Pool::default() };
    proxy.put(Service { hosts: vec![Host(HOST.into())], ..pool("one", large) });
    let kept: usize = block_on(async {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(0);
        let mut client = H2::connect_with(&proxy, &builder).await;
        let mut answers = Vec::new();
        for _ in 0..STREAMS {
            answers.push(client.open(get("/large"), true).await);
        }
        tokio::task::spawn_blocking(move || told.iter().take(STREAMS).sum()).await.unwrap()
    });
    assert!((STREAMS..MOST).contains(&kept), "{kept} bytes");
}
