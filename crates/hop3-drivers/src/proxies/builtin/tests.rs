// SPDX-License-Identifier: Apache-2.0
//! The driver against a real proxy: every call, over restarts.

use super::Builtin;
use hop3_core::driver::Proxy;
use hop3_core::layout::Layout;
use hop3_core::route::{Address, Host, Page, Pool, Route, RouteTable, Service, Target, Upstream};
use hop3_proxy::{Limits, Options, Running};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn start(layout: &Layout) -> Running {
    let options = Options::new(layout.clone(), "127.0.0.1:0".parse().unwrap());
    Running::start(options, Limits::default()).unwrap()
}

fn service(name: &str, target: Target) -> Service {
    let routes = vec![Route { prefix: "/".into(), target }];
    Service { name: name.into(), hosts: vec![Host(name.into())], routes, ..Service::default() }
}

fn status(http: SocketAddr, host: &str) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    write!(stream, "GET / HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[test]
fn the_table_is_applied_changed_and_drained() {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(root.path());
    let running = start(&layout);
    let proxy = Builtin::new(&layout);
    let stopped = service("stopped.test", Target::Page(Page::Stopped));
    let upstream = Upstream { id: "i1".into(), address: Address::Unix("/nowhere".into()) };
    let pool = Pool { upstreams: vec![upstream], timeouts: Default::default(), ..Pool::default() };
    for _ in 0..2 {
        proxy.apply(&RouteTable { services: vec![stopped.clone()] }).unwrap();
        proxy.put(&service("pool.test", Target::Upstreams(pool.clone()))).unwrap();
    }
    assert_eq!(proxy.status().unwrap().services, 2);
    assert_eq!(status(running.http(), "stopped.test"), "HTTP/1.1 503 Service Unavailable");
    let problem = proxy.drain(&["i1".into()], Duration::from_secs(1)).unwrap_err();
    assert_eq!(problem.code, "proxy.refused");
    for _ in 0..2 {
        proxy.remove("pool.test").unwrap();
    }
    assert_eq!(proxy.drain(&["i1".into()], Duration::from_secs(1)).unwrap().cut, 0);
    assert_eq!(status(running.http(), "pool.test"), "HTTP/1.1 404 Not Found");
    running.stop().unwrap();
}

#[test]
fn calls_wait_for_a_proxy_that_is_being_restarted() {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(root.path());
    let proxy = Builtin::new(&layout);
    let first = start(&layout);
    proxy.put(&service("a.test", Target::Page(Page::NotDeployed))).unwrap();
    first.stop().unwrap();
    std::thread::scope(|scope| {
        let put = scope.spawn(|| proxy.put(&service("b.test", Target::Page(Page::NotDeployed))));
        let second = start(&layout);
        put.join().unwrap().unwrap();
        assert_eq!(proxy.status().unwrap().services, 2);
        second.stop().unwrap();
    });
}

#[test]
fn a_proxy_that_is_not_there_is_told_as_a_problem() {
    let root = tempfile::tempdir().unwrap();
    let problem = Builtin::new(&Layout::new(root.path())).status().unwrap_err();
    assert_eq!(problem.code, "proxy.away");
}
