// SPDX-License-Identifier: Apache-2.0
//! When an upstream fails, a request is tried again exactly when that is safe.

use super::harness::*;
use crate::Limits;
use crate::control::{Answer, Request};
use hop3_core::route::{Address, Pool, Upstream};
use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Answers the first request of each connection and ends it when the second one arrives.
fn forgetful() -> Server {
    Server::raw(|_, mut http| {
        let head = http.read_head()?.unwrap();
        if header(&head, "content-length").is_some() {
            http.read_exact(4);
        }
        http.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        // The client believes this connection to be open until it has used it.
        http.read_head().map(|_| ())
    })
}

#[test]
fn a_stale_connection_is_replaced_when_the_request_may_be_repeated() {
    let (proxy, server) = (Proxy::start(), forgetful());
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    for _ in 0..10 {
        assert_eq!(client.get("/").status, 200);
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.reply().status, 200);
    }
}

#[test]
fn a_request_that_may_not_be_repeated_is_sent_once() {
    let (proxy, server) = (Proxy::start(), forgetful());
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    assert_eq!(client.get("/").status, 200);
    // The connection is open, young and silent, so it is used; then it breaks with the request in it.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    let reply = client.reply();
    assert_eq!(reply.status, 502);
    assert_eq!(server.connections.load(SeqCst), 1);
}

/// Closes a connection and returns when the kernel has told the other side, which on a busy machine is a while later.
fn close(mut http: Http) {
    let ends = [http.stream().local_addr().unwrap(), http.stream().peer_addr().unwrap()];
    drop(http);
    let [here, there] = ends.map(|end| format!(":{:04X} ", end.port()));
    // proc_pid_net(5), linux/tcp_states.h: FIN_WAIT1 is left when the end is acknowledged.
    let is_on_its_way = |line: &str| line.contains(&format!("{here}0100007F{there}04 "));
    let start = Instant::now();
    while std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(is_on_its_way) {
        assert!(start.elapsed() < Duration::from_secs(5), "the other side's kernel does not hear of the end");
        thread::yield_now();
    }
}

#[test]
fn a_connection_the_upstream_has_closed_is_not_used_for_a_post() {
    let (closed, is_closed) = mpsc::channel();
    let server = Server::raw(move |_, mut http| {
        let head = http.read_head()?.unwrap();
        if header(&head, "content-length").is_some() {
            http.read_exact(4);
        }
        http.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        close(http);
        closed.send(()).ok();
        Ok(())
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    for _ in 0..20 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.reply().status, 200);
        is_closed.recv().unwrap();
    }
}

#[test]
fn an_upstream_that_refuses_connections_is_passed_over_even_for_a_post() {
    let (proxy, good) = (Proxy::start(), Server::named("good"));
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstreams = vec![Upstream { id: "dead".into(), address: Address::Tcp(dead) }, good.upstream()];
    proxy.put(pool("a", Pool { upstreams, timeouts: timeouts(), ..Pool::default() }));
    let mut client = proxy.connect();
    for _ in 0..10 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.reply().text(), "good / 4");
    }
    let Answer::Status(status) = proxy.ask(&Request::Status) else { panic!("no status") };
    assert_eq!(status.unhealthy, ["dead"]);
}

#[test]
fn a_request_waits_for_the_table_to_name_an_instance_that_lives() {
    let (proxy, good) = (Proxy::start(), Server::named("good"));
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstreams = vec![Upstream { id: "dead".into(), address: Address::Tcp(dead) }];
    proxy.put(pool("a", Pool { upstreams, timeouts: timeouts(), ..Pool::default() }));
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    // It has been refused by the time the health says so.
    let start = Instant::now();
    loop {
        let Answer::Status(status) = proxy.ask(&Request::Status) else { panic!("no status") };
        if !status.unhealthy.is_empty() {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    proxy.route(&[&good]);
    assert_eq!(client.reply().text(), "good / 4");
}

#[test]
fn an_application_that_is_down_gets_a_page_and_soon_a_quick_one() {
    let limits = Limits { connect_patience: Duration::from_millis(300), ..Limits::default() };
    let proxy = Proxy::with(limits);
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstreams = vec![Upstream { id: "dead".into(), address: Address::Tcp(dead) }];
    proxy.put(pool("a", Pool { upstreams, timeouts: timeouts(), ..Pool::default() }));
    let reply = proxy.get("/");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
    let start = Instant::now();
    assert_eq!(proxy.get("/").status, 503);
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
}

#[test]
fn an_instance_that_dies_under_a_get_is_replaced_by_another() {
    let dying = Server::raw(|_, mut http| http.read_head().map(|_| ()));
    let (proxy, good) = (Proxy::start(), Server::named("good"));
    proxy.route(&[&dying, &good]);
    for _ in 0..10 {
        assert_eq!(proxy.get("/").text(), "good / 0");
    }
    // Nothing tells whether a POST was carried out.
    let (proxy, dying) = (Proxy::start(), Server::raw(|_, mut http| http.read_head().map(|_| ())));
    proxy.route(&[&dying]);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(client.reply().status, 502);
    assert_eq!(dying.connections.load(SeqCst), 1);
}

#[test]
fn nonsense_from_an_upstream_becomes_a_502() {
    let server = Server::start(|seen, stream| match seen.path() {
        "/cl" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        "/partial" => stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-")
            .and_then(|()| stream.shutdown(std::net::Shutdown::Both)),
        _ => stream.write_all(b"220 smtp\r\n\r\n"),
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    for path in ["/cl", "/partial", "/smtp"] {
        assert_eq!(client.get(path).status, 502, "{path}");
    }
}

#[test]
fn an_upstream_that_fails_its_health_check_is_left_out_until_it_passes() {
    let limits = Limits { probe_interval: Duration::from_millis(20), ..Limits::default() };
    let proxy = Proxy::with(limits);
    let is_well = Arc::new(AtomicBool::new(false));
    let well = is_well.clone();
    let ill = Server::start(move |seen, stream| {
        let status = if seen.path() != "/health" || well.load(SeqCst) { "200 OK" } else { "500 No" };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nill")
    });
    let good =
        Server::start(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"));
    let upstreams = vec![ill.upstream(), good.upstream()];
    proxy.put(pool(
        "a",
        Pool { upstreams, timeouts: timeouts(), health_path: Some("/health".into()), ..Pool::default() },
    ));
    let wait = |unhealthy: usize| {
        let start = Instant::now();
        loop {
            let Answer::Status(status) = proxy.ask(&Request::Status) else { panic!("no status") };
            if status.unhealthy.len() == unhealthy {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{status:?}");
            thread::yield_now();
        }
    };
    wait(1);
    for _ in 0..6 {
        assert_eq!(proxy.get("/").text(), "good");
    }
    is_well.store(true, SeqCst);
    wait(0);
    let answers: Vec<String> = (0..6).map(|_| proxy.get("/").text().to_owned()).collect();
    assert!(answers.contains(&"ill".to_owned()), "{answers:?}");
}
