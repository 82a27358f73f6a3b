// SPDX-License-Identifier: Apache-2.0
//! The server: accepts connections on its port and gives each a thread.

use super::relay::Smarthost;
use super::session::{Message, Reply, Session};
use super::settings::{FILE, Settings, Way};
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Each may hold a message in memory.
const MOST_SESSIONS: usize = 32;

static SESSIONS: AtomicUsize = AtomicUsize::new(0);
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// `hop3 mail`, in the directory of its addon.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("mail: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings()?.port))?;
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        if SESSIONS.fetch_add(1, Relaxed) >= MOST_SESSIONS {
            SESSIONS.fetch_sub(1, Relaxed);
            let _ = (&stream).write_all(b"421 4.3.2 too many connections\r\n");
            continue;
        }
        std::thread::spawn(move || {
            // A client that goes away has said all it wanted.
            let _ = Session::new(stream, &settings, &deliver).run();
            SESSIONS.fetch_sub(1, Relaxed);
        });
    }
    Ok(())
}

fn settings() -> io::Result<Settings> {
    Settings::read(&fs::read_to_string(FILE)?).map_err(|problem| io::Error::other(problem.title))
}

/// Says a line for the addon's log.
fn tell(line: &str) {
    // Nobody may be reading.
    let _ = writeln!(io::stdout(), "{line}");
}

fn deliver(message: &Message, way: &Way) -> Reply {
    let reply = match way {
        Way::Inbox => keep(message).unwrap_or_else(|e| Reply::new(451, format!("4.3.0 not kept: {e}"))),
        Way::Relay { url, tls } => match Smarthost::of(url, *tls) {
            Ok(smarthost) => smarthost.send(message).unwrap_or_else(|reply| reply),
            Err(problem) => Reply::new(451, format!("4.3.5 {}", problem.title)),
        },
    };
    tell(&format!("from <{}> to <{}>: {reply}", message.from, message.to.join(">, <")));
    reply
}

/// Writes a file, whole or not at all; its name tells when it came.
fn keep(message: &Message) -> io::Result<Reply> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let name = format!("{time}-{}", NUMBER.fetch_add(1, Relaxed));
    let draft = format!("inbox/.{name}");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(format!("Return-Path: <{}>\r\n", message.from).as_bytes())?;
    for to in &message.to {
        file.write_all(format!("Delivered-To: {to}\r\n").as_bytes())?;
    }
    file.write_all(&message.text)?;
    file.sync_all()?;
    fs::rename(&draft, format!("inbox/{name}.eml"))?;
    Ok(Reply::new(250, format!("2.0.0 kept as {name}.eml")))
}

/// Somebody who speaks SMTP listens there.
pub(super) fn greets(port: u16) -> bool {
    let greeting = || -> io::Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    greeting().is_ok_and(|line| line.starts_with("220 "))
}
