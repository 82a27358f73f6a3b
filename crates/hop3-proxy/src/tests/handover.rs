// SPDX-License-Identifier: Apache-2.0
//! A new proxy takes the place of a living one.

use super::harness::*;
use crate::control::{Answer, Request};
use crate::{Limits, Options, Running, handover};
use hop3_core::driver::Drained;
use hop3_core::layout::Layout;
use hop3_core::lock;
use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Runs as the role does: until replaced, then to the end of what is under way.
fn run(proxy: Running) -> JoinHandle<()> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            proxy.replaced().await;
            proxy.all_done().await;
        });
        proxy.stop().unwrap();
    })
}

fn start(root: &Path) -> Running {
    Running::start(options(root), Limits::default()).unwrap()
}

fn take_over(root: &Path) -> Running {
    Running::start(Options { takes_over: true, ..options(root) }, Limits::default()).unwrap()
}

fn put(root: &Path, servers: &[&Server]) {
    let request = Request::Put { service: Cow::Owned(service("a", servers)) };
    assert!(matches!(ask(root, &request), Answer::Done));
}

fn connect(proxy: &Running) -> Http {
    Http::new(std::net::TcpStream::connect(proxy.http()).unwrap())
}

#[test]
fn a_new_proxy_serves_on_the_same_port_and_the_old_one_finishes_what_it_has() {
    let (root, server) = (tempfile::tempdir().unwrap(), Server::named("one"));
    let old = start(root.path());
    put(root.path(), &[&server]);
    let mut kept = connect(&old);
    assert_eq!(kept.get("/1").text(), "one /1 0");
    let address = old.http();
    let old = run(old);
    let new = take_over(root.path());
    assert_eq!(new.http(), address);
    // The connection to the old one goes on until it is told that a request was the last.
    while kept.get("/2").header("connection") != Some("close") {}
    assert!(kept.is_closed());
    old.join().unwrap();
    assert_eq!(connect(&new).get("/3").text(), "one /3 0");
    assert!(lock::is_held(&Layout::new(root.path()).lock_of("proxy")));
    new.stop().unwrap();
    assert!(!lock::is_held(&Layout::new(root.path()).lock_of("proxy")));
}

#[test]
fn a_successor_that_dies_before_it_serves_changes_nothing() {
    let (root, one, two) = (tempfile::tempdir().unwrap(), Server::named("one"), Server::named("two"));
    let old = start(root.path());
    put(root.path(), &[&one]);
    drop(handover::receive(&Layout::new(root.path())).unwrap());
    // The change is taken as soon as the failure is known; until then whoever asks is sent away.
    let socket = Layout::new(root.path()).proxy_socket();
    let request = Request::Put { service: Cow::Owned(service("a", &[&two])) };
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while !matches!(try_ask(&socket, &request), Some(Answer::Done)) {
        assert!(std::time::Instant::now() < deadline);
        thread::yield_now();
    }
    assert_eq!(connect(&old).get("/").text(), "two / 0");
    old.stop().unwrap();
}

#[test]
fn a_drain_waits_for_requests_of_the_old_proxy_too() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let slow = Server::start(move |_, stream| {
        use std::io::Write;
        released.lock().unwrap().recv().ok();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
    });
    let (root, next) = (tempfile::tempdir().unwrap(), Server::named("next"));
    let old = start(root.path());
    put(root.path(), &[&slow]);
    let mut busy = connect(&old);
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while slow.requests.load(SeqCst) == 0 {
        thread::yield_now();
    }
    let old = run(old);
    let new = take_over(root.path());
    put(root.path(), &[&next]);
    let drain =
        |deadline_ms| ask(root.path(), &Request::Drain { upstreams: vec![slow.id.clone()], deadline_ms });
    thread::scope(|scope| {
        let draining = scope.spawn(|| drain(10_000));
        assert_eq!(connect(&new).get("/").text(), "next / 0");
        assert!(!draining.is_finished());
        release.send(()).unwrap();
        assert_eq!(busy.reply().text(), "slow");
        let Answer::Drained(drained) = draining.join().unwrap() else { panic!("not drained") };
        assert_eq!(drained, Drained { cut: 0 });
    });
    drop(busy);
    old.join().unwrap();
    new.stop().unwrap();
}

#[test]
fn a_drain_deadline_cuts_requests_of_the_old_proxy_too() {
    let silent = Server::raw(|_, mut http| {
        http.read_head()?;
        // Answers nothing, and learns of the cut by the end of its connection.
        assert!(http.is_closed());
        Ok(())
    });
    let (root, next) = (tempfile::tempdir().unwrap(), Server::named("next"));
    let old = start(root.path());
    put(root.path(), &[&silent]);
    let mut busy = connect(&old);
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while silent.connections.load(SeqCst) == 0 {
        thread::yield_now();
    }
    let old = run(old);
    let new = take_over(root.path());
    put(root.path(), &[&next]);
    let drained = ask(root.path(), &Request::Drain { upstreams: vec![silent.id.clone()], deadline_ms: 50 });
    assert!(matches!(drained, Answer::Drained(Drained { cut: 1 })), "{drained:?}");
    assert_eq!(busy.reply().status, 503);
    old.join().unwrap();
    new.stop().unwrap();
}
