// SPDX-License-Identifier: Apache-2.0
//! An app for the judge: answers with its name and the head it got; `/hold` waits until it is released, `/echo`
//! upgrades and gives back each line, `/break` is not answered. One request on a connection.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

pub(super) struct App {
    pub(super) address: SocketAddr,
    held: Arc<Held>,
}

/// How many requests wait, and how many were let go.
#[derive(Default)]
struct Held {
    counts: Mutex<(u64, u64)>,
    changed: Condvar,
}

impl Held {
    fn change(&self, change: impl FnOnce(&mut (u64, u64))) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn wait(&self, while_so: impl FnMut(&mut (u64, u64)) -> bool) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(counts, while_so));
    }
}

impl App {
    /// It listens for as long as the judge's process lives.
    pub(super) fn start(name: &'static str) -> io::Result<App> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let app = App { address: listener.local_addr()?, held: Arc::default() };
        let held = Arc::clone(&app.held);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let held = Arc::clone(&held);
                // Whoever goes away early is the proxy's business.
                thread::spawn(move || serve(name, stream, &held));
            }
        });
        Ok(app)
    }

    /// Returns when a request waits.
    pub(super) fn wait_for_held(&self) {
        self.held.wait(|(held, released)| held <= released);
    }

    pub(super) fn release(&self) {
        self.held.change(|(held, released)| *released = *held);
    }
}

fn serve(name: &str, stream: TcpStream, held: &Held) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    if head.starts_with("GET /echo ") {
        reader
            .get_mut()
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 {
            reader.get_mut().write_all(line.as_bytes())?;
            line.clear();
        }
        return Ok(());
    }
    if head.starts_with("GET /break ") {
        return Ok(());
    }
    if head.starts_with("GET /hold ") {
        let mut own = 0;
        held.change(|(held, _)| {
            *held += 1;
            own = *held;
        });
        held.wait(|(_, released)| *released < own);
    }
    let body = format!("{name}\n{head}");
    let length = body.len();
    write!(reader.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
