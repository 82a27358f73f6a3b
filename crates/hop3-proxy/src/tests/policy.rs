// SPDX-License-Identifier: Apache-2.0
//! Policies on real requests: who may come in, where requests are sent, what the upstream sees, what is limited.

use super::harness::*;
use hop3_core::policy::{
    BasicAuth, HeaderChange, Hsts, Maintenance, PasswordHash, Pause, Per, Policy, RateKey, RateLimit,
};
use hop3_core::policy::{Redirect, Rewrite};
use hop3_core::route::Https;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;

/// A server that tells the head it saw, behind a proxy with that policy.
fn behind(policy: Policy) -> (Proxy, Server) {
    let server = Server::start(|seen, stream| {
        let text = format!("{}|{}", seen.head, seen.body.len());
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
    });
    let proxy = Proxy::start();
    put(&proxy, &server, policy);
    (proxy, server)
}

fn put(proxy: &Proxy, server: &Server, policy: Policy) {
    let pages = Some(proxy.root.path().to_owned());
    proxy.put(hop3_core::route::Service { policy: Some(policy.into()), pages, ..service("a", &[server]) });
}

fn ask(proxy: &Proxy, path: &str, headers: &str) -> Reply {
    let mut client = proxy.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
    client.reply()
}

fn nets(texts: &[&str]) -> Vec<hop3_core::policy::Net> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn ada() -> Policy {
    let users = BTreeMap::from([("ada".to_owned(), PasswordHash::of("correct horse").unwrap())]);
    let except = vec!["/health".parse().unwrap(), "/open/*".parse().unwrap()];
    Policy {
        basic_auth: Some(BasicAuth { on: true, realm: "Staging".into(), users, except }),
        ..Policy::default()
    }
}

#[test]
fn a_password_is_wanted_and_not_passed_on() {
    let (proxy, server) = behind(ada());
    for file in ["table.changes", "cookie.key"] {
        let mode =
            std::fs::metadata(proxy.root.path().join("run/proxy").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let refused = ask(&proxy, "/", "");
    assert_eq!((refused.status, server.requests.load(SeqCst)), (401, 0));
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"Staging\", charset=\"UTF-8\""));
    // ada:correct horse
    let right = "Authorization: Basic YWRhOmNvcnJlY3QgaG9yc2U=\r\n";
    for _ in 0..3 {
        let reply = ask(&proxy, "/", right);
        assert_eq!(reply.status, 200);
        assert!(!reply.text().to_lowercase().contains("authorization"));
    }
    let wrong = [
        "Basic YWRhOmNvcnJlY3QgaG9yc2Y=",
        "Basic Ym9iOmNvcnJlY3QgaG9yc2U=",
        "Basic bm9ib2R5Om5vYm9keSdzIHBhc3N3b3Jk",
        "Basic YWRhOg==",
        "Basic YWRh",
        "Basic YWRhOmNvcnJlY3QgaG9yc2U",
        "Basic ===",
        "Bearer YWRhOmNvcnJlY3QgaG9yc2U=",
        "Basic",
    ];
    for header in wrong {
        assert_eq!(ask(&proxy, "/", &format!("Authorization: {header}\r\n")).status, 401, "{header}");
    }
}

/// A path that may be read as another one needs the password.
#[test]
fn paths_without_a_password_are_plain_ones() {
    let (proxy, _server) = behind(ada());
    for path in ["/health", "/health?x=1", "/open/a", "/open"] {
        assert_eq!(ask(&proxy, path, "").status, 200, "{path}");
    }
    for path in [
        "/healthy",
        "/health/x",
        "/open/../secret",
        "/open/%2e%2e/secret",
        "/open%2f..%2fsecret",
        "/open//x",
        "/open/..\\secret",
        "//open/x",
        "/open/%2e%2e%2fsecret",
    ] {
        assert_eq!(ask(&proxy, path, "").status, 401, "{path}");
    }
}

#[test]
fn networks_are_let_in_or_kept_out() {
    let (proxy, server) = behind(Policy { allow: nets(&["10.0.0.0/8"]), ..Policy::default() });
    assert_eq!(ask(&proxy, "/", "X-Forwarded-For: 10.0.0.1\r\n").status, 403);
    put(&proxy, &server, Policy { deny: nets(&["127.0.0.1"]), ..Policy::default() });
    assert_eq!(ask(&proxy, "/", "").status, 403);
    put(
        &proxy,
        &server,
        Policy { allow: nets(&["127.0.0.0/8"]), deny: nets(&["10.0.0.0/8"]), ..Policy::default() },
    );
    assert_eq!(ask(&proxy, "/", "").status, 200);
    assert_eq!(server.requests.load(SeqCst), 1);
}

#[test]
fn trusted_proxies_name_the_visitor() {
    let trusted_proxies = nets(&["127.0.0.1", "10.0.0.0/8"]);
    let (proxy, server) =
        behind(Policy { trusted_proxies, deny: nets(&["192.0.2.66"]), ..Policy::default() });
    let table = [
        ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
        ("X-Forwarded-For: 192.0.2.66, 203.0.113.9\r\n", "203.0.113.9"),
        ("X-Forwarded-For: 203.0.113.9, 10.1.1.1\r\n", "203.0.113.9"),
        ("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.1.1.1\r\n", "203.0.113.9"),
        ("X-Forwarded-For: nonsense, 10.1.1.1\r\n", "10.1.1.1"),
        ("X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9"),
        ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
        ("X-Forwarded-For:\r\n", "127.0.0.1"),
        ("", "127.0.0.1"),
    ];
    for (headers, address) in table {
        let reply = ask(&proxy, "/", headers);
        assert_eq!(header(reply.text(), "x-forwarded-for"), Some(address), "{headers}");
        assert_eq!(reply.text().matches("X-Forwarded-For").count(), 1);
    }
    assert_eq!(ask(&proxy, "/", "X-Forwarded-For: 192.0.2.66\r\n").status, 403);
    let reply = ask(&proxy, "/", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n");
    assert_eq!(header(reply.text(), "x-forwarded-proto"), Some("https"));
    assert_eq!(header(reply.text(), "x-forwarded-port"), Some("443"));
    put(&proxy, &server, Policy { trusted_proxies: nets(&["10.0.0.0/8"]), ..Policy::default() });
    let reply = ask(&proxy, "/", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n");
    assert_eq!(header(reply.text(), "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(reply.text(), "x-forwarded-proto"), Some("http"));
}

#[test]
fn other_names_redirect_to_the_canonical_one() {
    let (proxy, server) =
        behind(Policy { canonical_host: Some("b.example".parse().unwrap()), ..Policy::default() });
    let hosts = ["a", "b.example"].map(|host| hop3_core::route::Host(host.into())).to_vec();
    let policy = Policy { canonical_host: Some("b.example".parse().unwrap()), ..Policy::default() };
    proxy.put(hop3_core::route::Service { hosts, policy: Some(policy.into()), ..service("a", &[&server]) });
    let go = |request: &str| {
        let mut client = proxy.connect();
        client.send(request);
        client.reply()
    };
    let reply = go("GET /x?y=1 HTTP/1.1\r\nHost: a:8080\r\n\r\n");
    assert_eq!((reply.status, reply.header("location")), (301, Some("http://b.example:8080/x?y=1")));
    let reply = go("POST //evil HTTP/1.1\r\nHost: A\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((reply.status, reply.header("location")), (308, Some("http://b.example//evil")));
    assert_eq!(go("GET / HTTP/1.1\r\nHost: B.example.\r\n\r\n").status, 200);
}

#[test]
fn moved_paths_redirect_and_cannot_lead_elsewhere() {
    let rule = |from: &str, to: &str, status, keep_query| Redirect {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        status,
        keep_query,
    };
    let redirects = vec![
        rule("/old/*", "/new/*", 301, true),
        rule("/gone", "https://example.org/there", 307, false),
        rule("/all/*", "/*", 308, true),
    ];
    let (proxy, _server) = behind(Policy { redirects, ..Policy::default() });
    let table = [
        ("/old/a/b?x=1&y", "301 /new/a/b?x=1&y"),
        ("/old", "301 /new"),
        ("/gone?x=1", "307 https://example.org/there"),
        ("/all//evil.example", "308 /evil.example"),
        ("/all/\\evil.example", "308 /evil.example"),
        ("/all/a\"b", "308 /a%22b"),
        ("/all", "308 /"),
        ("/other", "200 "),
    ];
    for (path, expected) in table {
        let reply = ask(&proxy, path, "");
        assert_eq!(
            format!("{} {}", reply.status, reply.header("location").unwrap_or("")),
            expected,
            "{path}"
        );
    }
}

#[test]
fn the_upstream_sees_rewritten_paths_and_headers() {
    let rewrites = vec![Rewrite { from: "/v1/*".parse().unwrap(), to: "/api/*".parse().unwrap() }];
    let request_headers = HeaderChange {
        set: BTreeMap::from([("X-Stage".to_owned(), "production".to_owned())]),
        remove: vec!["X-Debug".to_owned()],
    };
    let response_headers = HeaderChange {
        set: BTreeMap::from([("X-Frame-Options".to_owned(), "DENY".to_owned())]),
        remove: vec!["Server".to_owned()],
    };
    let (proxy, _server) =
        behind(Policy { rewrites, request_headers, response_headers, ..Policy::default() });
    let reply = ask(&proxy, "/v1/x?y=1", "X-Debug: 1\r\nX-Stage: forged\r\nX-Other: kept\r\n");
    let head = reply.text();
    assert!(head.starts_with("GET /api/x?y=1 HTTP/1.1\r\nHost: a\r\n"), "{head}");
    assert_eq!(header(head, "x-stage"), Some("production"));
    assert_eq!((header(head, "x-debug"), header(head, "x-other")), (None, Some("kept")));
    assert_eq!(head.matches("X-Stage").count(), 1);
    assert_eq!(reply.header("x-frame-options"), Some("DENY"));
    // Bodies and further requests of the connection come through a changed head.
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send("POST /v1/y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert!(client.reply().text().ends_with("|5"));
        client
            .send("POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        assert!(client.reply().text().ends_with("|3"));
    }
}

#[test]
fn maintenance_answers_with_its_own_page_but_for_some() {
    let (proxy, server) = behind(Policy::default());
    std::fs::write(proxy.root.path().join("down.html"), "<h1>back at noon").unwrap();
    let maintenance = |page: Option<&str>, text: Option<&str>, allow: &[&str]| Policy {
        maintenance: Some(Maintenance {
            on: true,
            page: page.map(str::to_owned),
            text: text.map(str::to_owned),
            retry_after: 60,
            allow: nets(allow),
        }),
        ..Policy::default()
    };
    put(&proxy, &server, maintenance(Some("down.html"), None, &[]));
    let reply = ask(&proxy, "/", "");
    assert_eq!((reply.status, reply.text()), (503, "<h1>back at noon"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(reply.header("retry-after"), Some("60"));
    put(&proxy, &server, maintenance(None, Some("soon"), &[]));
    assert_eq!(ask(&proxy, "/", "").text(), "soon\n");
    for page in ["absent.html", "../etc/passwd", "run/proxy/cookie.key/.."] {
        put(&proxy, &server, maintenance(Some(page), None, &[]));
        assert!(ask(&proxy, "/", "").text().starts_with("503 Back soon"), "{page}");
    }
    assert_eq!(server.requests.load(SeqCst), 0);
    put(&proxy, &server, maintenance(None, None, &["127.0.0.1"]));
    assert_eq!(ask(&proxy, "/", "").status, 200);
}

#[test]
fn bodies_are_bounded_announced_or_not() {
    let (proxy, server) = behind(Policy { max_body_size: Some(10), ..Policy::default() });
    let go = |request: &str| {
        let mut client = proxy.connect();
        client.send(request);
        client.reply()
    };
    let announced = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!((go(announced).status, server.requests.load(SeqCst)), (413, 0));
    let chunked = |size: usize| {
        let body = "x".repeat(size);
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    assert_eq!(go(&chunked(11)).status, 413);
    assert!(go(&chunked(10)).text().ends_with("|10"));
    let exact = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{}", "x".repeat(10));
    assert!(go(&exact).text().ends_with("|10"));
    assert_eq!(go(&chunked(1 << 20)).status, 413);
}

#[test]
fn too_many_requests_are_told_when_to_come_back() {
    let limit = |path: &str, by, requests, burst| RateLimit {
        path: path.parse().unwrap(),
        by,
        requests,
        per: Per::Hour,
        burst,
    };
    let rate_limits = vec![
        limit("/*", RateKey::Ip, 3600, 100),
        limit("/login", RateKey::Ip, 60, 2),
        limit("/key", RateKey::Header("x-api-key".into()), 60, 1),
    ];
    let (proxy, server) = behind(Policy { rate_limits: rate_limits.clone(), ..Policy::default() });
    let reply = ask(&proxy, "/", "");
    assert_eq!((reply.status, reply.header("ratelimit-limit")), (200, Some("100")));
    assert_eq!(reply.header("ratelimit-remaining"), Some("99"));
    // Every spelling of the path counts.
    assert_eq!(ask(&proxy, "/login", "").header("ratelimit-remaining"), Some("1"));
    assert_eq!(ask(&proxy, "//%6cogin?x", "").status, 200);
    let refused = ask(&proxy, "/./login", "");
    assert_eq!(refused.status, 429);
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait) && refused.header("ratelimit-remaining") == Some("0"));
    assert_eq!(ask(&proxy, "/", "").status, 200);
    for (key, status) in [("one", 200), ("two", 200), ("one", 429)] {
        assert_eq!(ask(&proxy, "/key", &format!("X-Api-Key: {key}\r\n")).status, status);
    }
    // A change of something else keeps what was counted; a change of the limits begins anew.
    put(&proxy, &server, Policy { rate_limits, sticky: true, ..Policy::default() });
    assert_eq!(ask(&proxy, "/login", "").status, 429);
    put(
        &proxy,
        &server,
        Policy { rate_limits: vec![limit("/login", RateKey::All, 60, 1)], ..Policy::default() },
    );
    assert_eq!(ask(&proxy, "/login", "").status, 200);
}

#[test]
fn paused_requests_wait_and_are_answered_when_it_ends() {
    let pause = |max_wait| Policy { pause: Some(Pause { on: true, max_wait }), ..Policy::default() };
    let (proxy, server) = behind(pause(30));
    let (done, replies) = mpsc::channel();
    let clients: Vec<_> = (0..20).map(|_| proxy.connect()).collect();
    let threads: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let done = done.clone();
            client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
            std::thread::spawn(move || done.send(client.reply().status).unwrap())
        })
        .collect();
    // A change that leaves it paused lets nobody through.
    put(&proxy, &server, Policy { sticky: true, ..pause(30) });
    assert_eq!(server.requests.load(SeqCst), 0);
    put(&proxy, &server, Policy::default());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(replies.try_iter().collect::<Vec<_>>(), vec![200; 20]);
    put(&proxy, &server, pause(1));
    let reply = ask(&proxy, "/", "");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
}

/// Only so many may wait; whoever leaves makes room.
#[test]
fn a_client_that_leaves_a_pause_makes_room() {
    let (proxy, server) =
        behind(Policy { pause: Some(Pause { on: true, max_wait: 600 }), ..Policy::default() });
    let ask = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut held: Vec<_> = (0..1000).map(|_| proxy.connect()).collect();
    held.iter_mut().for_each(|client| client.send(ask));
    // The last place is taken when somebody is refused.
    let soon = Some(std::time::Duration::from_millis(300));
    let refused = || {
        let mut client = proxy.connect();
        client.stream().set_read_timeout(soon).unwrap();
        client.send(ask);
        match client.try_reply() {
            Ok(reply) => (reply.status == 503, client),
            Err(_) => (false, client),
        }
    };
    let mut late = Vec::new();
    while late.last().is_none_or(|(is_refused, _)| !is_refused) {
        late.push(refused());
    }
    drop((held, late));
    let mut next = loop {
        if let (false, client) = refused() {
            break client;
        }
    };
    put(&proxy, &server, Policy::default());
    next.stream().set_read_timeout(None).unwrap();
    assert_eq!(next.reply().status, 200);
}

/// A proxy in front that is trusted speaks for the visitor: sent to HTTPS, he would come back the same way.
#[test]
fn a_visitor_who_came_by_https_to_a_proxy_in_front_is_not_sent_in_circles() {
    let server = Server::named("one");
    let proxy = Proxy::secure(crate::Limits::default());
    let hsts = Hsts { on: true, max_age: 300, include_subdomains: true, preload: false };
    let policy = Policy { hsts: Some(hsts), ..Policy::default() };
    put(&proxy, &server, policy.clone());
    let forwarded = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(ask(&proxy, "/", forwarded).status, 301, "anybody can write that");
    put(&proxy, &server, Policy { trusted_proxies: nets(&["127.0.0.1"]), ..policy.clone() });
    let reply = ask(&proxy, "/", forwarded);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("strict-transport-security"), Some("max-age=300; includeSubDomains"));
    let reply = ask(&proxy, "/", "X-Forwarded-Proto: http\r\n");
    assert_eq!((reply.status, reply.header("strict-transport-security")), (301, None));
    assert_eq!(ask(&proxy, "/", "").status, 301);
    // Nobody else's word is taken for a certificate.
    let tls = hop3_core::route::Tls { client_ca: Some("none".into()), ..Default::default() };
    let policy = Some(Policy { trusted_proxies: nets(&["127.0.0.1"]), ..Policy::default() }.into());
    proxy.put(hop3_core::route::Service { tls, policy, ..service("a", &[&server]) });
    assert_eq!(ask(&proxy, "/", forwarded).status, 403);
    assert_eq!(server.requests.load(SeqCst), 1);
}

#[test]
fn plain_http_is_refused_where_https_alone_is_wanted() {
    let server = Server::named("one");
    let only = |policy| {
        let tls = hop3_core::route::Tls { https: Https::Only, ..Default::default() };
        hop3_core::route::Service { tls, policy: Some(policy), ..service("a", &[&server]) }
    };
    for proxy in [Proxy::start(), Proxy::secure(crate::Limits::default())] {
        proxy.put(only(Policy::default().into()));
        assert_eq!(ask(&proxy, "/", "X-Forwarded-Proto: https\r\n").status, 403);
        proxy.put(only(Policy { trusted_proxies: nets(&["127.0.0.1"]), ..Policy::default() }.into()));
        assert_eq!(ask(&proxy, "/", "X-Forwarded-Proto: https\r\n").status, 200);
    }
}
