// SPDX-License-Identifier: Apache-2.0
//! One-off commands: lines, terminals, deadlines, and what happens when somebody dies.

use crate::harness::{Harness, eventually, is_gone, job};
use hop3_core::driver::{Exit, Output, Runner as _, Stdio};
use rustix::process::Signal;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

/// Keeps the lines; says stop at the one that equals `last`.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    last: Option<String>,
}

impl Output for Lines {
    fn line(&mut self, text: &str) -> bool {
        self.lines.push(text.to_owned());
        self.last.as_deref() != Some(text)
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn lines_and_exit_status_come_back() {
    let harness = Harness::start();
    let mut lines = Lines::default();
    let script = r"echo out; echo err >&2; printf '\033[2Jlast'; cat; exit 3";
    let exit = harness.client.run(&job(script), LONG, &mut lines).unwrap();
    assert_eq!(exit, Exit::Status(3));
    assert_eq!(lines.lines, ["out", "err", "last"]);
    let exit = harness.client.run(&job("kill -9 $$"), LONG, &mut Lines::default()).unwrap();
    assert_eq!(exit, Exit::Signal(9));
}

#[test]
fn much_output_comes_whole() {
    let harness = Harness::start();
    let mut lines = Lines::default();
    harness.client.run(&job("seq 1 200000"), LONG, &mut lines).unwrap();
    assert_eq!(lines.lines.len(), 200_000);
    assert_eq!(lines.lines[199_999], "200000");
}

#[test]
fn the_deadline_kills_the_whole_tree() {
    let harness = Harness::start();
    let mut lines = Lines::default();
    let script = "setsid -f sh -c 'echo $$; exec sleep 1000'; sleep 1000";
    let before = Instant::now();
    let exit = harness.client.run(&job(script), Duration::from_secs(1), &mut lines).unwrap();
    assert_eq!(exit, Exit::TimedOut);
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(is_gone(lines.lines[0].parse().unwrap()));
}

#[test]
fn a_caller_can_cancel() {
    let harness = Harness::start();
    let mut lines = Lines { last: Some("enough".into()), ..Lines::default() };
    let exit = harness.client.run(&job("echo enough; sleep 1000"), LONG, &mut lines).unwrap();
    assert_eq!(exit, Exit::Cancelled);
}

#[test]
fn what_a_command_leaves_behind_goes_with_it() {
    let harness = Harness::start();
    let mut lines = Lines::default();
    let before = Instant::now();
    harness.client.run(&job("sleep 1000 & echo $!"), LONG, &mut lines).unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(is_gone(lines.lines[0].parse().unwrap()));
}

#[test]
fn an_absent_program_is_named() {
    let harness = Harness::start();
    let mut absent = job("");
    absent.command = hop3_core::sandbox::Command::exec(["no-such-program"]);
    let problem = harness.client.run(&absent, LONG, &mut Lines::default()).unwrap_err();
    assert_eq!(problem.code, "run.not-started");
    assert!(problem.title.contains("no-such-program"));
}

#[test]
fn a_terminal_works_both_ways_and_gives_the_exit_status() {
    let harness = Harness::start();
    let mut shell = job("test -t 0 && test -t 1 && stty size < /dev/tty; read word; echo got $word; exit 5");
    if crate::harness::is_root() {
        crate::sandbox::confine(&harness, &mut shell, 64_002);
    }
    let attached = harness.client.attach(&shell, Stdio::Pty { rows: 31, columns: 97 }).unwrap();
    let mut stream = File::from(attached.stream);
    stream.write_all(b"hello\n").unwrap();
    let mut text = Vec::new();
    // A terminal whose last user has gone answers with an input/output error.
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("31 97") && text.contains("got hello"), "{text}");
    assert_eq!((attached.wait)().unwrap(), Exit::Status(5));
}

#[test]
fn a_plain_stream_carries_input_and_signals() {
    let harness = Harness::start();
    let attached = harness
        .client
        .attach(&job("cat; trap 'exit 9' INT; echo x; while :; do sleep 0.05; done"), Stdio::Pipe);
    let attached = attached.unwrap();
    let mut stream = std::os::unix::net::UnixStream::from(attached.stream);
    stream.write_all(b"through\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = [0; 10];
    stream.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"through\nx\n");
    (attached.signal)(Signal::INT.as_raw());
    assert_eq!((attached.wait)().unwrap(), Exit::Status(9));
}

#[test]
fn when_the_client_goes_the_command_goes() {
    let harness = Harness::start();
    let attached = harness.client.attach(&job("echo $$; exec sleep 1000"), Stdio::Pipe).unwrap();
    let mut stream = File::from(attached.stream);
    let mut text = [0; 16];
    let length = stream.read(&mut text).unwrap();
    let pid = String::from_utf8_lossy(&text[..length]).trim().parse().unwrap();
    assert!(!is_gone(pid));
    drop((attached.wait, attached.signal));
    eventually("it is gone", || is_gone(pid));
}

#[test]
fn when_the_supervisor_is_killed_one_offs_do_not_outlive_it() {
    let mut harness = Harness::start();
    let script = "setsid -f sh -c 'echo $$; exec sleep 1000'; exec sleep 1000";
    let attached = harness.client.attach(&job(script), Stdio::Pipe).unwrap();
    let mut stream = File::from(attached.stream);
    let mut text = [0; 16];
    let length = stream.read(&mut text).unwrap();
    let daemon = String::from_utf8_lossy(&text[..length]).trim().parse().unwrap();
    harness.signal(Signal::KILL);
    assert_eq!((attached.wait)().unwrap_err().code, "run.interrupted");
    harness.boot();
    eventually("it is gone", || is_gone(daemon));
}

#[test]
fn data_comes_without_what_is_said_about_it() {
    let harness = Harness::start();
    let attached = harness.client.attach(&job("cat; echo warning >&2"), Stdio::Data).unwrap();
    let stream = std::os::unix::net::UnixStream::from(attached.stream);
    (&stream).write_all(b"data").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut data, mut said) = (String::new(), String::new());
    (&stream).read_to_string(&mut data).unwrap();
    File::from(attached.errors.unwrap()).read_to_string(&mut said).unwrap();
    assert_eq!((attached.wait)().unwrap(), Exit::Status(0));
    assert_eq!((data.as_str(), said.as_str()), ("data", "warning\n"));
}
