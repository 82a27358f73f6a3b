// SPDX-License-Identifier: Apache-2.0
//! A new filter takes the place of one that runs, and nobody who asks notices.

use super::role::{Role, program};
use super::{request, usual};
use hop3_core::layout::Layout;
use hop3_core::lock;
use hop3_core::waf::{Answer, LENGTHS};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Begins as the other roles begin one, and in the place of the one that runs.
fn new(root: &Path) -> Command {
    let mut command = program();
    command.arg("--root").arg(root).args(["--kept", "--takes-over"]);
    command
}

fn started(root: &Path) -> Role {
    let layout = Layout::new(root);
    std::fs::create_dir_all(layout.run_of("waf")).unwrap();
    std::fs::write(layout.run_of("waf").join("wanted"), "").unwrap();
    let _ = std::fs::remove_file(layout.waf_socket());
    let role = Role(program().arg("--root").arg(root).arg("--kept").spawn().unwrap());
    until(|| lock::holder(&layout.lock_of("waf")) == Some(role.0.id()));
    until(|| UnixStream::connect(layout.waf_socket()).is_ok());
    role
}

#[track_caller]
fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

fn question(line: &str) -> Vec<u8> {
    let (head, body) = request(line);
    usual().question(&head, &body).unwrap()
}

/// Whether the filter says that it is an attack; that it says nothing is a failure.
fn is_stopped(layout: &Layout, line: &str) -> bool {
    let mut stream = UnixStream::connect(layout.waf_socket()).expect("nobody listens");
    stream.write_all(&question(line)).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let answer = Answer::read(&bytes).unwrap().expect("no whole answer");
    assert_eq!(answer.failed, None, "{line}");
    answer.stop
}

const ATTACK: &str = "GET\t/?f=../../etc/passwd";
const ORDINARY: &str = "GET\t/search?q=hello+world";

#[test]
fn every_question_is_answered_while_new_ones_take_over() {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(root.path());
    let mut old = started(root.path());
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..6)
            .map(|number| {
                let (layout, is_over, answered) = (&layout, &is_over, &answered);
                scope.spawn(move || {
                    while !is_over.load(SeqCst) {
                        let is_attack = number % 2 == 0;
                        assert_eq!(is_stopped(layout, if is_attack { ATTACK } else { ORDINARY }), is_attack);
                        answered.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        let more = |count: u64| {
            let enough = answered.load(SeqCst) + count;
            until(|| answered.load(SeqCst) >= enough || visitors.iter().any(|v| v.is_finished()));
        };
        for _ in 0..8 {
            more(50);
            let new = Role(new(root.path()).spawn().unwrap());
            until(|| lock::holder(&layout.lock_of("waf")) == Some(new.0.id()));
            // The old one has nothing left to do.
            assert!(old.0.wait().unwrap().success());
            old = new;
        }
        more(50);
        is_over.store(true, SeqCst);
    });
    println!("{} questions", answered.into_inner());
}

#[test]
fn a_question_that_was_begun_is_answered_by_the_old_one() {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(root.path());
    let mut old = started(root.path());
    let question = question(ATTACK);
    let (begun, rest) = question.split_at(LENGTHS + 7);
    let mut slow = UnixStream::connect(layout.waf_socket()).unwrap();
    slow.write_all(begun).unwrap();
    // Who came later was let in, and so was that one.
    assert!(!is_stopped(&layout, ORDINARY));
    let new = Role(new(root.path()).spawn().unwrap());
    until(|| lock::holder(&layout.lock_of("waf")) == Some(new.0.id()));
    assert!(is_stopped(&layout, ATTACK));
    assert_eq!(old.0.try_wait().unwrap(), None);
    slow.write_all(rest).unwrap();
    let mut bytes = Vec::new();
    slow.read_to_end(&mut bytes).unwrap();
    assert!(Answer::read(&bytes).unwrap().unwrap().stop);
    assert!(old.0.wait().unwrap().success());
}

#[test]
fn a_new_one_that_does_not_come_so_far_leaves_the_old_one() {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(root.path());
    let mut old = started(root.path());
    assert!(is_stopped(&layout, ATTACK));
    let is_as_before = |old: &mut Role| {
        until(|| lock::holder(&layout.lock_of("waf")) == Some(old.0.id()));
        assert!(is_stopped(&layout, ATTACK) && !is_stopped(&layout, ORDINARY));
        assert_eq!(old.0.try_wait().unwrap(), None);
    };
    // Killed wherever it may be by then.
    for millis in [0, 5, 20, 60] {
        let mut new = Role(new(root.path()).spawn().unwrap());
        std::thread::park_timeout(Duration::from_millis(millis));
        let _ = new.0.kill();
        let _ = new.0.wait();
        let is_holder = |role: &Role| lock::holder(&layout.lock_of("waf")) == Some(role.0.id());
        until(|| is_holder(&old) || old.0.try_wait().unwrap().is_some());
        if is_holder(&old) {
            is_as_before(&mut old);
        } else {
            // The new one was fast enough to have the place.
            old = started(root.path());
        }
    }
    // One that gets everything, and is gone; the place can be given away all the same.
    until(|| {
        let mut gone = UnixStream::connect(layout.waf_socket()).unwrap();
        gone.write_all(b"hand over 1\n").unwrap();
        // Who was killed before may not be forgotten yet.
        gone.read_exact(&mut [0; 20]).is_ok()
    });
    is_as_before(&mut old);
    if rustix::process::geteuid().is_root() {
        broken_rules(root.path(), &mut old, is_as_before);
    } else {
        println!("SKIP broken_rules: only root may hide files from one process");
    }
    let new = Role(new(root.path()).spawn().unwrap());
    until(|| lock::holder(&layout.lock_of("waf")) == Some(new.0.id()));
    assert!(is_stopped(&layout, ATTACK));
}

/// Another one sees other files where the administrator's rules lie.
fn broken_rules(root: &Path, old: &mut Role, is_as_before: impl Fn(&mut Role)) {
    let settings = root.join("settings");
    std::fs::create_dir(&settings).unwrap();
    std::fs::write(settings.join("crs-setup.conf"), "SecNonsense On\n").unwrap();
    let script = "mount --bind \"$1\" /etc/modsecurity/crs && shift && exec \"$@\"";
    let mut aside = Command::new("unshare");
    aside.args(["--mount", "sh", "-c", script, "sh"]).arg(settings);
    aside.arg(program().get_program()).args(new(root).get_args());
    let output = aside.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("crs-setup.conf"), "{said}");
    is_as_before(old);
}
