// SPDX-License-Identifier: Apache-2.0
//! Changes of routes behind each proxy, with 10 hosts and with 1,000, while visitors ask all the time: no request
//! fails. Prints how long a change took, from the call to the first answer by the new route.

use crate::front::{APP, PRODUCTS, choose, driver, is_missing};
use crate::harness::{Hop, fixture};
use hop3_core::driver::{Proxy, ProxyChoice};
use hop3_core::route::{Address, Host, Pool, Route, RouteTable, Service, Target, Upstream};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

const CHANGES: usize = 10;
const VISITORS: usize = 3;
/// Between two requests of one: all day, and no flood.
const PACE: Duration = Duration::from_millis(5);

/// Answers with its name, one request on a connection.
fn app(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut buffer = [0; 4096];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(count) if count > 0 => head.extend(&buffer[..count]),
                        _ => return,
                    }
                }
                let length = name.len();
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{name}");
                // A visitor who has gone is nobody's fault here.
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    address
}

fn ask(at: SocketAddr, host: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn service(number: usize, app: SocketAddr) -> Service {
    let upstream = Upstream { id: format!("{number}-{app}"), address: Address::Tcp(app) };
    let target = Target::Upstreams(Pool { upstreams: vec![upstream], ..Pool::default() });
    let routes = vec![Route { prefix: "/".into(), target }];
    let hosts = vec![Host(format!("h{number}.example.org"))];
    Service { name: format!("s{number}"), hosts, routes, ..Service::default() }
}

/// Milliseconds of each change, how many requests there were, and those that failed.
fn changes(proxy: &dyn Proxy, at: SocketAddr, apps: [SocketAddr; 2]) -> (Vec<u128>, usize, Vec<String>) {
    let asked = AtomicUsize::new(0);
    thread::scope(|scope| {
        let visit = |over: Receiver<()>| {
            let mut wrong = Vec::new();
            while over.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                asked.fetch_add(1, Ordering::Relaxed);
                match ask(at, "h0.example.org") {
                    Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {}
                    other => wrong.push(format!("{other:?}")),
                }
            }
            wrong
        };
        let (ends, visitors): (Vec<Sender<()>>, Vec<_>) = (0..VISITORS)
            .map(|_| {
                let (end, over) = channel();
                (end, scope.spawn(move || visit(over)))
            })
            .unzip();
        let times = (0..CHANGES).map(|turn| {
            let begun = Instant::now();
            proxy.put(&service(0, apps[(turn + 1) % 2])).unwrap();
            let answer = ask(at, "h0.example.org").unwrap();
            let took = begun.elapsed().as_millis();
            assert!(answer.ends_with(["first", "second"][(turn + 1) % 2]), "{answer}");
            took
        });
        let mut times: Vec<u128> = times.collect();
        times.sort_unstable();
        drop(ends);
        let wrong = visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect();
        (times, asked.load(Ordering::Relaxed), wrong)
    })
}

#[test]
fn no_change_of_routes_loses_a_request() {
    if PRODUCTS.into_iter().any(is_missing) {
        return;
    }
    let hop = Hop::start();
    let proxy = driver(&hop);
    let at = ([127, 0, 0, 1], hop.port).into();
    let apps = [app("first"), app("second")];
    for hosts in [10, 1000] {
        let table = RouteTable { services: (0..hosts).map(|number| service(number, apps[0])).collect() };
        for name in ["built-in"].into_iter().chain(PRODUCTS) {
            proxy.choose(name, &table).unwrap();
            proxy.apply(&table).unwrap();
            let (times, asked, wrong) = changes(proxy.as_ref(), at, apps);
            println!(
                "{name}, {hosts} hosts: a change took {} ms ({} to {}), {} of {asked} requests failed",
                times[times.len() / 2],
                times[0],
                times[times.len() - 1],
                wrong.len()
            );
            assert!(wrong.is_empty(), "{name}, {hosts} hosts: {wrong:#?}\n{}", hop.operator_log());
        }
    }
}

/// Asks on a connection that stays, for what is answered without a body: the first line of the answer, empty where
/// the connection was closed.
fn ask_again(wire: &mut BufReader<TcpStream>, host: &str) -> String {
    let asked = wire.get_mut().write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    let mut head = String::new();
    while asked.is_ok() && !head.ends_with("\r\n\r\n") && wire.read_line(&mut head).is_ok_and(|n| n > 0) {}
    head.lines().next().unwrap_or_default().to_owned()
}

/// Caddy would close connections at a load: who idles, and who has come in and not asked yet.
#[test]
fn no_deployment_makes_caddy_load_anything() {
    if is_missing("caddy") {
        return;
    }
    let hop = Hop::start_secure();
    let repository = hop.repository(APP, &fixture("steady"));
    let deploy = || hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
    deploy();
    choose(&hop, "caddy");
    // Where it is told its configuration nobody else comes in.
    let admin = hop.root().join("run/proxy/front/admin");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let doors: Vec<u32> =
        std::fs::read_dir(&admin).unwrap().map(|door| mode(&door.unwrap().path())).collect();
    assert_eq!((mode(&admin), doors), (0o700, vec![0o600]));
    let come = || BufReader::new(TcpStream::connect(("127.0.0.1", hop.port)).unwrap());
    let host = format!("{APP}.localhost:{}", hop.port);
    let led = "HTTP/1.1 301 Moved Permanently";
    let (mut idle, mut newcomer) = (come(), come());
    assert_eq!(ask_again(&mut idle, &host), led);
    repository.write("version", "2");
    deploy();
    assert_eq!((ask_again(&mut idle, &host), ask_again(&mut newcomer, &host)), (led.into(), led.into()));
    // A certificate is another matter, and requests on connections of their own are answered all the same.
    hop.hop3(["domain", "add", "shop.example.org", "-a", APP]).expect_ok();
    assert_eq!(ask_again(&mut idle, &host), "");
    assert_eq!(ask_again(&mut come(), "shop.example.org"), led);
}
