// SPDX-License-Identifier: Apache-2.0
//! Requests find their upstream and come back: keep-alive, pipelining, routing, balancing, pages, limits.

use super::harness::*;
use crate::Limits;
use crate::control::{Answer, Request};
use hop3_core::policy::{Policy, Rewrite};
use hop3_core::route::{Address, Host, Mount, Page, Pool, Route, Service, Target, Upstream};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[test]
fn connections_are_kept_on_both_sides() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    for i in 0..20 {
        let reply = client.get(&format!("/{i}"));
        assert_eq!((reply.status, reply.text()), (200, format!("one /{i} 0").as_str()));
    }
    assert_eq!(server.connections.load(SeqCst), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    let mut requests = String::new();
    for i in 0..10 {
        requests += &format!("POST /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: {i}\r\n\r\n{}", "x".repeat(i));
        requests += &format!(
            "POST /c{i} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
    }
    client.send(&requests);
    for i in 0..10 {
        assert_eq!(client.reply().text(), format!("one /{i} {i}"));
        assert_eq!(client.reply().text(), format!("one /c{i} 3"));
    }
}

#[test]
fn http10_and_head_requests_are_served() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().header("connection"), Some("close"));
    assert!(client.is_closed());
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.reply().header("connection"), Some("keep-alive"));
    client.send("GET /again HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().text(), "one /again 0");
    let head_only =
        Server::start(|_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"));
    proxy.route(&[&head_only]);
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(header(&client.read_head().unwrap().unwrap(), "content-length"), Some("9"));
    }
}

#[test]
fn hosts_and_paths_are_routed() {
    let proxy = Proxy::start();
    let (front, api, wild) = (Server::named("front"), Server::named("api"), Server::named("wild"));
    let target = |server: &Server| {
        Target::Upstreams(Pool {
            upstreams: vec![server.upstream()],
            timeouts: timeouts(),
            ..Pool::default()
        })
    };
    proxy.put(Service {
        name: "shop".into(),
        hosts: vec![Host("Shop.example.org".into()), Host("localhost".into())],
        routes: vec![
            Route { prefix: "/".into(), target: target(&front) },
            Route { prefix: "/api/".into(), target: target(&api) },
        ],
        ..Service::default()
    });
    proxy.put(service("*.example.org", &[&wild]));
    let ask = |host: &str, path: &str| {
        let mut client = proxy.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let reply = client.reply();
        format!("{} {}", reply.status, reply.text().split([' ', '\n']).next().unwrap())
    };
    assert_eq!(ask("shop.example.org", "/"), "200 front");
    assert_eq!(ask("SHOP.example.ORG.:8080", "/apix"), "200 front");
    assert_eq!(ask("shop.example.org", "/api"), "200 api");
    assert_eq!(ask("shop.example.org", "/api/x?y=/z"), "200 api");
    assert_eq!(ask("shop.example.org", "/?/api/"), "200 front");
    assert_eq!(ask("localhost:1234", "/"), "200 front");
    assert_eq!(ask("other.example.org", "/"), "200 wild");
    assert_eq!(ask("a.b.example.org", "/"), "404 404");
    assert_eq!(ask("example.org", "/"), "404 404");
    assert_eq!(ask(".example.org", "/"), "404 404");
    proxy.ask(&Request::Remove { name: "shop".into() });
    assert_eq!(ask("shop.example.org", "/"), "200 wild");
    assert_eq!(ask("localhost", "/"), "404 404");
}

#[test]
fn load_is_spread_over_the_upstreams() {
    let proxy = Proxy::start();
    let servers = [Server::named("a"), Server::named("b"), Server::named("c")];
    proxy.route(&[&servers[0], &servers[1], &servers[2]]);
    for _ in 0..30 {
        assert_eq!(proxy.get("/").status, 200);
    }
    for server in &servers {
        assert!(server.requests.load(SeqCst) >= 5, "one was left out");
    }
}

#[test]
fn pages_tell_what_is_the_matter_in_the_form_the_client_prefers() {
    let proxy = Proxy::start();
    proxy.put(one_route("stopped", Target::Page(Page::Stopped)));
    proxy.put(one_route("new", Target::Page(Page::NotDeployed)));
    proxy.put(service("starting", &[]));
    let mut client = proxy.connect();
    let mut ask = |host: &str, accept: &str| {
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n"));
        client.reply()
    };
    assert_eq!(ask("nowhere", "*/*").text().lines().next(), Some("404 There is nothing at this address"));
    let reply = ask("stopped", "application/json");
    assert_eq!((reply.status, reply.header("content-type")), (503, Some("application/json")));
    assert!(reply.text().contains("\"code\":\"proxy.stopped\""), "{}", reply.text());
    assert_eq!(reply.header("retry-after"), Some("30"));
    let reply = ask("new", "text/html,application/xhtml+xml,*/*;q=0.8");
    assert!(reply.text().contains("<h1>Not deployed yet</h1>"));
    assert_eq!(ask("starting", "").header("retry-after"), Some("2"));
}

#[test]
fn an_upstream_may_listen_on_a_unix_socket() {
    let proxy = Proxy::start();
    let path = proxy.root.path().join("up.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut buffer = [0; 1000];
            let count = stream.read(&mut buffer).unwrap();
            assert!(buffer[..count].starts_with(b"GET /x HTTP/1.1\r\nHost: a\r\n"));
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nunix").unwrap();
        }
    });
    let upstreams = vec![Upstream { id: "unix".into(), address: Address::Unix(path) }];
    proxy.put(pool("a", Pool { upstreams, timeouts: timeouts(), ..Pool::default() }));
    assert_eq!(proxy.get("/x").text(), "unix");
}

#[test]
fn a_refused_request_ends_its_connection() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("connection")), (400, Some("close")));
    assert!(client.is_closed());
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_eq!(client.reply().status, 400);
    assert!(client.is_closed());
    assert_eq!(server.requests.load(SeqCst), 0);
}

#[test]
fn a_head_that_comes_in_pieces_is_read_and_one_that_takes_too_long_is_not() {
    let limits = Limits { head_timeout: Duration::from_millis(300), ..Limits::default() };
    let (proxy, server) = (Proxy::with(limits), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    for byte in b"GET /slowly HTTP/1.1\r\nHost: a\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.reply().text(), "one /slowly 0");
    client.send("GET / HTTP/1.1\r\nHo");
    assert_eq!(client.reply().status, 408);
    assert!(client.is_closed());
}

#[test]
fn an_idle_connection_is_closed_after_a_while() {
    let limits = Limits { idle_timeout: Duration::from_millis(200), ..Limits::default() };
    let (proxy, server) = (Proxy::with(limits), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    assert_eq!(client.get("/").status, 200);
    assert!(client.is_closed());
}

#[test]
fn figures_are_kept() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    for _ in 0..5 {
        client.get("/");
    }
    proxy.put(service("b", &[&server]));
    let Answer::Status(status) = proxy.ask(&Request::Status) else { panic!("no status") };
    assert_eq!((status.services, status.requests, status.unhealthy.len()), (2, 5, 0));
}

#[test]
fn a_second_proxy_for_the_same_root_is_told_so() {
    let proxy = Proxy::start();
    let error = crate::run(options(proxy.root.path())).unwrap_err();
    assert!(error.is::<crate::AlreadyRunning>(), "{error}");
}

#[test]
fn a_path_of_a_host_goes_to_a_service_of_its_own() {
    let proxy = Proxy::start();
    let (web, api, deep) = (Server::named("web"), Server::named("api"), Server::named("deep"));
    let mount = |host: &str, prefix: &str| Mount { host: Host(host.into()), prefix: prefix.into() };
    proxy.put(service("a", &[&web]));
    let api_mounts = vec![mount("A", "/api"), mount("*.example.org", "/api")];
    let rewrites = vec![Rewrite { from: "/api/*".parse().unwrap(), to: "/*".parse().unwrap() }];
    let policy = Policy { rewrites, ..Policy::default() };
    let of_api =
        Service { mounts: api_mounts, policy: Some(policy.into()), ..service("api.internal", &[&api]) };
    proxy.put(of_api.clone());
    proxy.put(Service { mounts: vec![mount("a", "/api/deep/")], ..service("deep.internal", &[&deep]) });
    let ask = |host: &str, path: &str| {
        let mut client = proxy.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let reply = client.reply();
        format!("{} {}", reply.status, reply.text().lines().next().unwrap())
    };
    assert_eq!(ask("a", "/"), "200 web / 0");
    assert_eq!(ask("a", "/apix"), "200 web /apix 0");
    assert_eq!(ask("a:80", "/api?x"), "200 api /?x 0");
    assert_eq!(ask("a", "/api/x"), "200 api /x 0");
    assert_eq!(ask("a", "/api/deep/x"), "200 deep /api/deep/x 0");
    assert_eq!(ask("x.example.org", "/api/x"), "200 api /x 0");
    assert_eq!(ask("x.example.org", "/"), "404 404 There is nothing at this address");
    proxy.put(Service { mounts: Vec::new(), ..of_api });
    assert_eq!(ask("a", "/api/x"), "200 web /api/x 0");
    assert_eq!(ask("a", "/api/deep"), "200 deep /api/deep 0");
    assert!(matches!(proxy.ask(&Request::Remove { name: "deep.internal".into() }), Answer::Done));
    assert_eq!(ask("a", "/api/deep"), "200 web /api/deep 0");
}
