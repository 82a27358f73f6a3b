// SPDX-License-Identifier: Apache-2.0
//! What outlives what: the server started again into the state it left, instances that end and come back or do not,
//! and a program that was replaced while it ran.

use crate::harness::{Hop, until};
use crate::probe::{self, inside};
use serde_json::Value;

/// Everything the server tells of itself, but for what time changes.
fn state(hop: &Hop) -> Vec<Value> {
    [
        &["app", "list"][..],
        &["app", "info", "one"],
        &["app", "info", "two"],
        &["config", "list", "--show", "-a", "one"],
        &["release", "list", "-a", "one"],
        &["domain", "list", "-a", "one"],
        &["scale", "-a", "one"],
        &["token", "list"],
        &["user", "key", "list"],
    ]
    .iter()
    .map(|arguments| hop.json([arguments, &["--json"][..]].concat()))
    .collect()
}

fn stop(hop: &Hop) {
    hop.hop3(["server", "stop"]).expect_ok();
    assert_eq!(hop.pid_of("server").filter(|_| lives(hop)), None);
}

fn lives(hop: &Hop) -> bool {
    hop3_core::lock::is_held(&hop.root().join("run/server/lock"))
}

#[test]
fn a_server_started_again_finds_what_it_left() {
    let mut hop = Hop::start();
    let repository = probe::push(&hop, "one");
    hop.push("two", &probe::with_procfile(&hop, "two", "web: perl server.pl\n"));
    hop.hop3(["config", "set", "A=secret value", "-a", "one"]).expect_ok();
    hop.hop3(["domain", "add", "shop.example.org", "-a", "one"]).expect_ok();
    hop.hop3(["scale", "web=2", "-a", "one"]).expect_ok();
    hop.hop3(["ps", "stop", "-a", "two"]).expect_ok();
    until("the old release is gone", || hop.instances("one").len() == 2);
    let before = state(&hop);
    stop(&hop);
    // Without the server the apps go on, at every address.
    assert_eq!(inside(&hop, "one", "echo $A"), "secret value\n");
    assert_eq!(hop.get_host("shop.example.org", "/").status, 200);
    assert_eq!(hop.get("two", "/").status, 503);
    assert_eq!(hop.hop3(["app", "list"]).code, Some(6));
    hop.boot();
    assert_eq!(state(&hop), before);
    assert_eq!(hop.get_host("shop.example.org", "/").status, 200);
    repository.write("second.txt", "second");
    repository.commit("second");
    repository.push(&hop.remote("one"), "main").expect_ok();
    assert_eq!(inside(&hop, "one", "cat second.txt; echo $A"), "secondsecret value\n");
    hop.hop3(["ps", "start", "-a", "two"]).expect_ok();
    assert_eq!(hop.get("two", "/").status, 200);
}

#[test]
fn after_everything_was_stopped_the_apps_come_back() {
    let mut hop = Hop::start();
    probe::push(&hop, "one");
    inside(&hop, "one", "echo kept > $HOP3_DATA_DIR/a");
    hop.hop3(["scale", "web=2", "-a", "one"]).expect_ok();
    let pids: Vec<u64> = hop.instances("one").iter().map(|i| i["pid"].as_u64().unwrap()).collect();
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} is left");
    }
    hop.boot();
    until("the app answers", || hop.get("one", "/").status == 200);
    until("both instances run", || {
        hop.instances("one").iter().filter(|i| i["state"] == "running").count() == 2
    });
    assert_eq!(inside(&hop, "one", "cat $HOP3_DATA_DIR/a"), "kept\n");
}

#[test]
fn instances_that_end_are_started_again() {
    let hop = Hop::start();
    let procfile = "web: perl server.pl\nworker: sh -c 'echo worker-is-up; exec sleep 600'\n";
    hop.push("site", &probe::with_procfile(&hop, "site", procfile));
    for id in ["web.v1.1", "worker.v1.1"] {
        let instance = || hop.instances("site").into_iter().find(|i| i["id"] == id).unwrap();
        let pid = instance()["pid"].as_i64().unwrap() as i32;
        let raw = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
        until("it is started again", || {
            let now = instance();
            now["restarts"] == 1 && now["pid"].as_i64().is_some_and(|now| now as i32 != pid)
        });
        assert!(instance()["last_exit"].as_str().unwrap().contains("9"), "{}", instance());
        let logs = || hop.hop3(["logs", "-n", "200", "-a", "site"]).expect_ok().stdout;
        until(&format!("the log tells of it:\n{}", logs()), || {
            logs().contains(&format!("{id} ended: signal 9"))
        });
    }
    until("the app answers", || hop.get("site", "/").status == 200);
}

#[test]
fn an_instance_that_crashes_again_and_again_is_given_up_and_told() {
    let hop = Hop::start();
    let procfile =
        "web: perl server.pl\nworker: sh -c 'echo dying; test ! -e $HOP3_DATA_DIR/die; exec sleep 600'\n";
    let procfile =
        procfile.replace("test ! -e $HOP3_DATA_DIR/die;", "test ! -e $HOP3_DATA_DIR/die || exit 3;");
    hop.push("site", &probe::with_procfile(&hop, "site", &procfile));
    inside(&hop, "site", "touch $HOP3_DATA_DIR/die");
    let worker = || hop.instances("site").into_iter().find(|i| i["process"] == "worker").unwrap();
    let raw = rustix::process::Pid::from_raw(worker()["pid"].as_i64().unwrap() as i32).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
    until("it waits before it is started again", || worker()["state"] == "backoff");
    until("the verdict", || worker()["state"] == "crashed");
    assert!(hop.hop3(["ps", "-a", "site"]).expect_ok().stdout.contains("crashed"));
    let logs = || hop.hop3(["logs", "-n", "200", "-a", "site"]).expect_ok().stdout;
    until("the log tells of it", || logs().contains("worker.v1.1 crashed too often"));
    assert!(logs().contains("exit status 3"), "{}", logs());
    // The rest is not touched, and a restart begins anew.
    assert_eq!(inside(&hop, "site", "rm $HOP3_DATA_DIR/die; echo $HOP3_RELEASE"), "v1\n");
    hop.hop3(["ps", "restart", "worker.v1.1", "-a", "site"]).expect_ok();
    until("it runs", || worker()["state"] == "running");
}

#[test]
fn a_program_replaced_while_it_runs_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("hop3");
    std::fs::copy(env!("CARGO_BIN_EXE_hop3"), &program).unwrap();
    let hop = Hop::start_as(directory, program.clone(), Vec::new());
    let repository = probe::push(&hop, "site");
    // As a package manager does it: a new file takes the name.
    let fresh = program.with_extension("new");
    std::fs::copy(env!("CARGO_BIN_EXE_hop3"), &fresh).unwrap();
    std::fs::rename(&fresh, &program).unwrap();
    for role in ["proxy", "supervisor", "server"] {
        let before = hop.kill(role);
        until(&format!("the {role} is back"), || {
            hop3_core::lock::is_held(&hop.root().join("run").join(role).join("lock"))
                && hop.pid_of(role).is_some_and(|pid| pid != before)
        });
        until("the app answers", || hop.hop3(["app", "list"]).ok && hop.get("site", "/").status == 200);
    }
    // Once more: those that run now were started from what is replaced next.
    std::fs::copy(&program, &fresh).unwrap();
    std::fs::rename(&fresh, &program).unwrap();
    repository.write("second.txt", "second");
    repository.commit("second");
    repository.push(&hop.remote("site"), "main").expect_ok();
    assert_eq!(inside(&hop, "site", "cat second.txt"), "second");
}
