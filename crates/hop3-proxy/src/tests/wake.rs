// SPDX-License-Identifier: Apache-2.0
//! Requests for a service whose upstreams are away are held until somebody has brought them up.

use super::harness::*;
use crate::control::{Answer, Request};
use crate::{Limits, Running};
use hop3_core::driver::ProxyStatus;
use hop3_core::route::{OnDemand, Pool, Service, Woken};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// Who wakes: each question is given to the test, which answers it.
struct Waker {
    socket: PathBuf,
    questions: Receiver<Question>,
}

struct Question {
    service: String,
    stream: UnixStream,
}

impl Question {
    fn answer(mut self, woken: Woken) {
        writeln!(self.stream, "{}", serde_json::to_string(&woken).unwrap()).unwrap();
    }
}

impl Waker {
    fn at(socket: PathBuf) -> Waker {
        let listener = UnixListener::bind(&socket).unwrap();
        let (asked, questions) = mpsc::channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let mut service = String::new();
                BufReader::new(&stream).read_line(&mut service).unwrap();
                let question = Question { service: service.trim_end().to_owned(), stream };
                if asked.send(question).is_err() {
                    return;
                }
            }
        });
        Waker { socket, questions }
    }

    fn question(&self) -> Question {
        self.questions.recv_timeout(PATIENCE).unwrap()
    }
}

fn place(proxy: &Proxy) -> PathBuf {
    proxy.root.path().join("wake.sock")
}

fn on_demand(demand: &OnDemand, servers: &[&Server]) -> Service {
    let upstreams = servers.iter().map(|server| server.upstream()).collect();
    pool("a", Pool { upstreams, timeouts: timeouts(), on_demand: Some(demand.clone()), ..Pool::default() })
}

fn status(proxy: &Proxy) -> ProxyStatus {
    match proxy.ask(&Request::Status) {
        Answer::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

/// Waits until so many requests of the service are held.
fn until_held(proxy: &Proxy, count: u64) {
    let deadline = Instant::now() + PATIENCE;
    while status(proxy).on_demand["a"].in_flight < count {
        assert!(Instant::now() < deadline, "{:?}", status(proxy));
        thread::yield_now();
    }
}

#[test]
fn two_hundred_requests_wake_it_once_and_all_are_answered() {
    let (proxy, server) = (Proxy::start(), Server::named("up"));
    let waker = Waker::at(place(&proxy));
    let demand = OnDemand::new(waker.socket.clone());
    proxy.put(on_demand(&demand, &[]));
    let clients: Vec<_> = (0..200)
        .map(|n| {
            let http = proxy.http;
            thread::spawn(move || {
                let mut client = Http::new(TcpStream::connect(http).unwrap());
                let body = "x".repeat(n);
                client.send(format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{body}"));
                client.reply()
            })
        })
        .collect();
    let question = waker.question();
    assert_eq!(question.service, "a");
    until_held(&proxy, 200);
    proxy.put(on_demand(&demand, &[&server]));
    question.answer(Woken::Done);
    for (n, client) in clients.into_iter().enumerate() {
        let reply = client.join().unwrap();
        assert_eq!((reply.status, reply.text()), (200, format!("up /{n} {n}").as_str()));
    }
    assert!(waker.questions.try_recv().is_err(), "it was asked more than once");
}

#[test]
fn the_one_who_wakes_may_be_away_for_a_while_and_may_die_in_the_middle() {
    let (proxy, server) = (Proxy::start(), Server::named("up"));
    let demand = OnDemand::new(place(&proxy));
    proxy.put(on_demand(&demand, &[]));
    let http = proxy.http;
    let client = thread::spawn(move || Http::new(TcpStream::connect(http).unwrap()).get("/"));
    until_held(&proxy, 1);
    let waker = Waker::at(place(&proxy));
    drop(waker.question());
    let question = waker.question();
    proxy.put(on_demand(&demand, &[&server]));
    question.answer(Woken::Done);
    assert_eq!(client.join().unwrap().status, 200);
}

#[test]
fn a_failure_is_told_to_all_who_wait_and_is_not_tried_again_at_once() {
    let proxy = Proxy::start();
    let waker = Waker::at(place(&proxy));
    proxy.put(on_demand(&OnDemand::new(waker.socket.clone()), &[]));
    let clients: Vec<_> = (0..5)
        .map(|_| {
            let http = proxy.http;
            thread::spawn(move || Http::new(TcpStream::connect(http).unwrap()).get("/"))
        })
        .collect();
    let question = waker.question();
    until_held(&proxy, 5);
    question.answer(Woken::Failed);
    for client in clients {
        let reply = client.join().unwrap();
        assert_eq!(reply.status, 503);
        assert!(reply.text().contains("could not be started"), "{}", reply.text());
    }
    assert_eq!(proxy.get("/").status, 503);
    assert!(waker.questions.try_recv().is_err(), "it was asked again at once");
}

#[test]
fn a_browser_gets_a_page_that_asks_again_and_others_wait_to_the_deadline() {
    let (proxy, server) = (Proxy::start(), Server::named("up"));
    let waker = Waker::at(place(&proxy));
    let demand = OnDemand { patience_ms: 100, deadline_ms: 400, ..OnDemand::new(waker.socket.clone()) };
    proxy.put(on_demand(&demand, &[]));
    let begun = Instant::now();
    let mut browser = proxy.connect();
    browser.send("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*\r\n\r\n");
    let page = browser.reply();
    assert!(begun.elapsed() < Duration::from_millis(390), "{:?}", begun.elapsed());
    assert_eq!(
        (page.status, page.header("refresh"), page.header("retry-after")),
        (503, Some("2"), Some("2"))
    );
    let begun = Instant::now();
    let program = proxy.get("/");
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    assert_eq!(
        (program.status, program.header("refresh"), program.header("retry-after")),
        (503, None, Some("2"))
    );
    // What they asked for goes on without them.
    proxy.put(on_demand(&demand, &[&server]));
    waker.question().answer(Woken::Done);
    browser.send("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*\r\n\r\n");
    assert_eq!(browser.reply().status, 200);
}

#[test]
fn the_queue_is_bounded() {
    let (proxy, server) = (Proxy::start(), Server::named("up"));
    let waker = Waker::at(place(&proxy));
    let demand = OnDemand { queue: 2, ..OnDemand::new(waker.socket.clone()) };
    proxy.put(on_demand(&demand, &[]));
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let http = proxy.http;
            thread::spawn(move || Http::new(TcpStream::connect(http).unwrap()).get("/"))
        })
        .collect();
    until_held(&proxy, 2);
    let crowded = proxy.get("/");
    assert_eq!((crowded.status, crowded.header("retry-after")), (503, Some("5")));
    proxy.put(on_demand(&demand, &[&server]));
    waker.question().answer(Woken::Done);
    for client in clients {
        assert_eq!(client.join().unwrap().status, 200);
    }
}

#[test]
fn traffic_is_counted_and_what_left_the_table_busy_is_told() {
    let proxy = Proxy::start();
    let (entered, is_in) = mpsc::channel();
    let (let_go, may_go) = mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let server = Server::start(move |_, stream| {
        entered.send(()).unwrap();
        may_go.lock().unwrap().recv().unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let demand = OnDemand::new(place(&proxy));
    proxy.put(on_demand(&demand, &[&server]));
    let http = proxy.http;
    let client = thread::spawn(move || Http::new(TcpStream::connect(http).unwrap()).get("/"));
    is_in.recv_timeout(PATIENCE).unwrap();
    proxy.put(on_demand(&demand, &[]));
    let busy = status(&proxy);
    assert_eq!((busy.on_demand["a"].requests, busy.on_demand["a"].in_flight), (1, 1));
    assert_eq!(busy.leaving, std::slice::from_ref(&server.id));
    let_go.send(()).unwrap();
    assert_eq!(client.join().unwrap().status, 200);
    let deadline = Instant::now() + PATIENCE;
    while !status(&proxy).leaving.is_empty() {
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn a_proxy_that_was_woken_and_starts_again_finds_the_upstreams() {
    let (proxy, server) = (Proxy::start(), Server::named("up"));
    let demand = OnDemand::new(place(&proxy));
    proxy.put(on_demand(&demand, &[]));
    proxy.put(on_demand(&demand, &[&server]));
    let root = proxy.stop();
    let again = Running::start(options(root.path()), Limits::default()).unwrap();
    assert_eq!(Http::new(TcpStream::connect(again.http()).unwrap()).get("/").text(), "up / 0");
    again.stop().unwrap();
}

/// A place in the queue belongs to somebody who waits.
#[test]
fn whoever_leaves_makes_room_for_another() {
    let (proxy, server) = (Proxy::start(), Server::named("up"));
    let waker = Waker::at(place(&proxy));
    let demand = OnDemand { queue: 1, ..OnDemand::new(waker.socket.clone()) };
    proxy.put(on_demand(&demand, &[]));
    let ask = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let mut first = proxy.connect();
    first.send(ask);
    until_held(&proxy, 1);
    // What it sends while it waits is not taken for its end, and is not lost.
    first.send("he");
    let mut second = proxy.connect();
    second.send(ask);
    assert_eq!(second.reply().status, 503);
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    while status(&proxy).on_demand["a"].in_flight > 0 {
        assert!(Instant::now() < deadline, "it keeps its place");
        thread::yield_now();
    }
    let mut third = proxy.connect();
    third.send(ask);
    third.send("he");
    until_held(&proxy, 1);
    third.send("llo");
    proxy.put(on_demand(&demand, &[&server]));
    assert_eq!((third.reply().status, server.requests.load(std::sync::atomic::Ordering::SeqCst)), (200, 1));
}
