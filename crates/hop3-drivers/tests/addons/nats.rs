// SPDX-License-Identifier: Apache-2.0
//! A client of NATS that keeps values in a stream, by the protocol itself: Debian has no client.

use crate::world::World;
use hop3_core::addon::Binding;
use hop3_drivers::contract::addon::Client;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const STREAM: &str =
    r#"{"name":"kept","subjects":["kept.>"],"max_msgs_per_subject":1,"storage":"file","allow_direct":true}"#;

pub(crate) struct Nats;

/// A connection that asks and is answered.
struct Session {
    reader: BufReader<TcpStream>,
    /// Where it is answered; nobody else of the account is.
    inbox: String,
}

impl Session {
    /// NATS 2.9 ends whoever has connected and not yet said his name when accounts change, as one without a right to come
    /// in; such a one knocks again.
    fn open(binding: &Binding) -> Result<Session, String> {
        Session::knock(binding).or_else(|said| match said.contains("Authorization Violation") {
            true => Session::knock(binding),
            false => Err(said),
        })
    }

    fn knock(binding: &Binding) -> Result<Session, String> {
        let named = |key: &str| binding.variables[&key.parse().unwrap()].expose().clone();
        let address = format!("{}:{}", named("NATS_HOST"), named("NATS_PORT"));
        let stream = TcpStream::connect(address).map_err(|e| e.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let connect = json!({
            "user": named("NATS_USER"), "pass": named("NATS_PASSWORD"),
            "verbose": false, "headers": true, "no_responders": true,
        });
        let port = stream.local_addr().unwrap().port();
        let mut session = Session { reader: BufReader::new(stream), inbox: format!("inbox.{port}") };
        session.line()?;
        session.say(&format!("CONNECT {connect}\r\nPING\r\n"))?;
        match session.line()?.as_str() {
            "PONG" => session.say(&format!("SUB {} 1\r\n", session.inbox)).map(|()| session),
            other => Err(other.to_owned()),
        }
    }

    fn say(&mut self, words: &str) -> Result<(), String> {
        self.reader.get_mut().write_all(words.as_bytes()).map_err(|e| e.to_string())
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Err("cut".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Headers and payload of the answer.
    fn ask(&mut self, subject: &str, payload: &str) -> Result<(String, String), String> {
        self.say(&format!("PUB {subject} {} {}\r\n{payload}\r\n", self.inbox, payload.len()))?;
        loop {
            let line = self.line()?;
            let words: Vec<&str> = line.split(' ').collect();
            let (head, total) = match words.as_slice() {
                ["PING"] => {
                    self.say("PONG\r\n")?;
                    continue;
                }
                ["MSG", .., total] => (0, total.parse::<usize>().unwrap()),
                ["HMSG", .., head, total] => (head.parse().unwrap(), total.parse().unwrap()),
                _ => return Err(line),
            };
            let mut bytes = vec![0; total + 2];
            self.reader.read_exact(&mut bytes).map_err(|e| e.to_string())?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return Ok((text(&bytes[..head]), text(&bytes[head..total])));
        }
    }
}

/// Asks until a server that has just begun answers; what one does not acknowledge has not happened.
fn patient<T>(asked: impl Fn() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match asked() {
            Err(said)
                if Instant::now() < deadline
                    && !said.contains("Authorization")
                    && !said.contains("cut")
                    && !said.contains("refused") =>
            {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
}

fn made(session: &mut Session) -> Result<(), String> {
    let (head, answer) = session.ask("$JS.API.STREAM.CREATE.kept", STREAM)?;
    let answer: Value = serde_json::from_str(&answer).map_err(|_| head)?;
    match &answer["error"] {
        Value::Null => Ok(()),
        error => Err(error.to_string()),
    }
}

impl Client for Nats {
    fn write(&self, binding: &Binding, key: &str, value: &str) -> Result<(), String> {
        patient(|| {
            let mut session = Session::open(binding)?;
            made(&mut session)?;
            let (head, answer) = session.ask(&format!("kept.{key}"), value)?;
            match answer.contains("\"seq\":") {
                true => Ok(()),
                false => Err(head + &answer),
            }
        })
    }

    fn read(&self, binding: &Binding, key: &str) -> Result<Option<String>, String> {
        patient(|| {
            let mut session = Session::open(binding)?;
            made(&mut session)?;
            let (head, value) = session.ask(&format!("$JS.API.DIRECT.GET.kept.kept.{key}"), "")?;
            match head.lines().next() {
                Some(status) if status.contains("404") => Ok(None),
                Some(status) if status.contains("503") => Err(head),
                _ => Ok(Some(value)),
            }
        })
    }
}

/// What a stream on disk has acknowledged is there after the server was killed.
pub(crate) fn keeps_streams(world: &World) {
    let addon = world.make("stream_1");
    let binding = world.driver.provision(&addon).unwrap();
    for number in 0..20 {
        Nats.write(&binding, &format!("key{number}"), &number.to_string()).unwrap();
    }
    let pid = world.pid(&addon.server).unwrap();
    let raw = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while Nats.read(&binding, "key19").is_err() {
        assert!(Instant::now() < deadline, "it does not come back");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    for number in 0..20 {
        assert_eq!(Nats.read(&binding, &format!("key{number}")).unwrap(), Some(number.to_string()));
    }
    world.driver.retire(&addon.server).unwrap();
}
