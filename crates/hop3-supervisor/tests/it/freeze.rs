// SPDX-License-Identifier: Apache-2.0
//! A frozen instance stands still with everything it started, goes on where it was, and can be ended as ever.

use crate::harness::{Harness, eventually, is_gone, spec, wait_for};
use hop3_core::workload::InstanceState;
use hop3_supervisor::ChangeKind;
use rustix::process::Signal;

const ID: &str = "tick.web.v1.1";
/// The shell, a child in its session, and one that left it; each says who it is.
const TREE: &str = "sh -c 'echo pid $$; while :; do echo child; sleep 0.01; done' & \
                    setsid sh -c 'echo pid $$; while :; do echo stray; sleep 0.01; done' & \
                    trap 'echo goodbye; exit 0' TERM; echo pid $$; \
                    while :; do echo parent; sleep 0.01; done";

/// Starts the tree; gives its three processes.
fn start(harness: &Harness) -> Vec<String> {
    harness.client.start(vec![spec("tick", TREE)]).unwrap();
    let pids = || -> Vec<String> {
        let lines = harness.log("tick").into_iter();
        lines.filter_map(|line| line.strip_prefix("pid ").map(str::to_owned)).collect()
    };
    eventually("all three run", || pids().len() == 3);
    pids()
}

/// The letter of proc(5): `T` is stopped by a signal.
fn stands_still(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat[stat.rfind(')').unwrap()..].starts_with(") T")
}

fn freeze(harness: &Harness, pids: &[String]) {
    harness.client.freeze(ID).unwrap();
    assert_eq!(harness.status(ID).state, InstanceState::Frozen);
    // The signal was sent; each stops when it next runs.
    eventually("all three stand still", || pids.iter().all(|pid| stands_still(pid)));
}

fn thaw(harness: &Harness, pids: &[String]) {
    harness.client.thaw(vec![ID.into(), "no.such.v1.1".into()]).unwrap();
    assert_eq!(harness.status(ID).state, InstanceState::Running);
    eventually("all three go on", || !pids.iter().any(|pid| stands_still(pid)));
}

#[test]
fn a_tree_stands_still_and_goes_on() {
    let harness = Harness::start();
    let pids = start(&harness);
    let pid = harness.status(ID).pid;
    freeze(&harness, &pids);
    // Asking twice is asking once.
    freeze(&harness, &pids);
    thaw(&harness, &pids);
    thaw(&harness, &pids);
    assert_eq!(harness.status(ID).pid, pid);
    for who in ["parent", "child", "stray"] {
        harness.wait_for_line("tick", who);
    }
}

#[test]
fn the_next_supervisor_knows_what_is_frozen() {
    let mut harness = Harness::start();
    let pids = start(&harness);
    freeze(&harness, &pids);
    harness.signal(Signal::KILL);
    harness.boot();
    assert_eq!(harness.status(ID).state, InstanceState::Frozen);
    assert!(pids.iter().all(|pid| stands_still(pid)));
    thaw(&harness, &pids);
}

#[test]
fn a_frozen_instance_hears_that_it_shall_end() {
    let harness = Harness::start();
    let pids = start(&harness);
    let pid = harness.status(ID).pid.unwrap();
    freeze(&harness, &pids);
    harness.client.stop(vec![ID.into()]).unwrap();
    assert!(is_gone(pid));
    harness.wait_for_line("tick", "goodbye");
}

#[test]
fn a_frozen_instance_that_is_killed_is_started_again() {
    let harness = Harness::start();
    let pids = start(&harness);
    freeze(&harness, &pids);
    let changes = harness.changes();
    let before = harness.status(ID).pid.unwrap();
    let pid = rustix::process::Pid::from_raw(before as i32).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    wait_for(&changes, ChangeKind::Exited);
    wait_for(&changes, ChangeKind::Started);
    assert_eq!(harness.status(ID).state, InstanceState::Running);
}

#[test]
fn what_does_not_run_is_not_frozen() {
    let harness = Harness::start();
    assert_eq!(harness.client.freeze(ID).unwrap_err().code, "instance.not-found");
    harness.client.start(vec![spec("tick", "exit 1")]).unwrap();
    eventually("it rests", || harness.status(ID).state == InstanceState::Backoff);
    assert_eq!(harness.client.freeze(ID).unwrap_err().code, "instance.not-running");
    eventually("it is started again all the same", || harness.status(ID).restarts > 0);
}
