// SPDX-License-Identifier: Apache-2.0
//! Connections that are carried as they are: on ports of their own and by the host a TLS hello names.

mod carry;
mod passthrough;
mod ports;

use super::harness::*;
use crate::control::{Answer, Request};
use hop3_core::route::{Host, Pool, Service, TcpRoute, Timeouts};
use hop3_core::tcp::{Entry, Port};
use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// One that nobody has at the moment, below those that the kernel gives to whoever connects.
pub(crate) fn free_port() -> Port {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let place = (std::process::id() * 997 + NEXT.fetch_add(1, SeqCst)) % 20_000;
        let port = Port::new(10_000 + place as u16).unwrap();
        if TcpListener::bind(at(port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn at(port: Port) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port.get()))
}

pub(crate) fn entry(host: &str) -> Entry {
    Entry::Host(host.parse().unwrap())
}

/// A service without HTTP.
pub(crate) fn carried(name: &str, entry: Entry, servers: &[&Server]) -> Service {
    let upstreams = servers.iter().map(|server| server.upstream()).collect();
    let timeouts = Timeouts { idle_ms: 60_000, ..timeouts() };
    let pool = Pool { upstreams, timeouts, ..Pool::default() };
    let tcp = vec![TcpRoute { entry, pool, proxy_protocol: false }];
    Service { name: name.into(), hosts: vec![Host(name.into())], tcp, ..Service::default() }
}

/// Says its name, then what it hears.
pub(crate) fn echo(name: &str) -> Server {
    let name = name.to_owned();
    Server::raw(move |_, mut http| {
        http.stream().write_all(name.as_bytes())?;
        let mut stream = http.stream().try_clone()?;
        io::copy(&mut stream, http.stream())?;
        http.stream().shutdown(Shutdown::Write)
    })
}

/// A connection that has heard the name of who answers.
pub(crate) fn call(port: Port, name: &str) -> TcpStream {
    let mut stream = open(at(port));
    hears(&mut stream, name.as_bytes());
    stream
}

pub(crate) fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

pub(crate) fn hears(stream: &mut TcpStream, expected: &[u8]) {
    let mut seen = vec![0; expected.len()];
    stream.read_exact(&mut seen).unwrap();
    assert_eq!(String::from_utf8_lossy(&seen), String::from_utf8_lossy(expected));
}

/// It lives, and is answered.
pub(crate) fn talks(stream: &mut TcpStream) {
    stream.write_all(b"still there?").unwrap();
    hears(stream, b"still there?");
}

/// How it ended: `Ok` by an end, `Err` by a reset.
pub(crate) fn ending(stream: &mut TcpStream) -> Result<Vec<u8>, io::ErrorKind> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map(|_| rest).map_err(|error| error.kind())
}

pub(crate) fn put(proxy: &Proxy, service: Service) -> Answer {
    proxy.ask(&Request::Put { service: Cow::Owned(service) })
}

/// The code of a problem that a change was refused with.
pub(crate) fn refused(answer: Answer) -> String {
    match answer {
        Answer::Problem(problem) => problem.code,
        other => panic!("{other:?}"),
    }
}
