// SPDX-License-Identifier: Apache-2.0
//! `Load`: visitors of every sort at the same time, without pause, each answer looked at.
//!
//! A failure keeps when its request began and ended, so that a test can tell what may explain it. Every answer names
//! the release it is from; two answers of one release that differ in code or config are a failure too.

use crate::harness::until;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long upgraded connections to a retired instance may go on, less what a busy machine blurs.
const DRAIN: Duration = Duration::from_secs(29);
/// A close that was on its way when a request was sent is there within this, on a busy machine too. One that comes
/// later has cut a request that was begun.
const CROSSING: Duration = Duration::from_millis(100);
const STREAM_LINES: usize = 25;
const PIECE: usize = 4096;

pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) kind: &'static str,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) what: String,
}

/// What the visitors saw.
pub(crate) struct Tally {
    pub(crate) requests: BTreeMap<&'static str, u64>,
    pub(crate) failures: Vec<Failure>,
    /// Connections that were closed while they idled: found so before a request, and as a request was on its way.
    pub(crate) idle: u64,
    pub(crate) crossed: u64,
    /// Releases that answered, with what they said of themselves.
    pub(crate) releases: BTreeMap<u32, String>,
}

impl Tally {
    pub(crate) fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    #[track_caller]
    pub(crate) fn expect_no_failure(&self) {
        self.expect_failures_within(&[]);
    }

    /// Fails when a request failed that was not under way during one of these spans.
    #[track_caller]
    pub(crate) fn expect_failures_within(&self, spans: &[(Instant, Instant)]) {
        let explained = |f: &Failure| spans.iter().any(|(from, to)| f.begun <= *to && f.ended >= *from);
        let tell = |f: &Failure| format!("{} after {:?}: {}", f.kind, f.ended - f.begun, f.what);
        let others: Vec<String> = self.failures.iter().filter(|f| !explained(f)).map(tell).collect();
        let first = &others[..others.len().min(20)];
        assert!(others.is_empty(), "{} of {} failed: {first:#?}", others.len(), self.total());
    }
}

struct Shared {
    port: u16,
    host: String,
    is_over: AtomicBool,
    requests: BTreeMap<&'static str, AtomicU64>,
    failures: Mutex<Vec<Failure>>,
    /// A connection that was closed while it idled is no failure: it is counted, and the request is made again.
    forgives: bool,
    /// Found closed before a request was sent, and while one was on its way: no byte of an answer came.
    idle: AtomicU64,
    crossed: AtomicU64,
    /// What each release says of itself, and when it was first seen.
    releases: Mutex<BTreeMap<u32, (String, Instant)>>,
}

type Visit = fn(&Shared, &mut Option<Wire>) -> Result<(), String>;

/// Each sort of visitor, how many of it, and its pause between two requests.
const VISITORS: [(&str, usize, u64, Visit); 7] = [
    ("kept", 2, 4, kept),
    ("new", 2, 8, fresh),
    ("post", 1, 8, post),
    ("slow", 2, 1, slow),
    ("download", 2, 1, download),
    ("upload", 2, 1, upload),
    ("upgraded", 1, 50, upgraded),
];

impl Load {
    /// Returns when every sort of visitor has been answered once.
    pub(crate) fn start(port: u16, app: &str) -> Load {
        Load::begin(port, app, false)
    }

    /// The same with visitors that do as RFC 9112, 9.3.1 allows: a connection that was closed while it idled is
    /// opened again.
    pub(crate) fn forgiving(port: u16, app: &str) -> Load {
        Load::begin(port, app, true)
    }

    fn begin(port: u16, app: &str, forgives: bool) -> Load {
        let shared = Arc::new(Shared {
            port,
            host: format!("{app}.localhost:{port}"),
            is_over: AtomicBool::new(false),
            requests: VISITORS.map(|(kind, ..)| (kind, AtomicU64::new(0))).into_iter().collect(),
            failures: Mutex::default(),
            forgives,
            idle: AtomicU64::default(),
            crossed: AtomicU64::default(),
            releases: Mutex::default(),
        });
        let threads = VISITORS.iter().flat_map(|visitor| {
            let shared = &shared;
            (0..visitor.1).map(move |_| {
                let shared = Arc::clone(shared);
                std::thread::spawn(move || {
                    shared.visit(visitor.0, Duration::from_millis(visitor.2), visitor.3)
                })
            })
        });
        let load = Load { threads: threads.collect(), shared };
        until("every visitor is answered", || load.shared.requests.values().all(|n| n.load(Relaxed) > 0));
        load
    }

    /// Waits until that release or a later one has answered.
    pub(crate) fn wait_for(&self, release: u32) {
        until("the release answers", || self.newest() >= release);
    }

    /// Waits until a release later than that one has answered.
    pub(crate) fn newest_after(&self, release: u32) -> u32 {
        self.wait_for(release + 1);
        self.newest()
    }

    pub(crate) fn newest(&self) -> u32 {
        self.shared.releases.lock().unwrap().keys().last().copied().unwrap_or(0)
    }

    /// Waits until so many more requests have been answered.
    pub(crate) fn more(&self, count: u64) {
        let answered = || self.shared.requests.values().map(|n| n.load(Relaxed)).sum::<u64>();
        let enough = answered() + count;
        until("requests are answered", || answered() >= enough);
    }

    /// Lets what is under way end, and tells.
    pub(crate) fn stop(mut self) -> Tally {
        self.shared.is_over.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        let releases = self.shared.releases.lock().unwrap().clone();
        Tally {
            requests: self.shared.requests.iter().map(|(kind, n)| (*kind, n.load(Relaxed))).collect(),
            failures: self.shared.failures.lock().unwrap().clone(),
            idle: self.shared.idle.load(Relaxed),
            crossed: self.shared.crossed.load(Relaxed),
            releases: releases.into_iter().map(|(release, (text, _))| (release, text)).collect(),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
    }
}

impl Shared {
    fn visit(&self, kind: &'static str, pause: Duration, visit: Visit) {
        let mut connection: Option<Wire> = None;
        let mut last = Instant::now();
        while !self.is_over.load(Relaxed) {
            // A connection that is found dead may have died since it was last used.
            let begun = if connection.is_some() { last } else { Instant::now() };
            match visit(self, &mut connection) {
                Ok(()) => drop(self.requests[kind].fetch_add(1, Relaxed)),
                Err(what) => {
                    connection = None;
                    let failure = Failure { kind, begun, ended: Instant::now(), what };
                    self.failures.lock().unwrap().push(failure);
                }
            }
            last = Instant::now();
            std::thread::park_timeout(pause);
        }
    }

    fn request(&self, method: &str, path: &str, more: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{more}\r\n", self.host)
    }

    /// Notes who answered: `release=v3 version=2 setting=x`, then what is asked for.
    fn note(&self, text: &str) -> Result<u32, String> {
        let said = text.split(" sum=").next().unwrap_or_default().trim_end();
        let number = said.strip_prefix("release=v").and_then(|s| s.split(' ').next()?.parse().ok());
        let number: u32 = number.ok_or_else(|| format!("not from a release: {text:?}"))?;
        let mut releases = self.releases.lock().unwrap();
        let (first, _) = releases.entry(number).or_insert_with(|| (said.to_owned(), Instant::now()));
        if first == said { Ok(number) } else { Err(format!("{first:?} says now {said:?}")) }
    }

    /// Tells whether a later release has answered for as long as a drain takes.
    fn is_drained(&self, release: u32) -> bool {
        let releases = self.releases.lock().unwrap();
        releases.range(release + 1..).any(|(_, (_, since))| since.elapsed() >= DRAIN)
    }

    fn connect(&self) -> Result<Wire, String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| format!("connecting: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        Ok(Wire { stream: BufReader::new(stream), release: 0, is_answered: false })
    }

    /// One request and its answer; the connection is kept unless the answer says otherwise.
    fn exchange(&self, kept: &mut Option<Wire>, request: &[u8]) -> Result<String, String> {
        let mut reused = kept.take();
        if self.forgives && reused.as_ref().is_some_and(Wire::is_closed) {
            self.idle.fetch_add(1, Relaxed);
            reused = None;
        }
        let is_new = reused.is_none();
        let mut wire = reused.map_or_else(|| self.connect(), Ok)?;
        wire.is_answered = false;
        let sent = Instant::now();
        let answered = wire.send(request).and_then(|()| wire.answer());
        let has_crossed = !is_new && !wire.is_answered && sent.elapsed() < CROSSING;
        if answered.is_err() && self.forgives && has_crossed {
            self.crossed.fetch_add(1, Relaxed);
            return self.exchange(kept, request);
        }
        let (text, stays) = answered?;
        self.note(&text)?;
        *kept = stays.then_some(wire);
        Ok(text)
    }
}

fn kept(shared: &Shared, connection: &mut Option<Wire>) -> Result<(), String> {
    shared.exchange(connection, shared.request("GET", "/", "").as_bytes()).map(drop)
}

fn fresh(shared: &Shared, _: &mut Option<Wire>) -> Result<(), String> {
    shared.exchange(&mut None, shared.request("GET", "/", "Connection: close\r\n").as_bytes()).map(drop)
}

fn slow(shared: &Shared, connection: &mut Option<Wire>) -> Result<(), String> {
    shared.exchange(connection, shared.request("GET", "/slow", "").as_bytes()).map(drop)
}

fn post(shared: &Shared, connection: &mut Option<Wire>) -> Result<(), String> {
    let head = shared.request("POST", "/", &format!("Content-Length: {}\r\n", 5 * PIECE));
    let request = [head.as_bytes(), &[7; 5 * PIECE]].concat();
    sum_is(&shared.exchange(connection, &request)?, 7 * 5 * PIECE)
}

/// A body that comes over two and a half seconds.
fn upload(shared: &Shared, _: &mut Option<Wire>) -> Result<(), String> {
    let mut wire = shared.connect()?;
    let head = shared.request("POST", "/", &format!("Content-Length: {}\r\n", STREAM_LINES * PIECE));
    wire.send(head.as_bytes())?;
    for _ in 0..STREAM_LINES {
        wire.send(&[3; PIECE])?;
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let (text, _) = wire.answer()?;
    shared.note(&text)?;
    sum_is(&text, 3 * STREAM_LINES * PIECE)
}

fn sum_is(text: &str, sum: usize) -> Result<(), String> {
    let is_whole = text.trim_end().ends_with(&format!(" sum={sum}"));
    if is_whole { Ok(()) } else { Err(format!("the body did not arrive whole: {text:?}")) }
}

/// An answer that comes over two and a half seconds, all from one release.
fn download(shared: &Shared, _: &mut Option<Wire>) -> Result<(), String> {
    let mut wire = shared.connect()?;
    wire.send(shared.request("GET", "/stream", "").as_bytes())?;
    let (text, _) = wire.answer()?;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() != STREAM_LINES || lines.iter().any(|line| *line != lines[0]) {
        return Err(format!("not a whole stream: {text:?}"));
    }
    shared.note(lines[0]).map(drop)
}

/// A connection that is open for as long as it may be, and echoes.
fn upgraded(shared: &Shared, connection: &mut Option<Wire>) -> Result<(), String> {
    let Some(wire) = connection else {
        let mut wire = shared.connect()?;
        wire.send(shared.request("GET", "/", "Connection: Upgrade\r\nUpgrade: echo\r\n").as_bytes())?;
        let head = wire.head()?;
        if !head.starts_with("HTTP/1.1 101 ") {
            return Err(format!("not upgraded: {head}"));
        }
        wire.release = shared.note(&wire.line()?)?;
        *connection = Some(wire);
        return Ok(());
    };
    let release = wire.release;
    let echoed = wire.send(b"ping\n").and_then(|()| wire.line());
    match echoed {
        Ok(line) if line == "ping\n" => Ok(()),
        Err(_) if shared.is_drained(release) => {
            *connection = None;
            Ok(())
        }
        other => Err(format!("upgraded to v{release}: {other:?}")),
    }
}

struct Wire {
    stream: BufReader<TcpStream>,
    /// Of an upgraded connection.
    release: u32,
    /// A byte of the answer has come.
    is_answered: bool,
}

impl Wire {
    /// The other side has ended it.
    fn is_closed(&self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).unwrap();
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        !matches!(peeked, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.get_mut().write_all(bytes).map_err(|e| format!("writing: {e}"))
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).map_err(|e| format!("reading: {e}"))?;
        self.is_answered |= read > 0;
        if read == 0 { Err("closed".to_owned()) } else { Ok(line) }
    }

    fn head(&mut self) -> Result<String, String> {
        let mut head = self.line()?;
        while !head.ends_with("\r\n\r\n") {
            head += &self.line()?;
        }
        Ok(head)
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).map_err(|e| format!("body cut: {e}"))?;
        Ok(bytes)
    }

    /// The body of a 200, and whether the connection stays.
    fn answer(&mut self) -> Result<(String, bool), String> {
        let head = self.head()?;
        let lower = head.to_lowercase();
        let field = |name: &str| lower.lines().find_map(|l| Some(l.strip_prefix(name)?.trim().to_owned()));
        let mut body = Vec::new();
        match field("content-length:").and_then(|n| n.parse().ok()) {
            Some(length) => body = self.exactly(length)?,
            None => loop {
                let line = self.line()?;
                let size = usize::from_str_radix(line.trim(), 16).map_err(|e| format!("{line:?}: {e}"))?;
                let chunk = self.exactly(size + 2)?;
                if size == 0 {
                    break;
                }
                body.extend_from_slice(&chunk[..size]);
            },
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let status = head.split(' ').nth(1).unwrap_or_default();
        let stays = field("connection:").as_deref() != Some("close");
        if status == "200" { Ok((text, stays)) } else { Err(format!("{head}{text:.200}")) }
    }
}
