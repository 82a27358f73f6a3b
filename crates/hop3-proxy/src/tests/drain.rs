// SPDX-License-Identifier: Apache-2.0
//! Draining: waits for what is under way, closes what idles, cuts what does not end.

use super::harness::*;
use crate::control::Answer;
use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A server whose answers wait for a word, and the sender of words.
fn waiting() -> (Server, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let server = Server::start(move |_, stream| {
        released.lock().unwrap().recv().ok();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
    });
    (server, release)
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(5));
        thread::yield_now();
    }
}

#[test]
fn a_drain_waits_for_requests_under_way() {
    let (proxy, (old, release), new) = (Proxy::start(), waiting(), Server::named("new"));
    proxy.route(&[&old]);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(|| old.requests.load(SeqCst) == 1);
    proxy.route(&[&new]);
    assert_eq!(proxy.get("/").text(), "new / 0");
    thread::scope(|scope| {
        let drain = scope.spawn(|| proxy.drain(std::slice::from_ref(&old.id), Duration::from_secs(10)));
        assert!(!drain.is_finished());
        release.send(()).unwrap();
        assert_eq!(client.reply().text(), "slow");
        assert!(matches!(drain.join().unwrap(), Answer::Drained(d) if d.cut == 0));
    });
    assert_eq!(client.get("/").text(), "new / 0");
}

#[test]
fn a_drain_cuts_at_its_deadline_and_counts() {
    let (proxy, (old, _release), new) = (Proxy::start(), waiting(), Server::named("new"));
    let tunnel = Server::raw(|_, mut http| {
        http.read_head()?;
        http.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        http.is_closed();
        Ok(())
    });
    proxy.route(&[&old]);
    proxy.put(service("ws", &[&tunnel]));
    let (mut client, mut upgraded) = (proxy.connect(), proxy.connect());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    upgraded.send("GET / HTTP/1.1\r\nHost: ws\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(upgraded.reply().status, 101);
    wait_for(|| old.requests.load(SeqCst) == 1);
    proxy.route(&[&new]);
    proxy.put(service("ws", &[&new]));
    let drained = proxy.drain(&[old.id.clone(), tunnel.id.clone()], Duration::from_millis(100));
    assert!(matches!(drained, Answer::Drained(d) if d.cut == 2), "{drained:?}");
    assert_eq!(client.reply().status, 503);
    assert!(upgraded.is_closed());
    assert_eq!(client.get("/").text(), "new / 0");
}

#[test]
fn a_drain_closes_idle_connections() {
    let (closed, is_closed) = mpsc::channel();
    let old = Server::raw(move |_, mut http| {
        http.read_head()?;
        http.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert!(http.is_closed());
        closed.send(()).ok();
        Ok(())
    });
    let (proxy, new) = (Proxy::start(), Server::named("new"));
    proxy.route(&[&old]);
    assert_eq!(proxy.get("/").status, 200);
    proxy.route(&[&new]);
    assert!(
        matches!(proxy.drain(std::slice::from_ref(&old.id), Duration::from_secs(5)), Answer::Drained(d) if d.cut == 0)
    );
    is_closed.recv_timeout(Duration::from_secs(5)).unwrap();
}

#[test]
fn an_upstream_in_the_table_cannot_be_drained_and_an_unknown_one_is_drained() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.route(&[&server]);
    assert!(matches!(proxy.drain(std::slice::from_ref(&server.id), Duration::ZERO), Answer::Refused(_)));
    assert!(matches!(proxy.drain(&["never-was".into()], Duration::ZERO), Answer::Drained(_)));
}

#[test]
fn an_upstream_may_come_back_while_it_is_still_busy() {
    let (proxy, (old, release), new) = (Proxy::start(), waiting(), Server::named("new"));
    proxy.route(&[&old]);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(|| old.requests.load(SeqCst) == 1);
    proxy.route(&[&new]);
    proxy.route(&[&old]);
    release.send(()).unwrap();
    assert_eq!(client.reply().text(), "slow");
    release.send(()).unwrap();
    assert_eq!(client.get("/").text(), "slow");
}
