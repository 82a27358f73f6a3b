// SPDX-License-Identifier: Apache-2.0
//! The supervisor may be killed at any moment: what it runs goes on, and the next one takes over.

use crate::harness::{Harness, eventually, is_gone, role, spec, wait_for};
use hop3_core::workload::InstanceState;
use hop3_supervisor::ChangeKind;
use rustix::process::Signal;

const TICKING: &str = "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.02; done";

#[test]
fn after_kill_9_the_next_supervisor_adopts_and_the_log_goes_on() {
    let mut harness = Harness::start();
    harness.client.start(vec![spec("tick", TICKING)]).unwrap();
    harness.wait_for_line("tick", "tick 3");
    let before = harness.status("tick.web.v1.1");
    harness.signal(Signal::KILL);
    assert!(!is_gone(before.pid.unwrap()));
    harness.boot();
    let changes = harness.changes();
    let after = harness.status("tick.web.v1.1");
    assert_eq!((after.pid, after.state, after.started_ms), (before.pid, before.state, before.started_ms));
    let seen = harness.log("tick").len();
    harness.wait_for_line("tick", &format!("tick {}", seen + 20));
    // Whole lines, none lost: what was written while nobody read waited in the pipe.
    let ticks: Vec<String> = harness.log("tick");
    let missing = ticks.iter().enumerate().filter(|(n, line)| **line != format!("tick {}", n + 1)).count();
    assert!(missing == 0, "{missing} lines differ: {ticks:?}");
    let pid = rustix::process::Pid::from_raw(after.pid.unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(wait_for(&changes, ChangeKind::Exited).how, "exit status unknown (adopted)");
    wait_for(&changes, ChangeKind::Started);
    assert_ne!(harness.status("tick.web.v1.1").pid, after.pid);
}

#[test]
fn sigterm_ends_the_role_and_leaves_the_instances() {
    let mut harness = Harness::start();
    harness.client.start(vec![spec("stay", "exec sleep 1000")]).unwrap();
    let before = harness.status("stay.web.v1.1").pid;
    assert!(harness.signal(Signal::TERM).success());
    assert!(!is_gone(before.unwrap()));
    harness.boot();
    assert_eq!(harness.status("stay.web.v1.1").pid, before);
    harness.client.stop(vec!["stay.web.v1.1".into()]).unwrap();
    assert!(is_gone(before.unwrap()));
}

#[test]
fn a_second_supervisor_leaves_quietly() {
    let harness = Harness::start();
    let second = std::process::Command::new(role())
        .arg("supervise")
        .arg(harness.layout.root())
        .arg("0")
        .status()
        .unwrap();
    assert_eq!(second.code(), Some(3));
    assert!(harness.client.is_alive());
}

#[test]
fn a_recycled_pid_is_not_mistaken_for_the_instance() {
    let mut harness = Harness::start();
    harness.client.start(vec![spec("pid", "exec sleep 1000")]).unwrap();
    let real = harness.status("pid.web.v1.1").pid.unwrap();
    harness.signal(Signal::KILL);
    let real_start = start_ticks(real);
    let clock_ticked = || {
        std::fs::read_to_string("/proc/uptime")
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .replace('.', "")
            .parse::<u64>()
            .unwrap()
            > real_start + 2
    };
    eventually("the start times differ", clock_ticked);
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let state = harness.layout.supervisor_state().join("pid.web.v1.1.json");
    let record = std::fs::read_to_string(&state).unwrap();
    let edited = record.replace(&format!("\"pid\":{real}"), &format!("\"pid\":{}", stranger.id()));
    assert_ne!(record, edited);
    assert_ne!(start_ticks(stranger.id()), real_start);
    std::fs::write(&state, edited).unwrap();
    harness.boot();
    eventually("it runs anew", || {
        let status = harness.status("pid.web.v1.1");
        status.state == InstanceState::Running && status.pid != Some(stranger.id())
    });
    assert!(is_gone(real), "the mark in its environment tells that the real one is ours");
    harness.client.stop(vec!["pid.web.v1.1".into()]).unwrap();
    assert!(!is_gone(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_crash_verdict_and_an_end_unseen_survive() {
    let mut harness = Harness::start();
    let changes = harness.changes();
    harness.client.start(vec![spec("loop", "exit 1"), spec("dies", "exec sleep 1000")]).unwrap();
    wait_for(&changes, ChangeKind::Crashed);
    let dies = harness.status("dies.web.v1.1").pid.unwrap();
    harness.signal(Signal::KILL);
    let pid = rustix::process::Pid::from_raw(dies as i32).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    eventually("it is gone", || is_gone(dies));
    harness.boot();
    assert_eq!(harness.status("loop.web.v1.1").state, InstanceState::Crashed);
    eventually("it runs anew", || harness.status("dies.web.v1.1").state == InstanceState::Running);
    assert_ne!(harness.status("dies.web.v1.1").pid, Some(dies));
}

#[test]
fn shutdown_stops_everything() {
    let harness = Harness::start();
    harness.client.start(vec![spec("end", "exec sleep 1000")]).unwrap();
    let (instance, supervisor) = (harness.status("end.web.v1.1").pid.unwrap(), harness.supervisor_pid());
    harness.client.shutdown().unwrap();
    assert!(is_gone(instance));
    eventually("the role has ended", || is_gone(supervisor));
}

fn start_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat[stat.rfind(')').unwrap()..].split(' ').nth(20).unwrap().parse().unwrap()
}
