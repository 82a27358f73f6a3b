// SPDX-License-Identifier: Apache-2.0
//! Request smuggling, tried against real servers behind the proxy: whatever an attacker sends, the proxy and the server
//! agree where a request ends, and no other visitor gets an answer that is not his.
//!
//! Every server answers with the path it was asked for. After each attack visitors ask for paths of their own over the
//! same connections to the server; a server that had read a request where the proxy saw none would answer them with its.

use super::corpus::{self, Case};
use super::harness::*;
use super::product::Product;
use hop3_core::route::{Address, Pool, Timeouts, Upstream};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How a server is started: its files in a directory, and its command line. `PORT` and `HOME` are replaced.
struct Recipe {
    name: &'static str,
    file: (&'static str, &'static str),
    command: &'static [&'static str],
}

const RECIPES: [Recipe; 4] = [
    Recipe {
        name: "nginx",
        file: (
            "nginx.conf",
            "daemon off; master_process off; pid HOME/pid; error_log HOME/log; events {}\n\
             http { access_log off; client_body_temp_path HOME/a; proxy_temp_path HOME/b; fastcgi_temp_path HOME/c;\n\
             uwsgi_temp_path HOME/d; scgi_temp_path HOME/e; keepalive_requests 100000;\n\
             server { listen 127.0.0.1:PORT; location / { return 200 $request_uri; } } }",
        ),
        command: &["nginx", "-p", "HOME", "-e", "HOME/log", "-c", "HOME/nginx.conf"],
    },
    Recipe {
        name: "haproxy",
        file: (
            "haproxy.cfg",
            "global\n  maxconn 100\ndefaults\n  mode http\n  timeout client 60s\n  timeout http-request 60s\n\
             frontend f\n  bind 127.0.0.1:PORT\n\
             \x20 http-request return status 200 content-type text/plain lf-string \"%[path]\"\n",
        ),
        command: &["haproxy", "-f", "HOME/haproxy.cfg"],
    },
    Recipe {
        name: "node",
        file: (
            "server.js",
            "require('http').createServer((q, s) => { q.resume(); q.on('end', () => s.end(q.url)) })\n\
             .on('clientError', (e, s) => s.destroy()).listen(PORT, '127.0.0.1')",
        ),
        command: &["node", "HOME/server.js"],
    },
    Recipe {
        name: "puma",
        file: ("config.ru", "run ->(env) { env['rack.input'].read; [200, {}, [env['REQUEST_PATH']]] }"),
        command: &["puma", "--quiet", "--dir", "HOME", "--bind", "tcp://127.0.0.1:PORT", "HOME/config.ru"],
    },
];

impl Recipe {
    fn start(&self) -> Option<Product> {
        Product::start(self.file, self.command)
    }
}

fn route(proxy: &Proxy, server: &Product) {
    let upstreams = vec![Upstream { id: "real".into(), address: Address::Tcp(server.address) }];
    proxy.put(pool("a", Pool { upstreams, timeouts: Timeouts::default(), ..Pool::default() }));
}

/// Sends everything, says that no more comes, and reads to the end.
fn attack(proxy: &Proxy, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxy.http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The proxy may have refused and closed before it has taken all of it.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Visitors on two connections; each must get his own path.
fn visit(proxy: &Proxy, visitors: &mut [Http; 2], number: usize, case: &str) {
    for (i, visitor) in visitors.iter_mut().enumerate() {
        let path = format!("/visitor-{number}-{i}");
        visitor.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let reply = visitor.reply();
        assert_eq!((reply.status, reply.text()), (200, path.as_str()), "after {case}");
        if reply.header("connection") == Some("close") {
            *visitor = proxy.connect();
        }
    }
}

fn statuses(answer: &str) -> Vec<u16> {
    let heads = answer.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].parse().unwrap()).collect()
}

fn try_all(server: &str, cases: &[Case]) {
    let recipe = RECIPES.iter().find(|recipe| recipe.name == server).unwrap();
    let Some(echo) = recipe.start() else { return };
    let proxy = Proxy::start();
    route(&proxy, &echo);
    let mut visitors = [proxy.connect(), proxy.connect()];
    for (number, case) in cases.iter().enumerate() {
        let answer = attack(&proxy, &case.bytes);
        assert_eq!(statuses(&answer), [case.status], "{}: {answer}", case.text);
        assert!(!answer.contains("/smuggled"), "{}: {answer}", case.text);
        visit(&proxy, &mut visitors, number, case.text);
    }
}

fn all() -> Vec<Case> {
    let mut cases = corpus::heads();
    cases.extend(corpus::bodies());
    assert!(cases.len() >= 250, "only {}", cases.len());
    cases
}

#[test]
fn nginx_behind_the_proxy_reads_no_request_that_the_proxy_did_not() {
    try_all("nginx", &all());
}

#[test]
fn haproxy_behind_the_proxy_reads_no_request_that_the_proxy_did_not() {
    try_all("haproxy", &all());
}

#[test]
fn node_behind_the_proxy_reads_no_request_that_the_proxy_did_not() {
    try_all("node", &all());
}

#[test]
fn puma_behind_the_proxy_reads_no_request_that_the_proxy_did_not() {
    try_all("puma", &all());
}

/// What is allowed and often misread: the number of answers is the number of requests, and each is for its own path.
#[test]
fn requests_that_are_allowed_and_unusual_end_where_they_say() {
    const CASES: &[(&str, &[&str])] = &[
        ("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", &["/1", "/2"]),
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["/1", "/2"],
        ),
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: \t5 \r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["/1", "/2"],
        ),
        (
            "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nX: y\r\n",
            &["/1"],
        ),
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\nhello\r\n000\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["/1", "/2"],
        ),
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\nHost: b\r\nTransfer-Encoding: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["/1", "/2"],
        ),
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["/1", "/2"],
        ),
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["/1", "/2"],
        ),
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["/1", "/2"],
        ),
        (
            "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["/1", "/2"],
        ),
        (
            "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["/1", "/2"],
        ),
        ("GET http://a/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", &["/1", "/2"]),
    ];
    for server in ["nginx", "node"] {
        let recipe = RECIPES.iter().find(|recipe| recipe.name == server).unwrap();
        let Some(echo) = recipe.start() else { continue };
        let proxy = Proxy::start();
        route(&proxy, &echo);
        let mut visitors = [proxy.connect(), proxy.connect()];
        for (number, (bytes, paths)) in CASES.iter().enumerate() {
            let mut client = proxy.connect();
            client.send(bytes);
            for path in *paths {
                let reply = client.reply();
                assert_eq!((reply.status, reply.text()), (200, *path), "{server}: {bytes:?}");
            }
            visit(&proxy, &mut visitors, number, bytes);
        }
    }
}
