// SPDX-License-Identifier: Apache-2.0
//! Starting, restarting and stopping, also of processes that resist.

use crate::harness::{Harness, eventually, is_gone, spec, wait_for};
use hop3_core::workload::InstanceState;
use hop3_supervisor::ChangeKind;
use std::time::{Duration, Instant};

#[test]
fn an_instance_runs_until_it_is_stopped() {
    let harness = Harness::start();
    let spec = spec("one", "echo hello; exec sleep 1000");
    harness.client.start(vec![spec.clone()]).unwrap();
    let before = harness.status("one.web.v1.1");
    assert_eq!(before.state, InstanceState::Running);
    harness.wait_for_line("one", "hello");
    harness.client.start(vec![spec.clone()]).unwrap();
    assert_eq!(harness.status("one.web.v1.1").pid, before.pid, "starting twice is starting once");
    harness.client.stop(vec![spec.id.clone(), "absent".into()]).unwrap();
    assert!(is_gone(before.pid.unwrap()));
    assert!(harness.client.status(None).unwrap().is_empty());
    assert_eq!(std::fs::read_dir(harness.layout.supervisor_state()).unwrap().count(), 0);
    harness.client.start(vec![spec]).unwrap();
    assert_ne!(harness.status("one.web.v1.1").pid, before.pid);
}

#[test]
fn a_crash_loop_gets_a_verdict_and_only_a_restart_lifts_it() {
    let harness = Harness::start();
    let changes = harness.changes();
    harness.client.start(vec![spec("loop", "echo starting; exit 7")]).unwrap();
    let crashed = wait_for(&changes, ChangeKind::Crashed);
    assert_eq!(crashed.how, "exit status 7");
    let status = harness.status("loop.web.v1.1");
    assert_eq!((status.state, status.restarts, status.pid), (InstanceState::Crashed, 4, None));
    assert_eq!(harness.log("loop"), ["starting"; 5]);
    harness.client.start(vec![spec("loop", "true")]).unwrap();
    assert_eq!(harness.status("loop.web.v1.1").state, InstanceState::Crashed);
    harness.client.restart("loop.web.v1.1").unwrap();
    wait_for(&changes, ChangeKind::Crashed);
    harness.client.stop(vec!["loop.web.v1.1".into()]).unwrap();
}

#[test]
fn an_ended_instance_is_started_again_and_says_how_it_ended() {
    let harness = Harness::start();
    let changes = harness.changes();
    harness.client.start(vec![spec("again", "exec sleep 1000")]).unwrap();
    wait_for(&changes, ChangeKind::Started);
    let first = harness.status("again.web.v1.1").pid.unwrap();
    let pid = rustix::process::Pid::from_raw(first as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(wait_for(&changes, ChangeKind::Exited).how, "signal 9 (SIGKILL)");
    wait_for(&changes, ChangeKind::Started);
    let second = harness.status("again.web.v1.1");
    assert_ne!(second.pid, Some(first));
    assert_eq!(second.restarts, 1);
}

#[test]
fn a_graceful_stop_lets_the_process_finish() {
    let harness = Harness::start();
    let script = "trap 'echo finishing; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    harness.client.start(vec![spec("gentle", script)]).unwrap();
    harness.wait_for_line("gentle", "ready");
    harness.client.stop(vec!["gentle.web.v1.1".into()]).unwrap();
    // The shell may say that its sleep was ended too: the whole group is asked.
    assert_eq!(harness.log("gentle").last().unwrap(), "finishing");
}

#[test]
fn a_process_that_ignores_the_request_is_killed_after_the_grace() {
    let harness = Harness::start();
    let mut deaf = spec("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    deaf.stop_grace_secs = 1;
    harness.client.start(vec![deaf]).unwrap();
    harness.wait_for_line("deaf", "ready");
    let pid = harness.status("deaf.web.v1.1").pid.unwrap();
    let before = Instant::now();
    harness.client.stop(vec!["deaf.web.v1.1".into()]).unwrap();
    let took = before.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(4), "{took:?}");
    assert!(is_gone(pid));
}

#[test]
fn daemonised_grandchildren_go_with_their_instance() {
    let harness = Harness::start();
    // One stays in the session, one leaves it keeping the environment.
    let script = "sleep 1001 & echo $!; setsid -f sh -c 'echo $$; exec sleep 1002'; exec sleep 1003";
    harness.client.start(vec![spec("daemon", script)]).unwrap();
    eventually("both have told their pids", || harness.log("daemon").len() == 2);
    let pids: Vec<u32> = harness.log("daemon").iter().map(|line| line.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| !is_gone(*pid)));
    harness.client.stop(vec!["daemon.web.v1.1".into()]).unwrap();
    assert!(pids.iter().all(|pid| is_gone(*pid)), "{pids:?}");
}

#[test]
fn a_group_is_matched_whole() {
    let harness = Harness::start();
    harness.client.start(vec![spec("blog", "exec sleep 1000"), spec("blog2", "exec sleep 1000")]).unwrap();
    let of = |group| harness.client.status(Some(group)).unwrap();
    assert_eq!((of("blog").len(), of("blog2").len(), of("blo").len()), (1, 1, 0));
    harness.client.note("blog", "cron", "mine").unwrap();
    harness.client.forget("blog").unwrap();
    harness.client.note("blog2", "cron", "theirs").unwrap();
    assert_eq!((harness.log("blog").len(), harness.log("blog2").len()), (0, 1));
}

#[test]
fn what_cannot_start_is_told_with_its_name_and_not_kept() {
    let harness = Harness::start();
    let mut absent = spec("absent", "");
    absent.job.command = hop3_core::sandbox::Command::exec(["gunicorn-absent", "--bind", "x"]);
    let problem = harness.client.start(vec![absent]).unwrap_err();
    assert_eq!(problem.code, "run.not-started");
    assert!(problem.title.contains("there is no program gunicorn-absent"), "{}", problem.title);
    let mut nowhere = spec("nowhere", "true");
    nowhere.job.cwd = "/absent".into();
    assert!(harness.client.start(vec![nowhere]).unwrap_err().title.contains("/absent"));
    let mut script = spec("script", "");
    let path = harness.layout.root().join("script");
    std::fs::write(&path, "#!/absent/python\n").unwrap();
    script.job.command = hop3_core::sandbox::Command::exec([path.display().to_string()]);
    let denied = harness.client.start(vec![script.clone()]).unwrap_err();
    assert!(denied.title.contains("may not be executed"), "{}", denied.title);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    let problem = harness.client.start(vec![script]).unwrap_err();
    assert!(problem.title.contains("wants /absent/python"), "{}", problem.title);
    assert!(harness.client.status(None).unwrap().is_empty());
}

#[test]
fn hostile_ids_are_refused() {
    let harness = Harness::start();
    for word in ["", ".", "../x", "a/b", "a b", "A", "-rf", "a\n", "é", &"a".repeat(129)] {
        let mut bad = spec("bad", "true");
        bad.id = word.into();
        assert!(harness.client.start(vec![bad]).is_err(), "{word:?}");
        let mut bad = spec("bad", "true");
        bad.group = word.into();
        assert!(harness.client.start(vec![bad]).is_err(), "{word:?}");
        assert!(harness.client.forget(word).is_err(), "{word:?}");
    }
    assert!(harness.client.status(None).unwrap().is_empty());
}
