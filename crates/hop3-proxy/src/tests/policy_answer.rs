// SPDX-License-Identifier: Apache-2.0
//! Policies on real answers: CORS, error pages, compression, sticky sessions, another service's word, old files.

use super::harness::*;
use hop3_core::policy::{Compression, Cors, ForwardAuth, HeaderChange, Pause, Policy};
use hop3_core::route::{Address, Canary, Host, Page, Pool, Service, StaticFiles, Target, Upstream};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

fn put(proxy: &Proxy, servers: &[&Server], policy: Policy) {
    let pages = Some(proxy.root.path().to_owned());
    proxy.put(Service { policy: Some(policy.into()), pages, ..service("a", servers) });
}

fn ask(proxy: &Proxy, line: &str, headers: &str) -> Reply {
    let mut client = proxy.connect();
    client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
    client.reply()
}

/// Answers each path with what stands there: head lines, then the body.
fn answering(table: Vec<(&'static str, &'static str, String)>) -> Server {
    Server::start(move |seen, stream: &mut TcpStream| {
        let (_, head, body) = table.iter().find(|(path, ..)| *path == seen.path()).unwrap();
        let length = format!("Content-Length: {}\r\n", body.len());
        write!(stream, "HTTP/1.1 {head}\r\n{length}\r\n{body}")
    })
}

fn unpack(reply: &Reply) -> String {
    let bytes = match reply.header("content-encoding") {
        Some("gzip") => {
            std::io::read_to_string(flate2::read::GzDecoder::new(&reply.body[..])).unwrap().into_bytes()
        }
        Some("br") => {
            std::io::read_to_string(brotli::Decompressor::new(&reply.body[..], 4096)).unwrap().into_bytes()
        }
        Some("zstd") => zstd::decode_all(&reply.body[..]).unwrap(),
        _ => reply.body.clone(),
    };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn other_sites_are_told_what_they_may() {
    let cors = Cors {
        on: true,
        origins: vec!["https://one.example".into(), "https://*.two.example".into()],
        methods: vec!["GET".into(), "PUT".into()],
        headers: vec!["X-Token".into()],
        expose: vec!["X-Total".into()],
        credentials: true,
        max_age: 60,
    };
    let proxy = Proxy::start();
    let server = answering(vec![("/", "200 OK\r\nAccess-Control-Allow-Origin: *", "x".into())]);
    put(&proxy, &[&server], Policy { cors: Some(cors.clone()), ..Policy::default() });
    let question = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-token\r\n";
    for origin in ["https://one.example", "https://a.two.example", "https://a.b.two.example"] {
        let reply = ask(&proxy, "OPTIONS /", &format!("Origin: {origin}\r\n{question}"));
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some(origin)));
        assert_eq!(reply.header("access-control-allow-methods"), Some("GET, PUT"));
        assert_eq!(reply.header("access-control-allow-headers"), Some("X-Token"));
        assert_eq!(reply.header("access-control-max-age"), Some("60"));
        let reply = ask(&proxy, "GET /", &format!("Origin: {origin}\r\n"));
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(reply.head.matches("Access-Control-Allow-Origin").count(), 1);
        assert_eq!(reply.header("vary"), Some("Origin"));
    }
    for origin in [
        "http://one.example",
        "https://two.example",
        "https://eviltwo.example",
        "null",
        "https://x/.two.example",
    ] {
        let reply = ask(&proxy, "OPTIONS /", &format!("Origin: {origin}\r\n{question}"));
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, None), "{origin}");
        let reply = ask(&proxy, "GET /", &format!("Origin: {origin}\r\n"));
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, None), "{origin}");
    }
    let any = Cors { origins: vec!["*".into()], headers: Vec::new(), credentials: false, ..cors };
    put(&proxy, &[&server], Policy { cors: Some(any), ..Policy::default() });
    let reply = ask(&proxy, "OPTIONS /", &format!("Origin: https://x.example\r\n{question}"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("x-token"));
}

#[test]
fn errors_get_pages_of_the_services_own() {
    let proxy = Proxy::start();
    fs::write(proxy.root.path().join("404.html"), "lost").unwrap();
    fs::write(proxy.root.path().join("5xx.html"), "sorry").unwrap();
    let pages = [("404", "404.html"), ("5xx", "5xx.html"), ("403", "absent.html")];
    let error_pages = BTreeMap::from(pages.map(|(status, file)| (status.to_owned(), file.to_owned())));
    let long = "secret trace".repeat(10_000);
    let server = answering(vec![
        ("/", "200 OK", "fine".into()),
        ("/404", "404 Not Found", "app's".into()),
        ("/500", "500 Oh\r\nX-Trace: 1", long),
        ("/403", "403 No", "app's".into()),
        ("/410", "410 Gone", "app's".into()),
    ]);
    put(&proxy, &[&server], Policy { error_pages, ..Policy::default() });
    let mut client = proxy.connect();
    for (path, status, text) in
        [("/", 200, "fine"), ("/404", 404, "lost"), ("/410", 410, "app's"), ("/500", 500, "sorry")]
    {
        let reply = client.get(path);
        assert_eq!((reply.status, reply.text()), (status, text), "{path}");
        assert_eq!(reply.header("x-trace"), None);
    }
    assert!(client.get("/403").text().starts_with("403 "));
    // In place of the proxy's own page too.
    server.refuse();
    put(
        &proxy,
        &[],
        Policy { error_pages: BTreeMap::from([("503".into(), "5xx.html".into())]), ..Policy::default() },
    );
    let reply = proxy.get("/");
    assert_eq!((reply.status, reply.text(), reply.header("retry-after")), (503, "sorry", Some("2")));
}

fn compression(min_size: u64) -> Policy {
    Policy { compression: Some(Compression { on: true, min_size }), ..Policy::default() }
}

#[test]
fn answers_are_compressed_where_it_is_worth_it() {
    let text = "all work and no play ".repeat(2000);
    let proxy = Proxy::start();
    let server = answering(vec![
        (
            "/text",
            "200 OK\r\nContent-Type: text/html; charset=utf-8\r\nETag: \"v1\"\r\nAccept-Ranges: bytes",
            text.clone(),
        ),
        ("/json", "200 OK\r\nContent-Type: application/problem+json\r\nVary: Cookie", text.clone()),
        ("/small", "200 OK\r\nContent-Type: text/plain", "x".repeat(99)),
        ("/image", "200 OK\r\nContent-Type: image/png", text.clone()),
        ("/coded", "200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip", text.clone()),
        ("/fixed", "200 OK\r\nContent-Type: text/plain\r\nCache-Control: public, No-Transform", text.clone()),
        ("/part", "206 Partial\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-9/10", text.clone()),
        ("/none", "200 OK", text.clone()),
    ]);
    put(&proxy, &[&server], compression(100));
    for (accepts, coding) in
        [("gzip", "gzip"), ("br", "br"), ("gzip, br, zstd", "zstd"), ("br;q=0.1, gzip", "gzip")]
    {
        let reply = ask(&proxy, "GET /text", &format!("Accept-Encoding: {accepts}\r\n"));
        assert_eq!(reply.header("content-encoding"), Some(coding));
        assert_eq!(unpack(&reply), text);
        assert!(reply.is_whole && reply.body.len() < text.len() / 20, "{}", reply.body.len());
        assert_eq!(reply.header("etag"), Some("W/\"v1\""));
        assert_eq!((reply.header("content-length"), reply.header("accept-ranges")), (None, None));
        assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
    }
    let reply = ask(&proxy, "GET /json", "Accept-Encoding: gzip\r\n");
    assert_eq!((reply.header("content-encoding"), unpack(&reply)), (Some("gzip"), text.clone()));
    assert!(reply.head.contains("Vary: Cookie\r\n") && reply.head.contains("Vary: Accept-Encoding\r\n"));
    for path in ["/small", "/image", "/fixed", "/part", "/none"] {
        let reply = ask(&proxy, &format!("GET {path}"), "Accept-Encoding: gzip\r\n");
        assert_eq!((reply.header("content-encoding"), reply.header("vary")), (None, None), "{path}");
        assert!(reply.header("content-length").is_some(), "{path}");
    }
    assert_eq!(ask(&proxy, "GET /coded", "Accept-Encoding: br\r\n").text(), text);
    let reply = ask(&proxy, "GET /text", "Accept-Encoding: identity\r\n");
    assert_eq!((reply.text(), reply.header("etag")), (text.as_str(), Some("\"v1\"")));
    assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
    // HTTP/1.0 knows no chunks, and so no length that is found out later.
    let mut client = proxy.connect();
    client.send("GET /text HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    assert_eq!(client.reply().text(), text);
    let mut client = proxy.connect();
    client.send("HEAD /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    assert_eq!(header(&client.read_head().unwrap().unwrap(), "content-encoding"), None);
    // The connection goes on.
    let mut client = proxy.connect();
    for _ in 0..3 {
        client.send("GET /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: zstd\r\n\r\n");
        assert_eq!(unpack(&client.reply()), text);
    }
}

/// An event that was sent is seen before the next one is.
#[test]
fn compressed_events_are_not_held_back() {
    for coding in ["gzip", "br", "zstd"] {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = std::sync::Mutex::new(gone);
        let server = Server::start(move |_, stream| {
            let gone = gone.lock().unwrap();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            )?;
            for i in 0..3 {
                let event = format!("data: {i}\n\n");
                write!(stream, "{:x}\r\n{event}\r\n", event.len())?;
                gone.recv().unwrap();
            }
            stream.write_all(b"0\r\n\r\n")
        });
        let proxy = Proxy::start();
        put(&proxy, &[&server], compression(100));
        let mut client = proxy.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n"));
        assert_eq!(header(&client.read_head().unwrap().unwrap(), "content-encoding"), Some(coding));
        let mut body = Vec::new();
        for i in 0..3 {
            while !seen(coding, &body).contains(&format!("data: {i}")) {
                body.extend(client.read_chunk().unwrap());
            }
            go.send(()).unwrap();
        }
    }
}

/// What a browser can show of a body that is not whole.
fn seen(coding: &str, body: &[u8]) -> String {
    let mut text = Vec::new();
    let mut reader: Box<dyn Read> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(body)),
        "br" => Box::new(brotli::Decompressor::new(body, 4096)),
        _ => match zstd::Decoder::new(body) {
            Ok(reader) => Box::new(reader),
            Err(_) => return String::new(),
        },
    };
    let mut piece = [0; 64];
    while let Ok(count @ 1..) = reader.read(&mut piece) {
        text.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn a_visitor_stays_at_its_instance_as_long_as_that_lives() {
    let proxy = Proxy::start();
    let (one, two, three) = (Server::named("one"), Server::named("two"), Server::named("three"));
    let sticky = || Policy { sticky: true, ..Policy::default() };
    put(&proxy, &[&one, &two, &three], sticky());
    let first = ask(&proxy, "GET /", "");
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let name = |reply: &Reply| reply.text().split(' ').next().unwrap().to_owned();
    let mine = name(&first);
    for _ in 0..10 {
        let reply = ask(&proxy, "GET /", &format!("Cookie: x=y; {cookie}; z=1\r\n"));
        assert_eq!((name(&reply), reply.header("set-cookie")), (mine.clone(), None));
    }
    for forged in ["hop3-instance=one", "hop3-instance=", "hop3-instance=../../x"] {
        assert!(ask(&proxy, "GET /", &format!("Cookie: {forged}\r\n")).header("set-cookie").is_some());
    }
    let others: Vec<&Server> = [(&one, "one"), (&two, "two"), (&three, "three")]
        .into_iter()
        .filter(|(_, n)| *n != mine)
        .map(|(s, _)| s)
        .collect();
    put(&proxy, &others, sticky());
    let moved = ask(&proxy, "GET /", &format!("Cookie: {cookie}\r\n"));
    assert!(moved.status == 200 && name(&moved) != mine && moved.header("set-cookie").is_some());
}

#[test]
fn another_service_says_who_may_come_in() {
    let gate = Server::start(|seen, stream| {
        assert_eq!(seen.path(), "/verify");
        assert_eq!(header(&seen.head, "content-length"), None);
        let target = header(&seen.head, "x-forwarded-uri").unwrap().to_owned();
        match header(&seen.head, "cookie") {
            Some("session=good") => stream.write_all(
                b"HTTP/1.1 200 OK\r\nX-User: ada\r\nSet-Cookie: session=fresh\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            ),
            Some("session=bad") => stream.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"),
            Some("session=broken") => stream.write_all(b"HTTP/1.1 200"),
            _ => write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: https://sso.example/?to={target}\r\nContent-Length: 0\r\n\r\n"
            ),
        }
    });
    let app = Server::start(|seen, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", seen.head.len(), seen.head)
    });
    let proxy = Proxy::start();
    let auth = |address: &str| Policy {
        forward_auth: Some(ForwardAuth {
            on: true,
            url: format!("http://{address}/verify"),
            copy: vec!["X-User".into(), "X-Groups".into()],
            except: vec!["/public/*".parse().unwrap()],
        }),
        ..Policy::default()
    };
    put(&proxy, &[&app], auth(&gate.address.to_string()));
    let reply = ask(&proxy, "GET /x", "Cookie: session=good\r\nX-User: forged\r\nX-Groups: admin\r\n");
    assert_eq!(reply.status, 200);
    assert_eq!((header(reply.text(), "x-user"), header(reply.text(), "x-groups")), (Some("ada"), None));
    assert_eq!(reply.header("set-cookie"), Some("session=fresh"));
    let reply = ask(&proxy, "GET /x", "Cookie: session=bad\r\n");
    assert_eq!((reply.status, reply.text()), (401, "no"));
    let reply = ask(&proxy, "GET /x?y=1", "");
    assert_eq!((reply.status, reply.header("location")), (302, Some("https://sso.example/?to=/x?y=1")));
    assert_eq!(ask(&proxy, "GET /public/x", "").status, 200);
    assert_eq!(ask(&proxy, "GET /public/../x", "").status, 302);
    // No answer is a no.
    put(&proxy, &[&app], auth("127.0.0.1:1"));
    assert_eq!(ask(&proxy, "GET /x", "Cookie: session=good\r\n").status, 502);
}

#[test]
fn files_of_the_release_before_are_still_found() {
    let proxy = Proxy::start();
    let (new, old) = (proxy.root.path().join("new"), proxy.root.path().join("old"));
    for (root, name) in
        [(&new, "app.2.js"), (&old, "app.1.js"), (&old, "page.html"), (&old, "both.css"), (&new, "both.css")]
    {
        fs::create_dir_all(root).unwrap();
        fs::write(root.join(name), format!("{} {name}", root.file_name().unwrap().display())).unwrap();
    }
    let files = StaticFiles { root: new, former: vec![old], ..StaticFiles::default() };
    let response_headers = HeaderChange {
        set: BTreeMap::from([("X-From".into(), "proxy".into())]),
        remove: vec!["ETag".into()],
    };
    let policy = Policy { asset_bridge: true, response_headers, ..Policy::default() };
    proxy.put(Service { policy: Some(policy.into()), ..one_route("a", Target::Static(files)) });
    let get = |path: &str| {
        let reply = proxy.get(path);
        assert_eq!((reply.header("x-from"), reply.header("etag")), (Some("proxy"), None));
        format!("{} {}", reply.status, reply.text().lines().next().unwrap())
    };
    assert_eq!(get("/app.2.js"), "200 new app.2.js");
    assert_eq!(get("/app.1.js"), "200 old app.1.js");
    assert_eq!(get("/both.css"), "200 new both.css");
    assert_eq!(get("/page.html"), "404 404 Page not found");
    assert_eq!(get("/none.js"), "404 404 Page not found");
}

#[test]
fn a_share_of_the_visitors_gets_what_is_tried_out() {
    let proxy = Proxy::start();
    let (old, new) = (Server::named("old"), Server::named("new"));
    let share = |percent, policy: Option<Policy>| {
        let canary = Canary {
            host: Host("b".into()),
            percent,
            header: Some("X-Canary".into()),
            cookie: Some("beta".into()),
        };
        let policy = policy.map(Box::new);
        proxy.put(Service { canary: Some(canary.into()), policy, ..service("a", &[&old]) });
    };
    let other = |policy: Policy| {
        proxy.put(Service { policy: Some(policy.into()), ..service("b", &[&new]) });
    };
    other(Policy::default());
    let who = |headers: &str| ask(&proxy, "GET /", headers).text().split(' ').next().unwrap().to_owned();
    share(30, None);
    let lots: Vec<String> = (0..100).map(|lot| who(&format!("Cookie: hop3-lot={lot}\r\n"))).collect();
    assert!(lots[..30].iter().all(|who| who == "new") && lots[30..].iter().all(|who| who == "old"));
    // Who has no lot draws one, and sees the same release from then on.
    let first = ask(&proxy, "GET /", "");
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let again = ask(&proxy, "GET /", &format!("Cookie: {cookie}\r\n"));
    assert_eq!((again.text(), again.header("set-cookie")), (first.text(), None));
    for lot in ["100", "-1", "x", ""] {
        assert!(ask(&proxy, "GET /", &format!("Cookie: hop3-lot={lot}\r\n")).header("set-cookie").is_some());
    }
    // One's own choice wins.
    assert_eq!(who("Cookie: hop3-lot=99\r\nX-Canary: always\r\n"), "new");
    assert_eq!(who("Cookie: hop3-lot=0; beta=never\r\n"), "old");
    assert_eq!(who("Cookie: hop3-lot=0; beta=nonsense\r\n"), "new");
    // The share grows and takes nobody back; sticky visitors move with it.
    share(31, Some(Policy { sticky: true, ..Policy::default() }));
    assert_eq!(
        (who("Cookie: hop3-lot=29\r\n"), who("Cookie: hop3-lot=30\r\n")),
        ("new".into(), "new".into())
    );
    share(0, None);
    assert_eq!(who("Cookie: hop3-lot=0\r\n"), "old");
    // Nobody gets past what the other asks of its visitors.
    share(100, None);
    assert_eq!(who("Cookie: hop3-lot=50\r\n"), "new");
    let paused = Policy { pause: Some(Pause { on: true, max_wait: 1 }), ..Policy::default() };
    for asks in [Policy::closed(), paused] {
        other(asks);
        assert_eq!(who("Cookie: hop3-lot=50\r\n"), "old");
    }
    share(100, Some(Policy::closed()));
    assert_eq!(ask(&proxy, "GET /", "Cookie: hop3-lot=50\r\n").status, 403);
    share(100, None);
    // What is tried out is away, or not there at all: the others answer.
    let away = Upstream { id: "away".into(), address: Address::Tcp("127.0.0.1:1".parse().unwrap()) };
    proxy.put(pool("b", Pool { upstreams: vec![away], timeouts: timeouts(), ..Pool::default() }));
    for _ in 0..5 {
        assert_eq!(who("Cookie: hop3-lot=50\r\n"), "old");
    }
    proxy.put(one_route("b", Target::Page(Page::Stopped)));
    assert_eq!(who("Cookie: hop3-lot=50\r\n"), "old");
    let root = proxy.root.path().join("tried");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("index.html"), "files").unwrap();
    let files = StaticFiles { root, ..StaticFiles::default() };
    proxy.put(one_route("b", Target::Static(files)));
    assert_eq!(who("Cookie: hop3-lot=50\r\n"), "files");
}

#[test]
fn static_files_are_compressed_when_nothing_smaller_lies_beside_them() {
    let proxy = Proxy::start();
    let root = proxy.root.path().join("site");
    fs::create_dir(&root).unwrap();
    let text = "all work and no play ".repeat(5000);
    for (name, content) in
        [("a.css", text.as_str()), ("b.css", &text), ("b.css.gz", "ready"), ("c.png", &text)]
    {
        fs::write(root.join(name), content).unwrap();
    }
    fs::write(root.join("large.txt"), vec![b'x'; 2 << 20]).unwrap();
    let files = Target::Static(StaticFiles { root, ..StaticFiles::default() });
    proxy.put(Service { policy: Some(compression(100).into()), ..one_route("a", files) });
    for (accepts, coding) in [("gzip", "gzip"), ("br", "br"), ("zstd, gzip", "zstd")] {
        let reply = ask(&proxy, "GET /a.css", &format!("Accept-Encoding: {accepts}\r\n"));
        assert_eq!((reply.header("content-encoding"), unpack(&reply)), (Some(coding), text.clone()));
        assert_eq!((reply.header("vary"), reply.header("accept-ranges")), (Some("Accept-Encoding"), None));
        let tag = reply.header("etag").unwrap();
        assert!(tag.starts_with("W/\""));
        let known = format!("Accept-Encoding: {accepts}\r\nIf-None-Match: {tag}\r\n");
        assert_eq!(ask(&proxy, "GET /a.css", &known).status, 304);
    }
    assert_eq!(ask(&proxy, "GET /b.css", "Accept-Encoding: gzip\r\n").text(), "ready");
    for path in ["/a.css", "/c.png", "/large.txt"] {
        let accepts = if path == "/a.css" { "identity" } else { "gzip" };
        let reply = ask(&proxy, &format!("GET {path}"), &format!("Accept-Encoding: {accepts}\r\n"));
        assert_eq!((reply.status, reply.header("content-encoding")), (200, None), "{path}");
    }
    let part = ask(&proxy, "GET /a.css", "Accept-Encoding: gzip\r\nRange: bytes=0-8\r\n");
    assert_eq!((part.status, part.text()), (206, "all work "));
}
