// SPDX-License-Identifier: Apache-2.0
//! `Ledger`: an app that keeps numbers in an addon, with writers who post one after the other through the proxy and
//! know which were acknowledged. Whatever happens to addons is judged by it.

use crate::harness::{Hop, Repository, fixture, skip, until};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const WRITERS: usize = 4;

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Each kind, the program of its server, and options with which what is acknowledged is on disk.
pub(crate) const KINDS: [(&str, &str, &str); 3] = [
    ("postgres", "/usr/lib/postgresql", ""),
    ("mysql", "/usr/sbin/mariadbd", ""),
    ("redis", "/usr/bin/redis-server", "options = { durable = \"yes\" }\n"),
];

/// Whether there are servers and what the app needs to speak to them.
pub(crate) fn can_run(test: &str, kind: &str) -> bool {
    let program = KINDS.iter().find(|(word, ..)| *word == kind).unwrap().1;
    let speaks = Command::new("/usr/bin/python3").args(["-c", "import psycopg2, pymysql"]).output();
    let reason = match (std::path::Path::new(program).exists(), speaks.is_ok_and(|ran| ran.status.success()))
    {
        (true, true) => return true,
        (false, _) => format!("{kind} is not installed"),
        (true, false) => "/usr/bin/python3 has no psycopg2 or no pymysql".to_owned(),
    };
    skip(test, &reason);
    false
}

pub(crate) struct Ledger {
    pub(crate) app: String,
    pub(crate) addon: String,
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<()>>,
}

struct Shared {
    port: u16,
    host: String,
    is_over: AtomicBool,
    next: AtomicU32,
    /// Each number, and when it was acknowledged.
    acknowledged: Mutex<BTreeMap<u32, Instant>>,
    failures: Mutex<Vec<String>>,
}

impl Ledger {
    /// Pushes the app with an addon of that kind, and begins to write.
    pub(crate) fn start(hop: &Hop, kind: &str) -> (Ledger, Repository) {
        let options = KINDS.iter().find(|(word, ..)| *word == kind).map_or("", |(.., options)| options);
        Ledger::start_with(hop, kind, kind, options)
    }

    /// The same under another name, with these lines about its addon.
    pub(crate) fn start_with(hop: &Hop, name: &str, kind: &str, options: &str) -> (Ledger, Repository) {
        let (app, addon) = (format!("{name}-ledger"), format!("{name}-numbers"));
        let repository = hop.repository(&app, &fixture("ledger"));
        repository
            .write("hop3.toml", &format!("[[addons]]\ntype = \"{kind}\"\nname = \"{addon}\"\n{options}"));
        repository.commit("with its addon");
        let pushed = repository.push(&hop.remote(&app), "main");
        assert!(pushed.ok, "{}\n{}", pushed.text, hop.operator_log());
        let shared = Arc::new(Shared {
            port: hop.port,
            host: format!("{app}.localhost:{}", hop.port),
            is_over: AtomicBool::new(false),
            next: AtomicU32::new(1),
            acknowledged: Mutex::default(),
            failures: Mutex::default(),
        });
        let writers = (0..WRITERS).map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.write())
        });
        (Ledger { writers: writers.collect(), shared, app, addon }, repository)
    }

    /// Waits until so many more numbers were acknowledged.
    pub(crate) fn more(&self, count: usize) {
        let acknowledged = || self.shared.acknowledged.lock().unwrap().len();
        let enough = acknowledged() + count;
        until(&format!("{} acknowledges numbers", self.app), || acknowledged() >= enough);
    }

    /// What was acknowledged and is not there. Fails when the app cannot tell.
    pub(crate) fn lost(&self, hop: &Hop) -> Vec<u32> {
        let acknowledged = self.shared.acknowledged.lock().unwrap().clone();
        let mut told = hop.get(&self.app, "/all");
        until("the app tells all", || {
            told = hop.get(&self.app, "/all");
            told.status == 200
        });
        let kept: BTreeSet<u32> = told.text().split(' ').filter_map(|number| number.parse().ok()).collect();
        acknowledged.into_keys().filter(|number| !kept.contains(number)).collect()
    }

    /// Does not miss these any more; gives how long before that moment the oldest of them was acknowledged.
    pub(crate) fn forgive(&self, lost: &[u32], moment: Instant) -> Duration {
        let mut acknowledged = self.shared.acknowledged.lock().unwrap();
        let ages = lost.iter().filter_map(|number| acknowledged.remove(number));
        ages.map(|at| moment.saturating_duration_since(at)).max().unwrap_or_default()
    }

    /// Ends the writers; gives how many numbers were acknowledged, and what failed.
    pub(crate) fn stop(mut self) -> (usize, Vec<String>) {
        self.shared.is_over.store(true, Relaxed);
        self.writers.drain(..).for_each(|writer| writer.join().unwrap());
        let failures = self.shared.failures.lock().unwrap().clone();
        (self.shared.acknowledged.lock().unwrap().len(), failures)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
    }
}

impl Shared {
    fn write(&self) {
        let mut kept = None;
        while !self.is_over.load(Relaxed) {
            let number = self.next.fetch_add(1, Relaxed);
            match self.post(number, &mut kept) {
                Ok(()) => drop(self.acknowledged.lock().unwrap().insert(number, Instant::now())),
                Err(what) => {
                    kept = None;
                    self.failures.lock().unwrap().push(format!("{number}: {what}"));
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            }
        }
    }

    /// On the connection that is kept, or a new one.
    fn post(&self, number: u32, kept: &mut Option<BufReader<TcpStream>>) -> Result<(), String> {
        let mut stream = kept.take().map_or_else(|| self.connect(), Ok)?;
        let request = format!("POST /{number} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.host);
        stream.get_mut().write_all(request.as_bytes()).map_err(|e| format!("writing: {e}"))?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = stream.read_line(&mut head).map_err(|e| format!("reading: {e}"))?;
            if read == 0 {
                return Err("closed".to_owned());
            }
        }
        let lower = head.to_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).map_err(|e| format!("body cut: {e}"))?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(format!("{}: {}", head.lines().next().unwrap_or(""), String::from_utf8_lossy(&body)));
        }
        *kept = (!lower.contains("connection: close")).then_some(stream);
        Ok(())
    }

    fn connect(&self) -> Result<BufReader<TcpStream>, String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| format!("connecting: {e}"))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        Ok(BufReader::new(stream))
    }
}
