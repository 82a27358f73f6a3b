// SPDX-License-Identifier: Apache-2.0
//! Real processes, looked at while they become other programs.

use super::{Pid, environment, has_environment};
use std::process::{Child, Command, Stdio};

struct Running(Child);

impl Running {
    fn new(command: &mut Command) -> Running {
        Running(command.stdin(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_process_between_two_programs_is_seen() {
    // A shell that becomes the same shell again and again; about each eighth look meets it without an environment.
    let again = r#"exec sh -c "$0" "$0""#;
    let process = Running::new(Command::new("sh").args(["-c", again, again]).env("HOP3_TREE", "of a test"));
    for _ in 0..10_000 {
        assert!(has_environment(process.pid(), b"HOP3_TREE=of a test"));
    }
}

#[test]
fn a_process_without_an_environment_is_not_waited_for() {
    let process = Running::new(Command::new("/bin/sleep").arg("1000").env_clear());
    let begun = std::time::Instant::now();
    while !std::fs::read_to_string(super::proc(process.pid(), "comm")).unwrap().starts_with("sleep") {
        std::thread::yield_now();
    }
    assert_eq!(environment(process.pid()), Some(Vec::new()));
    assert!(begun.elapsed() < super::EXEC_PATIENCE);
}
