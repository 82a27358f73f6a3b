// SPDX-License-Identifier: Apache-2.0
//! What becomes of a connection: bytes, ends, time limits, drains, instances that fail, what is recorded.

use super::*;
use crate::Limits;
use hop3_core::driver::Drained;
use hop3_core::layout::Layout;
use hop3_core::policy::{Net, Policy};
use hop3_core::route::{OnDemand, Woken};
use std::io::BufRead;
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Instant;

fn lines(proxy: Proxy) -> Vec<serde_json::Value> {
    let log = Layout::new(proxy.root.path()).request_log();
    let _root = proxy.stop();
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn large_amounts_pass_unchanged_both_ways_at_once_and_each_end_is_passed_on() {
    const SIZE: usize = 48 << 20;
    let (proxy, port) = (Proxy::start(), free_port());
    let server = echo("");
    proxy.put(carried("a", Entry::Port(port), &[&server]));
    let mut client = open(at(port));
    let bytes: Vec<u8> = (0..SIZE).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut writer = client.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let back = ending(&mut client).unwrap();
        assert!(back == bytes, "{} bytes came back, not the same", back.len());
    });
    let line = &lines(proxy)[0];
    assert_eq!(
        (line["bytes_in"].as_u64(), line["bytes_out"].as_u64()),
        (Some(SIZE as u64), Some(SIZE as u64))
    );
}

#[test]
fn a_connection_is_a_line_and_counts_in_the_figures() {
    let (proxy, port, server) = (Proxy::start(), free_port(), echo("one"));
    proxy.put(carried("a", Entry::Port(port), &[&server]));
    let mut client = call(port, "one");
    client.write_all(b"hello").unwrap();
    let figures = |proxy: &Proxy| match proxy.ask(&Request::Figures) {
        Answer::Figures(all) => all.into_iter().find(|one| one.prefix == format!("tcp:{port}")).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!((figures(&proxy).requests, figures(&proxy).in_flight), (1, 1));
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ending(&mut client).unwrap(), b"hello");
    let deadline = Instant::now() + Duration::from_secs(10);
    while figures(&proxy).in_flight > 0 {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    let seen = figures(&proxy);
    assert_eq!((seen.statuses, seen.bytes_in, seen.bytes_out), ([0, 1, 0, 0, 0, 0], 5, 8));
    let lines = lines(proxy);
    let line = &lines[0];
    let id = server.id.as_str();
    let entry = format!("tcp:{port}");
    for (key, value) in [
        ("service", "a"),
        ("client", "127.0.0.1"),
        ("protocol", "TCP"),
        ("entry", entry.as_str()),
        ("ended", "closed"),
        ("upstream", id),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert!(line["ms"].is_number() && line["upstream_ms"].is_number() && line["time"].is_string());
    assert_eq!(lines.len(), 1);
}

#[test]
fn a_drain_waits_for_connections_and_cuts_them_by_a_reset_at_its_deadline() {
    let (proxy, port, one, two) = (Proxy::start(), free_port(), echo("one"), echo("two"));
    proxy.put(carried("a", Entry::Port(port), &[&one]));
    let (mut ends, mut stays) = (call(port, "one"), call(port, "one"));
    proxy.put(carried("a", Entry::Port(port), &[&two]));
    let ids = [one.id.clone()];
    thread::scope(|scope| {
        let draining = scope.spawn(|| proxy.drain(&ids, Duration::from_secs(2)));
        talks(&mut ends);
        ends.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ending(&mut ends).unwrap(), b"");
        talks(&mut stays);
        assert!(!draining.is_finished());
        let answer = draining.join().unwrap();
        assert!(matches!(answer, Answer::Drained(Drained { cut: 1 })), "{answer:?}");
    });
    assert_eq!(ending(&mut stays), Err(io::ErrorKind::ConnectionReset));
    call(port, "two");
}

#[test]
fn the_least_busy_instance_gets_the_next_connection() {
    let (proxy, port, one, two) = (Proxy::start(), free_port(), echo("x"), echo("x"));
    proxy.put(carried("a", Entry::Port(port), &[&one, &two]));
    let mut held: Vec<TcpStream> = (0..8).map(|_| call(port, "x")).collect();
    let count = |server: &Server| server.connections.load(SeqCst);
    assert_eq!((count(&one), count(&two)), (4, 4));
    held.iter_mut().for_each(talks);
}

#[test]
fn an_instance_that_refuses_is_passed_over_and_none_left_is_told_by_a_reset() {
    let (proxy, port, dead, one) = (Proxy::start(), free_port(), echo("dead"), echo("one"));
    dead.refuse();
    proxy.put(carried("a", Entry::Port(port), &[&dead, &one]));
    for _ in 0..4 {
        call(port, "one");
    }
    one.refuse();
    // It was healthy a moment ago, so it is waited for; then it is known to be down.
    let begun = Instant::now();
    assert_eq!(ending(&mut open(at(port))), Err(io::ErrorKind::ConnectionReset));
    assert!(begun.elapsed() < Duration::from_secs(5));
    proxy.put(carried("a", Entry::Port(port), &[]));
    assert_eq!(ending(&mut open(at(port))), Err(io::ErrorKind::ConnectionReset));
    let lines = lines(proxy);
    let endings: Vec<&str> = lines.iter().map(|line| line["ended"].as_str().unwrap()).collect();
    assert_eq!(endings.iter().filter(|ending| **ending == "refused").count(), 2, "{endings:?}");
}

#[test]
fn who_the_service_does_not_let_in_by_http_does_not_come_in_without_it() {
    let (proxy, port, one) = (Proxy::start(), free_port(), echo("one"));
    let with = |policy: Policy| Service {
        policy: Some(Box::new(policy)),
        ..carried("a", Entry::Port(port), &[&one])
    };
    let net = |text: &str| vec![text.parse::<Net>().unwrap()];
    for policy in [
        Policy { allow: net("192.0.2.0/24"), ..Policy::default() },
        Policy { deny: net("127.0.0.0/8"), ..Policy::default() },
    ] {
        proxy.put(with(policy));
        assert_eq!(ending(&mut open(at(port))), Err(io::ErrorKind::ConnectionReset));
    }
    assert_eq!(one.connections.load(SeqCst), 0);
    proxy.put(with(Policy { allow: net("127.0.0.1"), ..Policy::default() }));
    call(port, "one");
    let lines = lines(proxy);
    assert_eq!(lines.iter().filter(|line| line["ended"] == "denied").count(), 2, "{lines:?}");
}

#[test]
fn a_silent_connection_is_ended_and_one_that_talks_is_not() {
    let (proxy, port, one) = (Proxy::start(), free_port(), echo("one"));
    let mut service = carried("a", Entry::Port(port), &[&one]);
    service.tcp[0].pool.timeouts.idle_ms = 600;
    proxy.put(service);
    let (mut silent, mut busy) = (call(port, "one"), call(port, "one"));
    let watching = thread::spawn(move || ending(&mut silent));
    while !watching.is_finished() {
        talks(&mut busy);
        thread::park_timeout(Duration::from_millis(20));
    }
    assert_eq!(watching.join().unwrap(), Err(io::ErrorKind::ConnectionReset));
    talks(&mut busy);
}

#[test]
fn what_breaks_on_one_side_breaks_on_the_other() {
    let rude = Server::raw(|_, mut http| {
        http.stream().write_all(b"half a ")?;
        let mut byte = [0];
        http.stream().read_exact(&mut byte)?;
        socket2::SockRef::from(&*http.stream()).set_linger(Some(Duration::ZERO))
    });
    let (proxy, port) = (Proxy::start(), free_port());
    proxy.put(carried("a", Entry::Port(port), &[&rude]));
    let mut client = call(port, "half a ");
    client.write_all(b"!").unwrap();
    assert_eq!(ending(&mut client), Err(io::ErrorKind::ConnectionReset));
}

#[test]
fn connections_under_way_may_end_before_the_proxy_does() {
    let limits = Limits { stop_grace: Duration::from_secs(20), ..Limits::default() };
    let (proxy, port, one) = (Proxy::with(limits), free_port(), echo("one"));
    proxy.put(carried("a", Entry::Port(port), &[&one]));
    let mut client = call(port, "one");
    let stopping = thread::spawn(move || proxy.stop());
    while TcpStream::connect(at(port)).is_ok() {
        thread::yield_now();
    }
    talks(&mut client);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ending(&mut client).unwrap(), b"");
    stopping.join().unwrap();
}

#[test]
fn a_connection_wakes_who_sleeps() {
    let (proxy, port, one) = (Proxy::start(), free_port(), echo("one"));
    let socket = proxy.root.path().join("wake.sock");
    let waker = UnixListener::bind(&socket).unwrap();
    let mut asleep = carried("a", Entry::Port(port), &[]);
    asleep.tcp[0].pool.on_demand = Some(OnDemand::new(socket));
    proxy.put(asleep.clone());
    thread::scope(|scope| {
        let calling = scope.spawn(|| talks(&mut call(port, "one")));
        let (mut asked, _) = waker.accept().unwrap();
        let mut name = String::new();
        io::BufReader::new(&asked).read_line(&mut name).unwrap();
        assert_eq!(name, "a\n");
        asleep.tcp[0].pool.upstreams = vec![one.upstream()];
        proxy.put(asleep.clone());
        writeln!(asked, "{}", serde_json::to_string(&Woken::Done).unwrap()).unwrap();
        calling.join().unwrap();
    });
}
