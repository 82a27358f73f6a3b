// SPDX-License-Identifier: Apache-2.0
//! Answers kept in memory: who gets them, who does not, and that many who want the same make one request of it.

use super::harness::*;
use hop3_core::policy::{BasicAuth, Cache, Compression, HeaderChange, PasswordHash, Policy, Rewrite};
use hop3_core::route::Service;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};

fn cache() -> Policy {
    let cache = Cache { on: true, max_size: 1 << 20, max_entry_size: 50_000, purged: 0 };
    Policy { cache: Some(cache), ..Policy::default() }
}

fn put(proxy: &Proxy, server: &Server, policy: Policy) {
    proxy.put(Service { policy: Some(policy.into()), ..service("a", &[server]) });
}

/// Answers `/LINE;LINE` with those header lines, and a body that counts its requests.
fn counting() -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |seen, stream| {
        let lines = seen.path().trim_start_matches('/').split('?').next().unwrap();
        let lines = lines.replace(';', "\r\n").replace('=', ": ").replace('~', "=").replace('+', " ");
        let number = count.fetch_add(1, SeqCst) + 1;
        let language = header(&seen.head, "accept-language").unwrap_or("");
        let body = format!("{number} {language} {}", "text ".repeat(500));
        let length = if seen.head.starts_with("HEAD") { String::new() } else { body.clone() };
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"v{number}\"\r\n{lines}\r\nContent-Length: {}\r\n\r\n{length}",
            body.len()
        )
    })
}

fn ask(proxy: &Proxy, path: &str, headers: &str) -> Reply {
    let mut client = proxy.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
    client.reply()
}

/// The number of the request to the upstream that an answer came from.
fn number(reply: &Reply) -> u32 {
    reply.text().split(' ').next().unwrap().parse().unwrap()
}

const FRESH: &str = "/Cache-Control=max-age~60";

#[test]
fn a_fresh_answer_is_given_again() {
    let (proxy, server) = (Proxy::start(), counting());
    put(&proxy, &server, cache());
    let first = ask(&proxy, FRESH, "");
    assert_eq!((first.status, first.header("cache-status")), (200, None));
    let again = ask(&proxy, FRESH, "");
    assert_eq!((again.body == first.body, again.header("cache-status")), (true, Some("hop3; hit")));
    assert_eq!((again.header("age"), again.header("etag")), (Some("0"), Some("\"v1\"")));
    assert_eq!(again.head.matches("Date").count(), 1);
    let known = ask(&proxy, FRESH, "If-None-Match: \"x\", W/\"v1\"\r\n");
    assert_eq!((known.status, known.body.len()), (304, 0));
    let mut client = proxy.connect();
    client.send(format!("HEAD {FRESH} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let head = client.read_head().unwrap().unwrap();
    assert_eq!(header(&head, "content-length"), Some(first.body.len().to_string().as_str()));
    assert_eq!(client.get(FRESH).body, first.body);
    assert_eq!(server.requests.load(SeqCst), 1);
    // Another query is another address.
    assert_eq!(number(&ask(&proxy, &format!("{FRESH}?x"), "")), 2);
}

#[test]
fn a_request_with_as_many_headers_as_may_be_is_seen_whole() {
    let (proxy, server) = (Proxy::start(), counting());
    put(&proxy, &server, cache());
    let private = format!("Authorization: Bearer x\r\n{}", "X: 1\r\n".repeat(crate::MAX_HEADERS - 2));
    assert_eq!([1, 2].map(|_| number(&ask(&proxy, FRESH, &private))), [1, 2]);
    let anybody = "X: 1\r\n".repeat(crate::MAX_HEADERS - 1);
    assert_eq!([1, 2].map(|_| number(&ask(&proxy, FRESH, &anybody))), [3, 3]);
}

#[test]
fn a_cookie_that_is_no_text_is_somebodys_own_too() {
    let server = Server::start(|_, stream| {
        let head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nSet-Cookie: a=\xff\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head)
    });
    let proxy = Proxy::start();
    put(&proxy, &server, cache());
    for asked in 1..=2 {
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        client.stream().read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert_eq!(server.requests.load(SeqCst), asked);
    }
}

#[test]
fn answers_that_may_be_private_are_asked_for_each_time() {
    let (proxy, server) = (Proxy::start(), counting());
    put(&proxy, &server, cache());
    let table = [
        ("/X=1", ""),
        ("/Cache-Control=max-age~60,private", ""),
        ("/Cache-Control=no-store,max-age~60", ""),
        ("/Cache-Control=max-age~60;Set-Cookie=a~b", ""),
        ("/Cache-Control=max-age~60;Vary=*", ""),
        ("/Cache-Control=max-age~60?a", "Authorization: Bearer x\r\n"),
        ("/Cache-Control=max-age~60?b", "Cookie: session=1\r\n"),
        ("/Cache-Control=max-age~60?c", "Cache-Control: no-cache\r\n"),
        ("/Cache-Control=max-age~60?d", "Range: bytes=0-1\r\n"),
    ];
    for (path, headers) in table {
        let (first, second) = (ask(&proxy, path, headers), ask(&proxy, path, headers));
        assert_ne!(number(&first), number(&second), "{path} {headers}");
        assert_eq!(second.header("cache-status"), None);
    }
    // What was kept for all is not for one who brings a cookie, unless it is public.
    let kept = number(&ask(&proxy, FRESH, ""));
    assert_ne!(number(&ask(&proxy, FRESH, "Cookie: a=b\r\n")), kept);
    let public = "/Cache-Control=public,max-age~60";
    let kept = number(&ask(&proxy, public, "Cookie: a=b\r\n"));
    assert_eq!(number(&ask(&proxy, public, "Cookie: c=d\r\n")), kept);
    // What is sent is never kept or given.
    let mut client = proxy.connect();
    client.send(format!("POST {FRESH} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(client.reply().header("cache-status"), None);
}

#[test]
fn answers_differ_by_what_vary_names_and_by_coding() {
    let (proxy, server) = (Proxy::start(), counting());
    put(&proxy, &server, Policy { compression: Some(Compression { on: true, min_size: 100 }), ..cache() });
    let path = "/Cache-Control=max-age~60;Vary=Accept-Language";
    let language = |language: &str| number(&ask(&proxy, path, &format!("Accept-Language: {language}\r\n")));
    assert_eq!((language("de"), language("en"), language("de"), language("en")), (1, 2, 1, 2));
    let coded = |coding: &str| ask(&proxy, FRESH, &format!("Accept-Encoding: {coding}\r\n"));
    for _ in 0..2 {
        assert_eq!(coded("gzip").header("content-encoding"), Some("gzip"));
        assert_eq!(zstd::decode_all(&coded("zstd").body[..]).unwrap().len(), 2503);
        assert_eq!(coded("identity").header("content-encoding"), None);
    }
    assert_eq!(coded("gzip").header("cache-status"), Some("hop3; hit"));
    assert_eq!(server.requests.load(SeqCst), 5);
}

#[test]
fn what_is_kept_is_behind_the_same_gates() {
    let (proxy, server) = (Proxy::start(), counting());
    let users = BTreeMap::from([("ada".to_owned(), PasswordHash::of("correct horse").unwrap())]);
    let auth = BasicAuth { on: true, realm: "x".into(), users, except: Vec::new() };
    let set = BTreeMap::from([("X-Extra".to_owned(), "1".to_owned())]);
    let response_headers = HeaderChange { set, remove: Vec::new() };
    let rewrites = vec![Rewrite { from: "/in/*".parse().unwrap(), to: "/*".parse().unwrap() }];
    put(&proxy, &server, Policy { basic_auth: Some(auth), response_headers, rewrites, ..cache() });
    let right = "Authorization: Basic YWRhOmNvcnJlY3QgaG9yc2U=\r\n";
    let path = format!("/in{FRESH}");
    for hit in [None, Some("hop3; hit")] {
        let reply = ask(&proxy, &path, right);
        assert_eq!((reply.header("cache-status"), reply.header("x-extra")), (hit, Some("1")));
        assert_eq!(reply.head.matches("X-Extra").count(), 1);
    }
    assert_eq!(ask(&proxy, &path, "").status, 401);
}

#[test]
fn a_purge_a_change_and_size_forget() {
    let (proxy, server) = (Proxy::start(), counting());
    put(&proxy, &server, cache());
    assert_eq!(number(&ask(&proxy, FRESH, "")), 1);
    // The same policy again, with other instances for example, forgets nothing.
    let other = counting();
    proxy.put(Service { policy: Some(cache().into()), ..service("a", &[&server, &other]) });
    assert_eq!(number(&ask(&proxy, FRESH, "")), 1);
    let purged = Policy { cache: cache().cache.map(|cache| Cache { purged: 1, ..cache }), ..cache() };
    put(&proxy, &server, purged);
    assert_eq!(number(&ask(&proxy, FRESH, "")), 2);
    let small =
        Policy { cache: cache().cache.map(|cache| Cache { max_entry_size: 100, ..cache }), ..cache() };
    put(&proxy, &server, small);
    assert_eq!((number(&ask(&proxy, FRESH, "")), number(&ask(&proxy, FRESH, ""))), (3, 4));
}

/// Holds the upstream's answer until the others have come.
#[test]
fn many_who_want_the_same_ask_once() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let opened = gate.clone();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start(move |_, stream| {
        count.fetch_add(1, SeqCst);
        let mut is_open = opened.0.lock().unwrap();
        while !*is_open {
            is_open = opened.1.wait(is_open).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok")
    });
    let proxy = Proxy::start();
    put(&proxy, &server, cache());
    let mut clients: Vec<Http> = (0..30).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    // All of them are in the proxy when a request on each thread, sent later, has been answered.
    for _ in 0..20 {
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: unknown\r\n\r\n");
        assert_eq!(client.reply().status, 404);
    }
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for client in &mut clients {
        assert_eq!(client.reply().text(), "ok");
    }
    assert_eq!(asked.load(SeqCst), 1);
}

/// A first asker that fails holds nobody back.
#[test]
fn those_who_wait_go_on_when_the_first_fails() {
    let (count, ready) = (AtomicUsize::new(0), Arc::new((Mutex::new(false), Condvar::new())));
    let opened = ready.clone();
    let server = Server::start(move |_, stream| {
        if count.fetch_add(1, SeqCst) == 0 {
            let mut is_open = opened.0.lock().unwrap();
            while !*is_open {
                is_open = opened.1.wait(is_open).unwrap();
            }
            stream.write_all(
                b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 20\r\n\r\nhalf",
            )?;
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok")
    });
    let proxy = Proxy::start();
    put(&proxy, &server, cache());
    let mut clients: Vec<Http> = (0..10).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    *ready.0.lock().unwrap() = true;
    ready.1.notify_all();
    let whole =
        clients.iter_mut().filter_map(|client| client.try_reply().ok()).filter(|reply| reply.is_whole);
    assert_eq!(whole.filter(|reply| reply.text() == "ok").count(), 9);
}
