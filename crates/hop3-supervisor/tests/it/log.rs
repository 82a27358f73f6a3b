// SPDX-License-Identifier: Apache-2.0
//! What instances write: sanitised, followed, bounded.

use crate::harness::{Harness, PATIENCE, eventually, spec};
use hop3_supervisor::LogRequest;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

#[test]
fn output_is_sanitised() {
    let harness = Harness::start();
    let script =
        r"printf '\033[31mred\033[0m \033[2J\033]0;owned\007end\n'; printf '1%%\r99%%\r\n'; exec sleep 1000";
    harness.client.start(vec![spec("ansi", script)]).unwrap();
    eventually("two lines", || harness.log("ansi").len() == 2);
    assert_eq!(harness.log("ansi"), ["\u{1b}[31mred\u{1b}[0m end", "99%"]);
}

#[test]
fn standard_output_can_be_opened_by_name() {
    let harness = Harness::start();
    let mut spec = spec("byname", "echo named > /dev/stdout; echo error > /dev/stderr; exec sleep 1000");
    if crate::harness::is_root() {
        crate::sandbox::confine(&harness, &mut spec.job, 64_001);
    }
    harness.client.start(vec![spec]).unwrap();
    eventually("two lines", || harness.log("byname").len() == 2);
    assert_eq!(harness.log("byname"), ["named", "error"]);
}

#[test]
fn a_follower_sees_lines_as_they_come_and_heartbeats() {
    let harness = Harness::start();
    let (sender, receiver) = channel();
    let client = harness.client.clone();
    let follower = std::thread::spawn(move || {
        client.follow("follow", &mut |line| {
            sender.send(line.text.clone()).unwrap();
            line.text != "second"
        })
    });
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), "", "a heartbeat comes first");
    harness.client.note("follow", "cron", "first\nsecond").unwrap();
    let lines: Vec<String> = receiver.iter().filter(|text| !text.is_empty()).collect();
    assert_eq!(lines, ["first", "second"]);
    follower.join().unwrap().unwrap();
}

#[test]
fn a_flood_stays_bounded_and_starves_nobody() {
    let harness = Harness::start();
    harness.client.start(vec![spec("flood", "exec yes a-line-of-a-process-that-never-stops")]).unwrap();
    harness.client.start(vec![spec("quiet", "while :; do echo alive; sleep 0.1; done")]).unwrap();
    let until = Instant::now() + Duration::from_secs(2);
    eventually("two seconds of flood", || Instant::now() > until);
    let before = Instant::now();
    let quiet = harness.log("quiet").len();
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    assert!(quiet >= 5, "{quiet} lines of the quiet one");
    let directory = harness.layout.logs().join("flood");
    let size: u64 = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(size < 56 * 1024 * 1024, "{size}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", harness.supervisor_pid())).unwrap();
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kib: u64 = anonymous.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 8 * 1024, "{kib} KiB");
    let request = LogRequest { group: "flood".into(), last: Some(10), ..LogRequest::default() };
    assert_eq!(harness.client.logs(&request).unwrap().len(), 10);
}
