// SPDX-License-Identifier: Apache-2.0
//! The proxy ends in order, or is killed, and starts again with the table it had.

use super::harness::*;
use crate::control::{Answer, Request};
use crate::{Limits, Running};
use hop3_core::layout::Layout;
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_proxy_starts_with_the_table_it_had() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.route(&[&server]);
    let root = proxy.stop();
    let again = Running::start(options(root.path()), Limits::default()).unwrap();
    let mut client = Http::new(std::net::TcpStream::connect(again.http()).unwrap());
    assert_eq!(client.get("/").text(), "one / 0");
    again.stop().unwrap();
}

#[test]
fn a_damaged_table_does_not_keep_it_from_starting() {
    let root = Proxy::start().stop();
    std::fs::write(Layout::new(root.path()).proxy_table(), "{").unwrap();
    let proxy = Running::start(options(root.path()), Limits::default()).unwrap();
    let server = Server::named("one");
    ask(root.path(), &Request::Put { service: Cow::Owned(service("a", &[&server])) });
    proxy.stop().unwrap();
    // What it was told since is known to the next one.
    let next = Running::start(options(root.path()), Limits::default()).unwrap();
    assert_eq!(Http::new(std::net::TcpStream::connect(next.http()).unwrap()).get("/").text(), "one / 0");
    next.stop().unwrap();
}

#[test]
fn stopping_lets_requests_end_and_closes_idle_connections() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let server = Server::start(move |_, stream| {
        released.lock().unwrap().recv().ok();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
    });
    let proxy = Proxy::start();
    proxy.route(&[&server]);
    let (mut busy, mut idle) = (proxy.connect(), proxy.connect());
    idle.send("GET / HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(idle.reply().status, 404);
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let start = Instant::now();
    while server.requests.load(SeqCst) == 0 {
        assert!(start.elapsed() < Duration::from_secs(5));
        thread::yield_now();
    }
    let stopping = thread::spawn(move || proxy.stop());
    assert!(idle.is_closed());
    release.send(()).unwrap();
    let reply = busy.reply();
    assert_eq!(reply.text(), "slow");
    assert!(busy.is_closed());
    stopping.join().unwrap();
}

/// The proxy in a process of its own: this test program, asked to be one.
struct Process {
    child: Child,
    http: String,
}

const ROOT: &str = "HOP3_TEST_PROXY_ROOT";

impl Process {
    fn start(root: &std::path::Path) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::restart::be_a_proxy", "--nocapture"])
            .env(ROOT, root)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let http = lines.find_map(|line| line.unwrap().split("http at ").nth(1).map(str::to_owned)).unwrap();
        // The rest of the output is nobody's, but a closed pipe would kill the child.
        thread::spawn(move || lines.for_each(drop));
        Process { child, http }
    }

    fn get(&self, path: &str) -> Reply {
        Http::new(std::net::TcpStream::connect(&self.http).unwrap()).get(path)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn be_a_proxy() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let running = Running::start(options(Path::new(&root)), Limits::default()).unwrap();
    println!("http at {}", running.http());
    // Until it is killed.
    loop {
        thread::park();
    }
}

#[test]
fn a_killed_proxy_is_replaced_and_knows_its_routes() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::named("one");
    let mut process = Process::start(root.path());
    assert!(matches!(
        ask(root.path(), &Request::Put { service: Cow::Owned(service("a", &[&server])) }),
        Answer::Done
    ));
    assert_eq!(process.get("/").text(), "one / 0");
    // An answered change is a saved one.
    process.kill();
    let start = Instant::now();
    let mut process = Process::start(root.path());
    assert_eq!(process.get("/").text(), "one / 0");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    process.kill();
}

#[test]
fn a_change_that_cannot_be_saved_is_not_made() {
    let (proxy, old, new) = (Proxy::start(), Server::named("old"), Server::named("new"));
    assert!(matches!(proxy.ask(&table(vec![service("a", &[&old])])), Answer::Done));
    let in_the_way = Layout::new(proxy.root.path()).proxy_table().with_extension("changes");
    std::fs::create_dir(&in_the_way).unwrap();
    let refused = ask(proxy.root.path(), &Request::Put { service: Cow::Owned(service("a", &[&new])) });
    assert!(matches!(refused, Answer::Refused(_)), "{refused:?}");
    assert_eq!(proxy.get("/").text(), "old / 0");
    std::fs::remove_dir(&in_the_way).unwrap();
    proxy.route(&[&new]);
    assert_eq!(proxy.get("/").text(), "new / 0");
}
