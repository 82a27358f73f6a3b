// SPDX-License-Identifier: Apache-2.0
//! `Proxy`: one under test. `Server`: an upstream on a thread. `Http`: a client that reads answers byte by byte.

use crate::control::{Answer, Request};
use crate::{Io, Limits, Options, Running};
use hop3_core::layout::Layout;
use hop3_core::route::{
    Address, Host, Pool, Route, RouteTable, Service, StaticFiles, Target, Timeouts, Upstream,
};
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

pub(crate) struct Proxy {
    pub(crate) root: tempfile::TempDir,
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    running: Option<Running>,
}

impl Proxy {
    pub(crate) fn start() -> Proxy {
        Proxy::with(Limits { threads: NonZeroUsize::new(2), ..Limits::default() })
    }

    pub(crate) fn with(limits: Limits) -> Proxy {
        let root = tempfile::tempdir().unwrap();
        let running = Running::start(options(root.path()), limits).unwrap();
        Proxy::resume(root, running)
    }

    /// One that listens for HTTPS too.
    pub(crate) fn secure(limits: Limits) -> Proxy {
        let root = tempfile::tempdir().unwrap();
        let options = Options { https: Some("127.0.0.1:0".parse().unwrap()), ..options(root.path()) };
        let running = Running::start(options, limits).unwrap();
        Proxy::resume(root, running)
    }

    /// The next one on a root.
    pub(crate) fn resume_at(root: tempfile::TempDir) -> Proxy {
        let running = Running::start(options(root.path()), Limits::default()).unwrap();
        Proxy::resume(root, running)
    }

    /// One that was started by the test itself.
    pub(crate) fn resume(root: tempfile::TempDir, running: Running) -> Proxy {
        Proxy { http: running.http(), https: running.https(), running: Some(running), root }
    }

    /// What it would show authorities.
    pub(crate) fn challenges(&self) -> Arc<crate::cert::Challenges> {
        self.running.as_ref().unwrap().shared.keeper.challenges.clone()
    }

    pub(crate) fn ask(&self, request: &Request<'_>) -> Answer {
        ask(self.root.path(), request)
    }

    pub(crate) fn put(&self, service: Service) {
        assert!(matches!(self.ask(&Request::Put { service: Cow::Owned(service) }), Answer::Done));
    }

    /// Routes the host `a` to these.
    pub(crate) fn route(&self, servers: &[&Server]) {
        self.put(service("a", servers));
    }

    pub(crate) fn connect(&self) -> Http {
        Http::new(TcpStream::connect(self.http).unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.connect().get(path)
    }

    pub(crate) fn drain(&self, ids: &[String], deadline: Duration) -> Answer {
        self.ask(&Request::Drain { upstreams: ids.to_vec(), deadline_ms: deadline.as_millis() as u64 })
    }

    pub(crate) fn stop(mut self) -> tempfile::TempDir {
        self.running.take().unwrap().stop().unwrap();
        std::mem::replace(&mut self.root, tempfile::tempdir().unwrap())
    }
}

pub(crate) fn options(root: &Path) -> Options {
    let io = match std::env::var("HOP3_PROXY_IO").as_deref() {
        Ok("epoll") => Io::Epoll,
        _ => Io::Uring,
    };
    Options { allowed_uid: 0, io, ..Options::new(Layout::new(root), "127.0.0.1:0".parse().unwrap()) }
}

pub(crate) fn ask(root: &Path, request: &Request<'_>) -> Answer {
    try_ask(&Layout::new(root).proxy_socket(), request).unwrap()
}

/// As `ask`; `None` from a proxy that sends its askers away.
pub(crate) fn try_ask(socket: &Path, request: &Request<'_>) -> Option<Answer> {
    let mut socket = UnixStream::connect(socket).ok()?;
    socket.write_all((serde_json::to_string(request).unwrap() + "\n").as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

pub(crate) fn service(host: &str, servers: &[&Server]) -> Service {
    pool(
        host,
        Pool {
            upstreams: servers.iter().map(|s| s.upstream()).collect(),
            timeouts: timeouts(),
            ..Pool::default()
        },
    )
}

pub(crate) fn timeouts() -> Timeouts {
    Timeouts { connect_ms: 1000, response_ms: 5000, idle_ms: 5000 }
}

pub(crate) fn pool(host: &str, pool: Pool) -> Service {
    one_route(host, Target::Upstreams(pool))
}

pub(crate) fn site(root: &Path, spa: bool) -> Service {
    one_route("a", Target::Static(StaticFiles { root: root.to_owned(), spa, ..StaticFiles::default() }))
}

pub(crate) fn one_route(host: &str, target: Target) -> Service {
    let routes = vec![Route { prefix: "/".into(), target }];
    Service { name: host.into(), hosts: vec![Host(host.into())], routes, ..Service::default() }
}

pub(crate) fn table(services: Vec<Service>) -> Request<'static> {
    Request::Replace { table: Cow::Owned(RouteTable { services }) }
}

/// An upstream: each connection has a thread that runs the script with the connection's number.
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) requests: Arc<AtomicUsize>,
    listener: TcpListener,
}

/// A request as an upstream saw it.
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or("")
    }
}

static NEXT: AtomicUsize = AtomicUsize::new(1);

impl Server {
    /// Whole control over each connection.
    pub(crate) fn raw(script: impl Fn(usize, Http) -> io::Result<()> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (accepting, count, script) =
            (listener.try_clone().unwrap(), connections.clone(), Arc::new(script));
        thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                let number = count.fetch_add(1, SeqCst) + 1;
                let script = script.clone();
                thread::spawn(move || script(number, Http::new(stream)));
            }
        });
        let id = format!("u{}", NEXT.fetch_add(1, SeqCst));
        Server { id, address, connections, requests: Arc::default(), listener }
    }

    /// Keeps connections and answers each request with what `answer` writes.
    pub(crate) fn start(
        answer: impl Fn(&Seen, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        let server = Server::raw(move |_, mut http| {
            while let Some(seen) = http.read_request()? {
                count.fetch_add(1, SeqCst);
                answer(&seen, http.stream())?;
            }
            Ok(())
        });
        Server { requests, ..server }
    }

    /// Answers with the name given, the path and the body's length.
    pub(crate) fn named(name: &str) -> Server {
        let name = name.to_owned();
        Server::start(move |seen, stream| {
            let text = format!("{name} {} {}", seen.path(), seen.body.len());
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
        })
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream { id: self.id.clone(), address: Address::Tcp(self.address) }
    }

    /// Accepts no more connections; those it has go on.
    pub(crate) fn refuse(&self) {
        let socket = socket2::SockRef::from(&self.listener);
        socket.shutdown(std::net::Shutdown::Both).unwrap();
    }
}

/// One end of a connection that speaks HTTP.
pub(crate) struct Http<S = TcpStream>(BufReader<S>);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The body arrived whole.
    pub(crate) is_whole: bool,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Http {
    pub(crate) fn new(stream: TcpStream) -> Http {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Http(BufReader::new(stream))
    }
}

impl<S: Read + Write> Http<S> {
    /// Over whatever carries bytes.
    pub(crate) fn over(stream: S) -> Http<S> {
        Http(BufReader::new(stream))
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        self.0.get_mut()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream().write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.reply()
    }

    /// Reads one response to anything but HEAD.
    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply().unwrap()
    }

    pub(crate) fn try_reply(&mut self) -> io::Result<Reply> {
        let head = self.read_head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.get(9..12).and_then(|s| s.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let (body, is_whole) = match status {
            100..=199 | 204 | 304 => (Vec::new(), true),
            _ => self.read_body(&head),
        };
        Ok(Reply { status, head, body, is_whole })
    }

    /// What is no text in it is replaced.
    pub(crate) fn read_head(&mut self) -> io::Result<Option<String>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut head)? == 0 {
                return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        Ok(Some(String::from_utf8_lossy(&head).into_owned()))
    }

    fn read_request(&mut self) -> io::Result<Option<Seen>> {
        let Some(head) = self.read_head()? else { return Ok(None) };
        let has_body =
            header(&head, "content-length").is_some() || header(&head, "transfer-encoding").is_some();
        let body = if has_body { self.read_body(&head) } else { (Vec::new(), true) };
        if body.1 { Ok(Some(Seen { head, body: body.0 })) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// The body, and whether it was whole.
    fn read_body(&mut self, head: &str) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        if let Some(length) = header(head, "content-length") {
            let length = length.parse::<u64>().unwrap();
            let read = (&mut self.0).take(length).read_to_end(&mut body);
            let is_whole = read.is_ok_and(|count| count as u64 == length);
            return (body, is_whole);
        }
        if header(head, "transfer-encoding").is_none() {
            let is_whole = self.0.read_to_end(&mut body).is_ok();
            return (body, is_whole);
        }
        loop {
            match self.read_chunk() {
                Some(chunk) if chunk.is_empty() => return (body, true),
                Some(chunk) => body.extend(chunk),
                None => return (body, false),
            }
        }
    }

    /// One chunk; the last one is empty and has its trailers read.
    pub(crate) fn read_chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim_end().split(';').next()?, 16).ok()?;
        let mut chunk = vec![0; size];
        self.0.read_exact(&mut chunk).ok()?;
        loop {
            line.clear();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                return Some(chunk);
            }
        }
    }

    pub(crate) fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn read_some(&mut self, buffer: &mut [u8]) -> usize {
        self.0.read(buffer).unwrap()
    }

    /// True when the other side ended the connection and nothing more came.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0))
    }
}
