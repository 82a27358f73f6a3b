// SPDX-License-Identifier: Apache-2.0
//! The table changes under load and no request fails: the product's first promise.

use super::harness::*;
use crate::control::{Answer, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

#[test]
fn two_hundred_releases_under_load_drop_nothing() {
    let proxy = Arc::new(Proxy::start());
    let mut old = Server::named("release 0");
    proxy.route(&[&old]);
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|kind| {
            let (proxy, stop, served) = (proxy.clone(), stop.clone(), served.clone());
            thread::spawn(move || load(&proxy, kind, &stop, &served))
        })
        .collect();
    for release in 1..=200 {
        let new = Server::named(&format!("release {release}"));
        proxy.route(&[&new]);
        let drained = proxy.drain(std::slice::from_ref(&old.id), Duration::from_secs(5));
        assert!(matches!(drained, Answer::Drained(d) if d.cut == 0), "{drained:?}");
        // From here on the old release is gone: whoever still goes there fails.
        old.refuse();
        let before = old.requests.load(SeqCst);
        let reply = proxy.get("/");
        assert_eq!(reply.text(), format!("release {release} / 0"));
        assert_eq!(old.requests.load(SeqCst), before);
        old = new;
    }
    stop.store(true, SeqCst);
    let failures: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert!(failures.is_empty(), "of {} requests: {failures:?}", served.load(SeqCst));
    assert!(served.load(SeqCst) > 200, "{}", served.load(SeqCst));
}

/// Requests until told to stop, on kept connections (even kinds) or new ones; tells what failed.
fn load(proxy: &Proxy, kind: usize, stop: &AtomicBool, served: &AtomicUsize) -> Vec<String> {
    let mut failures = Vec::new();
    let mut client = proxy.connect();
    while !stop.load(SeqCst) {
        if kind % 2 == 1 {
            client = proxy.connect();
        }
        match kind {
            0 | 1 => client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            _ => client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"),
        }
        match client.try_reply() {
            Ok(reply) if reply.status == 200 && reply.text().starts_with("release ") => {
                served.fetch_add(1, SeqCst);
            }
            other => failures.push(format!("{other:?}")),
        }
    }
    failures
}

#[test]
fn a_change_answers_at_once_among_ten_thousand_hosts() {
    let (proxy, one, two) = (Proxy::start(), Server::named("one"), Server::named("two"));
    let services = (0..10_000).map(|i| service(&format!("h{i}.example.org"), &[&one])).collect();
    assert!(matches!(proxy.ask(&table(services)), Answer::Done));
    let mut client = proxy.connect();
    for (i, server) in [(77, &two), (9_999, &two), (77, &one)] {
        proxy.put(service(&format!("h{i}.example.org"), &[server]));
        client.send(format!("GET / HTTP/1.1\r\nHost: h{i}.example.org\r\n\r\n"));
        let name = if server.id == one.id { "one" } else { "two" };
        assert_eq!(client.reply().text(), format!("{name} / 0"));
    }
    let Answer::Status(status) = proxy.ask(&Request::Status) else { panic!("no status") };
    assert_eq!(status.services, 10_000);
}
