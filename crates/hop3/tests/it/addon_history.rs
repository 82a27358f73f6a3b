// SPDX-License-Identifier: Apache-2.0
//! A database brought to past moments while it is written to: what was acknowledged before the moment is there, what
//! was asked for after it is not. `HOP3_MOMENTS=10` asks for more moments than the usual.

use crate::addon::can_run;
use crate::harness::Hop;
use std::hash::BuildHasher;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// One write: its number, when it was asked for, when it was acknowledged.
type Written = (u64, u64, u64);

/// A client that writes one row after the other, each in a transaction of its own.
struct Writer {
    client: Child,
    answers: std::io::Lines<BufReader<ChildStdout>>,
    writes: Vec<Written>,
}

impl Writer {
    fn start(hop: &Hop, addon: &str) -> Writer {
        let arguments = ["addon", "shell", addon, "-X", "-q", "-A", "-t"];
        let mut client = hop.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(client.stdout.take().unwrap()).lines();
        Writer { client, answers, writes: Vec::new() }
    }

    fn write(&mut self) {
        let number = self.writes.len() as u64 + 1;
        let asked = now_ms();
        let stdin = self.client.stdin.as_mut().unwrap();
        writeln!(stdin, "insert into row values ({number}); select {number};").unwrap();
        assert_eq!(self.answers.next().unwrap().unwrap(), number.to_string());
        self.writes.push((number, asked, now_ms()));
    }

    fn write_until(&mut self, end_ms: u64) {
        while now_ms() < end_ms {
            self.write();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.client.stdin.take());
        self.client.wait().unwrap();
    }
}

fn count(hop: &Hop, addon: &str) -> u64 {
    let said = hop.hop3(["addon", "shell", addon, "-X", "-A", "-t", "-c", "select count(*) from row"]);
    said.expect_ok().stdout.trim().parse().unwrap()
}

#[test]
fn a_database_comes_back_as_it_was_at_any_moment() {
    if !can_run("a_database_comes_back_as_it_was_at_any_moment") {
        return;
    }
    let moments = std::env::var("HOP3_MOMENTS").map_or(3, |count| count.parse::<u64>().unwrap());
    let hop = Hop::start();
    hop.hop3(["addon", "create", "postgres", "diary", "-o", "history=7"]).expect_ok();
    let created = now_ms();
    hop.hop3(["addon", "shell", "diary", "-c", "create table row (number int)"]).expect_ok();
    let mut writer = Writer::start(&hop, "diary");
    writer.write();
    let mut chosen = Vec::new();
    for _ in 0..moments {
        let random =
            u64::from(std::collections::hash_map::RandomState::new().hash_one(now_ms()) as u32) % 700;
        writer.write_until(now_ms() + 100 + random);
        // After all that was acknowledged, and over before the next write begins: milliseconds are all there is to ask with.
        chosen.push(now_ms() + 1);
        std::thread::park_timeout(Duration::from_millis(2));
        writer.write_until(now_ms() + 50);
    }
    for (number, moment) in chosen.iter().enumerate() {
        let name = format!("past-{number}");
        let at = jiff::Timestamp::from_millisecond(*moment as i64).unwrap().to_string();
        hop.hop3(["addon", "restore", "diary", "--to", &at, "--as", &name]).expect_ok();
        let expected =
            writer.writes.iter().filter(|(_, _, acknowledged)| acknowledged <= moment).count() as u64;
        assert_eq!(count(&hop, &name), expected, "at {at}");
        hop.hop3(["addon", "destroy", &name, "--confirm", &name, "--now"]).expect_ok();
        writer.write();
    }
    println!("{moments} moments, {} writes", writer.writes.len());

    // In place, and what cannot be had.
    let at = jiff::Timestamp::from_millisecond(chosen[0] as i64).unwrap().to_string();
    drop(writer);
    hop.hop3(["addon", "restore", "diary", "--to", &at, "--confirm", "diary"]).expect_ok();
    assert!(count(&hop, "diary") > 0);
    let early = jiff::Timestamp::from_millisecond(created as i64 - 3_600_000).unwrap().to_string();
    let refused = hop.hop3(["addon", "restore", "diary", "--to", &early, "--as", "never"]);
    assert!(!refused.ok && refused.text.contains("addon.no-history"), "{}", refused.text);
    assert!(!hop.hop3(["addon", "info", "never"]).ok);
}
