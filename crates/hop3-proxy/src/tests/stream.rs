// SPDX-License-Identifier: Apache-2.0
//! Bodies and upgraded connections are streamed both ways, with back-pressure and without waiting for each other.

use super::harness::*;
use crate::Limits;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const MEGA: usize = 1 << 20;

#[test]
fn large_bodies_arrive_unchanged_both_ways() {
    let (proxy, server) = (Proxy::start(), Server::start(echo));
    proxy.route(&[&server]);
    let body: Vec<u8> = (0..3 * MEGA + 17).map(|i| (i * 7 + i / 251) as u8).collect();
    let mut client = proxy.connect();
    let sending = {
        let (mut stream, body) = (client.stream().try_clone().unwrap(), body.clone());
        thread::spawn(move || {
            write!(stream, "POST /sized HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())
                .unwrap();
            stream.write_all(&body).unwrap();
            stream
                .write_all(b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                .unwrap();
            for chunk in body.chunks(10_007) {
                write!(stream, "{:x};ext=1\r\n", chunk.len()).unwrap();
                stream.write_all(chunk).unwrap();
                stream.write_all(b"\r\n").unwrap();
            }
            stream.write_all(b"0\r\nX-Sum: 1\r\n\r\n").unwrap();
        })
    };
    for _ in 0..2 {
        let reply = client.reply();
        assert!(reply.is_whole && reply.body == body, "{} bytes of {}", reply.body.len(), body.len());
    }
    sending.join().unwrap();
}

/// Sends a body back with its length, or in chunks when the path says so.
fn echo(seen: &Seen, stream: &mut std::net::TcpStream) -> std::io::Result<()> {
    if seen.path() == "/sized" {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len())?;
        return stream.write_all(&seen.body);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    for chunk in seen.body.chunks(70_001) {
        write!(stream, "{:x}\r\n", chunk.len())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(b"0\r\n\r\n")
}

#[test]
fn events_arrive_one_by_one() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let server = Server::start(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
        for i in 0..3 {
            // In one write, so that it is one piece for the reader.
            stream.write_all(format!("data: {i}\n\n").as_bytes())?;
            // The next event is not sent before the client has seen this one.
            released.lock().unwrap().recv().unwrap();
        }
        stream.shutdown(Shutdown::Both)
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.read_head().unwrap().unwrap();
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
    for i in 0..3 {
        assert_eq!(client.read_chunk(), Some(format!("data: {i}\n\n").into_bytes()));
        release.send(()).unwrap();
    }
    assert_eq!(client.read_chunk(), Some(vec![]));
}

#[test]
fn a_response_may_begin_before_the_request_has_ended() {
    let server = Server::raw(|_, mut http| {
        http.read_head()?;
        http.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while let Some(chunk) = http.read_chunk() {
            http.send(format!("{:x}\r\n", chunk.len()));
            http.send(&chunk);
            http.send("\r\n");
            if chunk.is_empty() {
                break;
            }
        }
        Ok(())
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.read_head().unwrap();
    for word in ["one", "three", "fourteen bytes"] {
        client.send(format!("{:x}\r\n{word}\r\n", word.len()));
        assert_eq!(client.read_chunk(), Some(word.as_bytes().to_vec()));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read_chunk(), Some(vec![]));
}

#[test]
fn a_client_that_does_not_read_stops_the_upstream() {
    let sent = Arc::new(AtomicUsize::new(0));
    let (count, total) = (sent.clone(), 64 * MEGA);
    let server = Server::start(move |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n")?;
        for _ in 0..64 {
            stream.write_all(&vec![b'x'; MEGA])?;
            count.fetch_add(1, SeqCst);
        }
        Ok(())
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_head().unwrap();
    // Another request is served meanwhile, and by its end the sender has met full socket buffers.
    for _ in 0..50 {
        assert_eq!(proxy.connect().get_other_host().status, 404);
    }
    assert!(sent.load(SeqCst) < 32, "{} MiB were buffered somewhere", sent.load(SeqCst));
    let mut read = 0;
    while read < total {
        read += client.stream_bytes();
    }
    assert_eq!(read, total);
}

#[test]
fn upgraded_connections_carry_bytes_both_ways_and_close_each_way() {
    let server = Server::raw(|_, mut http| {
        let head = http.read_head()?.unwrap();
        assert_eq!(header(&head, "upgrade"), Some("websocket"));
        assert_eq!(header(&head, "sec-websocket-key"), Some("abc"));
        // The first frame comes together with the answer.
        http.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
        );
        let mut rest = Vec::new();
        while rest.len() < 8 {
            rest.extend(http.read_exact(4));
            http.send(&rest[rest.len() - 4..]);
        }
        assert!(http.is_closed());
        http.send("bye");
        Ok(())
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    client.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n\r\nping",
    );
    let head = client.read_head().unwrap().unwrap();
    assert!(head.starts_with("HTTP/1.1 101 ") && header(&head, "upgrade") == Some("websocket"), "{head}");
    assert_eq!(client.read_exact(5), b"hello");
    assert_eq!(client.read_exact(4), b"ping");
    client.send("pong");
    assert_eq!(client.read_exact(4), b"pong");
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read_exact(3), b"bye");
    assert!(client.is_closed());
}

#[test]
fn what_follows_a_refused_upgrade_is_the_next_request() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    client.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.reply().text(), "one /ws 0");
    assert_eq!(client.reply().text(), "one /next 0");
}

#[test]
fn a_client_may_ask_before_it_sends_its_body() {
    let server = Server::raw(|_, mut http| {
        let head = http.read_head()?.unwrap();
        assert_eq!(header(&head, "expect"), Some("100-continue"));
        http.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(http.read_exact(5), b"hello");
        http.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        http.read_head()?;
        http.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Ok(())
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    let ask = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    client.send(ask);
    assert_eq!(client.reply().status, 100);
    client.send("hello");
    assert_eq!(client.reply().text(), "ok");
    client.send(ask);
    assert_eq!(client.reply().status, 413);
    assert!(client.is_closed());
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let server = Server::raw(|_, mut http| {
        http.read_head()?;
        http.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n");
        Ok(())
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 100 * MEGA));
    client.send(vec![b'x'; MEGA / 2]);
    let reply = client.reply();
    assert_eq!((reply.status, reply.text()), (413, "no\n"));
}

#[test]
fn a_truncated_response_never_looks_whole() {
    // The last is long enough to be carried by the kernel.
    let large = format!("Content-Length: {}\r\n\r\n{}", 2 * MEGA, "x".repeat(MEGA));
    let small = ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"];
    for head in small.map(str::to_owned).into_iter().chain([large]) {
        let server = Server::raw(move |_, mut http| {
            http.read_head()?;
            http.send(format!("HTTP/1.1 200 OK\r\n{head}"));
            Ok(())
        });
        let proxy = Proxy::start();
        proxy.route(&[&server]);
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(!client.try_reply().is_ok_and(|reply| reply.is_whole));
        // In HTTP/1.0 only a reset tells it.
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
        assert!(!client.try_reply().is_ok_and(|reply| reply.is_whole));
    }
}

#[test]
fn slow_upstreams_and_stalled_bodies_are_given_up() {
    let server = Server::raw(|_, mut http| {
        http.read_head()?;
        http.stream().read_to_end(&mut Vec::new()).map(|_| ())
    });
    let proxy = Proxy::with(Limits::default());
    let mut pool_of_one = hop3_core::route::Pool {
        upstreams: vec![server.upstream()],
        timeouts: timeouts(),
        ..hop3_core::route::Pool::default()
    };
    pool_of_one.timeouts.response_ms = 200;
    pool_of_one.timeouts.idle_ms = 200;
    proxy.put(pool("a", pool_of_one));
    assert_eq!(proxy.get("/").status, 504);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(client.reply().status, 408);
    assert!(client.is_closed());
    let mut client = proxy.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 2 * MEGA));
    client.send("x".repeat(MEGA));
    assert_eq!(client.reply().status, 408);
    assert!(client.is_closed());
}

#[test]
fn an_upstream_that_takes_no_more_of_a_large_body_is_given_up() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let server = Server::raw(move |_, mut http| {
        http.read_head()?;
        released.lock().unwrap().recv().ok();
        Ok(())
    });
    let proxy = Proxy::start();
    let mut pool_of_one = hop3_core::route::Pool {
        upstreams: vec![server.upstream()],
        timeouts: timeouts(),
        ..hop3_core::route::Pool::default()
    };
    pool_of_one.timeouts.idle_ms = 300;
    proxy.put(pool("a", pool_of_one));
    let mut client = proxy.connect();
    let mut stream = client.stream().try_clone().unwrap();
    let sending = thread::spawn(move || {
        write!(stream, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 64 * MEGA).unwrap();
        // More than all buffers on the way; it ends when the proxy closes.
        stream.write_all(&vec![b'x'; 64 * MEGA]).ok();
    });
    assert_eq!(client.reply().status, 504);
    drop(client);
    release.send(()).unwrap();
    sending.join().unwrap();
}

impl Http {
    fn get_other_host(&mut self) -> Reply {
        self.send("GET / HTTP/1.1\r\nHost: other\r\n\r\n");
        self.reply()
    }

    /// Reads some.
    fn stream_bytes(&mut self) -> usize {
        let mut buffer = vec![0; MEGA];
        self.read_some(&mut buffer)
    }
}

#[test]
fn bytes_after_a_response_do_not_become_the_next_one() {
    let server = Server::raw(|number, mut http| {
        http.read_head()?;
        http.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}HTTP/1.1 200 OK\r\n\r\nforged"
        ));
        let mut rest = Vec::new();
        http.stream().set_read_timeout(Some(Duration::from_secs(5)))?;
        http.stream().read_to_end(&mut rest).map(|_| ())
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    assert_eq!(client.get("/").text(), "1");
    assert_eq!(client.get("/").text(), "2");
}
