// SPDX-License-Identifier: Apache-2.0
//! `Mark`: how Traefik tells which configuration counts. Beside the routes lies a file with one more, of a random path
//! at an entry point of its own: it answers there when what was written with it is what it goes by.

use super::OWN_ADDRESS;
use crate::proxies::front::process::{Main, wait};
use crate::proxies::front::product::Judged;
use serde_json::Value;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const GOOD: &[u8] = b"HTTP/1.0 200 ";
const FILE: &str = "mark.yml";
/// One that is judged has read everything within this.
const PATIENCE: Duration = Duration::from_secs(20);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Of what it tells about itself, so many bytes are read.
const MAX_ANSWER: u64 = 64 << 20;

pub(super) struct Mark(String);

impl Mark {
    pub(super) fn fresh() -> io::Result<Mark> {
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        Ok(Mark(format!("{:032x}", u128::from_ne_bytes(random))))
    }

    /// The one beside the routes.
    pub(super) fn read(folder: &Path) -> Option<Mark> {
        let text = fs::read_to_string(folder.join(FILE)).ok()?;
        text.lines().next()?.strip_prefix("# ").map(|mark| Mark(mark.to_owned()))
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        self.write_for(folder, &format!("Path(`/{}`)", self.0), "ping@internal")
    }

    fn write_for(&self, folder: &Path, rule: &str, service: &str) -> io::Result<()> {
        let text = format!(
            "# {}\nhttp:\n  routers:\n    mark: {{ entryPoints: [own], rule: \"{rule}\", priority: 40000, service: {service} }}\n",
            self.0
        );
        // By another ending it is nobody's.
        let beside = folder.join("mark.new");
        fs::write(&beside, text)?;
        fs::rename(beside, folder.join(FILE))
    }

    /// The process that listens there for us goes by what was written with it.
    pub(super) fn shows(&self, at: SocketAddr) -> bool {
        get(at, &format!("/{}", self.0), "").is_ok_and(|answer| answer.starts_with(GOOD))
    }
}

/// Where it listens for us.
pub(super) fn own(main: Main) -> Option<SocketAddr> {
    main.listens().into_iter().find(|address| address.ip() == OWN_ADDRESS)
}

/// Has one read the folder that is started for that alone, and tells what it thinks of it.
pub(super) fn judge(mut command: Command, folder: &Path, dynamic: &Path) -> io::Result<Judged> {
    let mark = Mark::fresh()?;
    mark.write_for(
        dynamic,
        &format!("Path(`/api/rawdata`) && Header(`Hop3`, `{}`)", mark.0),
        "api@internal",
    )?;
    let log = folder.join("judged.log");
    command.current_dir(folder).stdin(Stdio::null()).stdout(fs::File::create(&log)?).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let main = Main::of(child.id());
    let (mut at, mut told) = (None, None);
    let header = format!("Hop3: {}\r\n", mark.0);
    wait(PATIENCE, || {
        at = at.or_else(|| main.and_then(own));
        told = at.and_then(|at| facts(at, &header));
        told.is_some() || !matches!(child.try_wait(), Ok(None)) || gives_up(&log)
    });
    child.kill()?;
    child.wait()?;
    let words = match told {
        Some(told) => complaints(&told),
        None => fs::read_to_string(&log)? + "it does not read this",
    };
    fs::remove_file(&log)?;
    mark.write(dynamic)?;
    Ok(Judged { is_good: words.is_empty(), said: words.into_bytes() })
}

/// It goes on without a file that it cannot read.
fn gives_up(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|words| words.contains("Cannot start the provider"))
}

/// What it knows, once it has read the mark.
fn facts(at: SocketAddr, header: &str) -> Option<Value> {
    let answer = get(at, "/api/rawdata", header).ok()?;
    let rest = answer.strip_prefix(GOOD)?;
    let head = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
    serde_json::from_slice(&rest[head + 4..]).ok()
}

/// It leaves out what it does not understand, and says so.
fn complaints(told: &Value) -> String {
    let mut words = String::new();
    let parts = ["routers", "services", "middlewares"];
    let all = parts.iter().filter_map(|part| told[*part].as_object()).flatten();
    for (name, fact) in all.filter(|(_, fact)| fact["status"].as_str().is_some_and(|s| s != "enabled")) {
        words += &format!("{name}: {}\n", fact.get("error").unwrap_or(&Value::Null));
    }
    words
}

/// HTTP/1.0, so that nothing is cut into chunks.
fn get(address: SocketAddr, path: &str, header: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n{header}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}
