// SPDX-License-Identifier: Apache-2.0
//! How requests are put to the request filter. Here a small server speaks for it, whose pace the tests set; the real one
//! is asked end to end.

use super::harness::*;
use hop3_core::layout::Layout;
use hop3_core::policy::{Policy, Waf, WafMode};
use hop3_core::route::Service;
use hop3_core::waf::{self, Answer};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// More than the filter looks at together.
const FLOOD: usize = 60;
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything passes, but nobody is told before the test says so: it gets host and connection of each question.
fn filter(proxy: &Proxy) -> Receiver<(String, UnixStream)> {
    let layout = Layout::new(proxy.root.path());
    std::fs::create_dir_all(layout.run_of("waf")).unwrap();
    let listener = UnixListener::bind(layout.waf_socket()).unwrap();
    let (send, questions) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut start = [0; waf::LENGTHS];
            stream.read_exact(&mut start).unwrap();
            let mut question = vec![0; waf::lengths(start).unwrap().iter().sum()];
            stream.read_exact(&mut question).unwrap();
            let question = String::from_utf8(question).unwrap();
            let host = question.split("Host: ").nth(1).unwrap().lines().next().unwrap().to_owned();
            if send.send((host, stream)).is_err() {
                return;
            }
        }
    });
    questions
}

fn filtered(host: &str, server: &Server) -> Service {
    let waf = Waf { mode: WafMode::Block, paranoia: 1, except: Vec::new(), without: Vec::new() };
    let policy = Policy { waf: Some(waf), ..Policy::default() };
    Service { policy: Some(policy.into()), ..service(host, &[server]) }
}

fn visit(proxy: &Proxy, host: &str) -> Http {
    let mut client = proxy.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client
}

#[test]
fn a_flood_of_one_app_leaves_room_for_the_questions_of_others() {
    let server = Server::start(|_, stream| write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let proxy = Proxy::start();
    let questions = filter(&proxy);
    for host in ["a", "b"] {
        proxy.put(filtered(host, &server));
    }
    let mut flood: Vec<_> = (0..FLOOD).map(|_| visit(&proxy, "a")).collect();
    let mut waiting: Vec<_> = (0..AT_ONCE).map(|_| questions.recv_timeout(PATIENCE).unwrap()).collect();
    // Changes of the app make no more room.
    proxy.put(filtered("a", &server));
    let mut other = visit(&proxy, "b");
    let (host, mut stream) = questions.recv_timeout(PATIENCE).unwrap();
    assert_eq!(host, "b");
    stream.write_all(&Answer::default().bytes()).unwrap();
    assert_eq!(other.reply().status, 200);
    // All of the flood get their turn.
    for _ in 0..FLOOD {
        let (_, mut stream) = waiting.pop().unwrap_or_else(|| questions.recv_timeout(PATIENCE).unwrap());
        stream.write_all(&Answer::default().bytes()).unwrap();
    }
    assert!(flood.iter_mut().all(|client| client.reply().status == 200));
}
