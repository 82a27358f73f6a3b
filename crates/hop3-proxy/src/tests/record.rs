// SPDX-License-Identifier: Apache-2.0
//! What is recorded of requests: lines of the access log, figures of routes, Server-Timing.

use super::harness::*;
use crate::Limits;
use crate::control::{Answer, Request};
use hop3_core::layout::Layout;
use hop3_core::observe::{Observe, RouteFigures};
use hop3_core::policy::{Pause, Policy};
use hop3_core::route::Service;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

fn log(proxy: &Proxy) -> PathBuf {
    Layout::new(proxy.root.path()).request_log()
}

/// All lines, once the proxy has ended and so written the last of them.
pub(crate) fn lines(proxy: Proxy) -> Vec<Value> {
    let path = log(&proxy);
    let _root = proxy.stop();
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn figures(proxy: &Proxy) -> Vec<RouteFigures> {
    let Answer::Figures(figures) = proxy.ask(&Request::Figures) else { panic!("no figures") };
    figures
}

fn watched(server: &Server, observe: Observe) -> Service {
    Service { observe, ..service("a", &[server]) }
}

#[test]
fn a_request_is_a_line_with_what_was_asked_and_how_it_ended() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    let (id, agent) = ("X-Request-Id: mine-7", "User-Agent: \"me\" \u{fc}");
    let head = format!(
        "POST /a?b=c HTTP/1.1\r\nHost: A:80\r\n{id}\r\n{agent}\r\nReferer: /from\r\nContent-Length: 5\r\n\r\n"
    );
    client.send(format!("{head}hello"));
    let reply = client.reply();
    client.send("GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
    client.reply();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    client.reply();
    let lines = lines(proxy);
    assert_eq!(lines.len(), 3, "{lines:?}");
    let line = &lines[0];
    let expected = [
        ("id", "mine-7"),
        ("service", "a"),
        ("host", "A:80"),
        ("client", "127.0.0.1"),
        ("protocol", "HTTP/1.1"),
        ("method", "POST"),
        ("path", "/a?b=c"),
        ("referer", "/from"),
        ("agent", "\"me\" \u{fc}"),
        ("upstream", server.id.as_str()),
    ];
    for (name, value) in expected {
        assert_eq!(line[name], value, "{line}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes_in"], head.len() + 5);
    assert_eq!(line["bytes_out"], reply.head.len() + reply.body.len());
    assert!(line["ms"].as_f64() >= line["upstream_ms"].as_f64(), "{line}");
    let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
    assert!(time.duration_until(jiff::Timestamp::now()).as_secs().abs() < 60, "{time}");
    assert_eq!((&lines[1]["host"], &lines[1]["status"]), (&"elsewhere".into(), &404.into()));
    assert_eq!((&lines[1]["service"], &lines[2]["status"]), (&Value::Null, &400.into()));
    assert_eq!(lines[2]["refused"], "the Host header is repeated");
}

#[test]
fn a_root_that_was_removed_does_not_come_back() {
    let proxy = Proxy::start();
    fs::remove_dir_all(proxy.root.path()).unwrap();
    assert_eq!(proxy.get("/").status, 404);
    assert!(!proxy.stop().path().exists());
}

/// Nobody was answered, whatever would have been.
#[test]
fn a_client_that_leaves_while_it_is_held_is_noted_without_a_status() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    let pause = Policy { pause: Some(Pause { on: true, max_wait: 600 }), ..Policy::default() };
    proxy.put(Service { policy: Some(pause.into()), ..service("a", &[&server]) });
    let in_flight = |count| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while figures(&proxy)[0].in_flight != count {
            assert!(Instant::now() < deadline, "{:?}", figures(&proxy));
            thread::yield_now();
        }
    };
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    in_flight(1);
    drop(client);
    in_flight(0);
    assert_eq!(figures(&proxy)[0].statuses[0], 1);
    assert_eq!(lines(proxy)[0]["status"], 0);
}

#[test]
fn a_service_decides_how_much_is_logged_and_failures_always_are() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    server.refuse();
    let (good, mut client) = (Server::named("two"), proxy.connect());
    proxy.put(watched(&good, Observe { log_every: 10, ..Observe::default() }));
    for _ in 0..30 {
        client.get("/sampled");
    }
    proxy.put(watched(&good, Observe { log_every: 0, ..Observe::default() }));
    client.get("/unlogged");
    proxy.put(watched(&good, Observe { log_query: false, ..Observe::default() }));
    client.get("/secret?token=1");
    proxy.put(watched(&server, Observe { log_every: 1_000_000_000, ..Observe::default() }));
    assert_eq!(client.get("/down").status, 503);
    let lines = lines(proxy);
    let of = |path: &str| lines.iter().filter(|line| line["path"] == path).count();
    assert_eq!((of("/sampled"), of("/unlogged"), of("/secret?[redacted]"), of("/down")), (3, 0, 1, 1));
}

#[test]
fn a_large_log_goes_on_in_a_new_file_and_the_oldest_is_removed() {
    let limits = Limits { log_file_bytes: 20_000, log_old_files: 2, ..Limits::default() };
    let (proxy, server) = (Proxy::with(limits), Server::named("one"));
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    let long = "x".repeat(2000);
    for i in 0..100 {
        client.get(&format!("/{i}/{long}"));
    }
    let path = log(&proxy);
    let root = proxy.stop();
    let mut names: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["requests.jsonl", "requests.jsonl.1", "requests.jsonl.2"]);
    let kept = names.iter().map(|name| fs::read_to_string(path.with_file_name(name)).unwrap());
    assert!(kept.map(|text| text.lines().count()).sum::<usize>() <= 100);
    drop(root);
}

#[test]
fn a_log_that_cannot_be_written_holds_nothing_up() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    fs::create_dir_all(log(&proxy)).unwrap();
    proxy.route(&[&server]);
    let mut client = proxy.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(log(&proxy).is_dir());
}

#[test]
fn figures_of_a_route_stay_when_its_service_changes() {
    let (proxy, one, two) = (Proxy::start(), Server::named("one"), Server::named("two"));
    proxy.route(&[&one]);
    let mut client = proxy.connect();
    client.get("/");
    proxy.route(&[&two]);
    client.get("/");
    // The end of a request is counted after its last byte was sent.
    let mut rows = figures(&proxy);
    while rows[0].in_flight > 0 {
        rows = figures(&proxy);
    }
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.service.as_str(), row.prefix.as_str()), ("a", "/"));
    assert_eq!((row.requests, row.statuses), (2, [0, 0, 2, 0, 0, 0]));
    assert_eq!(row.latency.iter().map(|(_, count)| count).sum::<u64>(), 2);
    assert!(row.bytes_in > 0 && row.bytes_out > 0 && row.total_us > 0, "{row:?}");
}

#[test]
fn the_time_is_told_to_clients_of_a_service_that_asks_for_it() {
    let (proxy, server) = (Proxy::start(), Server::named("one"));
    proxy.put(watched(&server, Observe { server_timing: true, ..Observe::default() }));
    let reply = proxy.get("/");
    let timing = reply.header("server-timing").unwrap();
    assert!(timing.starts_with("proxy;dur=") && timing.contains(", upstream;dur="), "{timing}");
    proxy.route(&[&server]);
    assert_eq!(proxy.get("/").header("server-timing"), None);
}
